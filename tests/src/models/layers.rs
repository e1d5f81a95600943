//! The list of all layers, for laws that hold for each.

use flowlet::conditioner::{Activation, Body, MaskedShape};
use flowlet::{
    Additive, Affine, AffineCoupling, Bijector, Chain, Coupling, Cube, Elu, Float, Gated, Int8, Layer,
    MaskedAutoregressive, MaskedFloat, MaskedInt8, Permute, Plain, Relu, Residual, Reverse, Sigmoidal, Spline,
    Standardize, Tanh, Turned, scale, spline,
};
use rand::Rng;
use zerocopy::FromBytes;

use super::{Style, image};

/// A layer whose type has been forgotten, in one scalar.
pub trait Map<T> {
    /// Data -> base, in place; returns the log-determinant.
    fn inverse(&self, x: &mut [T], context: &[T]) -> T;
    /// Base -> data, in place; returns the log-determinant.
    fn forward(&self, z: &mut [T], context: &[T]) -> T;
}

/// A layer with its dimensions.
struct Typed<L, const D: usize, const C: usize>(L);

macro_rules! map {
    ($($scalar:ty),*) => {$(
        impl<L: Bijector<D, C, $scalar>, const D: usize, const C: usize> Map<$scalar> for Typed<L, D, C> {
            fn inverse(&self, x: &mut [$scalar], context: &[$scalar]) -> $scalar {
                self.0.inverse(x.try_into().expect("D values"), context.try_into().expect("C values"))
            }

            fn forward(&self, z: &mut [$scalar], context: &[$scalar]) -> $scalar {
                self.0.forward(z.try_into().expect("D values"), context.try_into().expect("C values"))
            }
        }
    )*};
}

map!(f32, f64);

/// A layer with parameters, in both scalars.
pub struct Case {
    /// Type and number of features.
    pub name: String,
    /// D.
    pub features: usize,
    /// C.
    pub context: usize,
    /// What the device computes.
    pub single: Box<dyn Map<f32>>,
    /// The same generic code in double precision.
    pub double: Box<dyn Map<f64>>,
    /// A conditioner in it is a step function of its inputs.
    pub steps: bool,
    /// Its slope at 0 is 0.
    pub singular: bool,
    /// It is a composition of layers, whose roundings add up.
    pub composed: bool,
}

fn case<L, const D: usize, const C: usize>(style: Style, rng: &mut impl Rng) -> Case
where
    L: Layer + Bijector<D, C, f32> + Bijector<D, C, f64> + FromBytes + Copy + 'static,
{
    let layer = L::read_from_bytes(&image(&L::SCHEMA, style, rng)).expect("an image of the layer");
    let mut buffer = [0; 4096];
    let mut text = flowlet::text::Text::new(&mut buffer);
    L::SCHEMA.describe(&mut text);
    let name = text.as_str();
    Case {
        name: format!("{name} on {D} features with {C} context values"),
        features: D,
        context: C,
        single: Box::new(Typed::<L, D, C>(layer)),
        double: Box::new(Typed::<L, D, C>(layer)),
        steps: name.contains("Int8"),
        singular: name.contains("Cube"),
        // An autoregressive layer composes its features: on the way to the data, what conditions is computed.
        composed: name.contains("Chain") || name.contains("Repeat") || name.contains("MaskedAutoregressive"),
    }
}

/// A masked net of a stride, with the numbers that follow from its shape. The first feature sees the context, if any.
macro_rules! masked {
    ($net:ident, $d:expr, $c:expr, $stride:expr, $hidden:expr, $deep:expr) => {
        $net<
            $d,
            $c,
            { masked_shape($d, $c, $stride, $hidden, $deep).lowest },
            $stride,
            { masked_shape($d, $c, $stride, $hidden, $deep).inputs() },
            $hidden,
            $deep,
            { masked_shape($d, $c, $stride, $hidden, $deep).outputs() },
            { masked_shape($d, $c, $stride, $hidden, $deep).first_blocks() },
            { masked_shape($d, $c, $stride, $hidden, $deep).inner_blocks() },
            { masked_shape($d, $c, $stride, $hidden, $deep).last_blocks() },
        >
    };
}

const fn masked_shape(features: usize, context: usize, stride: usize, hidden: usize, deep: usize) -> MaskedShape {
    let lowest = if context > 0 || features == 1 { 0 } else { 1 };
    let (body, activation) = (Body::Plain, Activation::Relu);
    MaskedShape { features, context, lowest, stride, hidden, deep, body, activation }
}

/// All layers and ways to compose them, on `$d` features of which a coupling keeps `$a`.
macro_rules! on {
    ($cases:ident, $style:ident, $rng:ident: $($d:literal = $a:literal + $b:literal),*) => {$(
        on!(@list $cases, $style, $rng, $d, 0, {
            Standardize<$d>,
            Permute<$d>,
            Reverse,
            Cube,
            AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 0, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 1, { quads(2 * $b) }>>,
            Turned<AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 2, { quads(2 * $b) }>>>,
            AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 2, { quads(2 * $b) }, Residual<Elu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 2, { quads(2 * $b) }, Gated<Tanh>>>,
            [Chain<Permute<$d>, AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 0, { quads(2 * $b) }>>>; 3],
            Turned<Chain<Standardize<$d>, Chain<AffineCoupling<$a, $b, Float<{ quads($a) }, 1, 1, { quads(2 * $b) }>>, Reverse>>>
        });
        on!(@list $cases, $style, $rng, $d, 3, {
            AffineCoupling<$a, $b, Float<{ quads($a + 3) }, 2, 0, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 1, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Float<{ quads($a + 3) }, 2, 2, { quads(2 * $b) }, Gated<Relu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 4, { quads(2 * $b) }, Residual<Elu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 1, { quads(2 * $b) }, Plain<Tanh>>>
        });
        on!(@list $cases, $style, $rng, $d, 0, {
            Coupling<$a, $b, Float<{ quads($a) }, 2, 0, { quads($b) }>, Additive>,
            MaskedAutoregressive<$d, masked!(MaskedFloat, $d, 0, 2, 4, 0)>
        });
    )*};
    (@maps $cases:ident, $style:ident, $rng:ident: $($d:literal = $a:literal + $b:literal),*) => {$(
        on!(@list $cases, $style, $rng, $d, 0, {
            Coupling<$a, $b, Float<{ quads($a) }, 2, 0, { 6 * $b }>, Spline<8>>,
            Coupling<$a, $b, Int8<{ quads($a) }, 2, 0, { 3 * $b }>, Sigmoidal<4>>,
            Turned<MaskedAutoregressive<$d, masked!(MaskedInt8, $d, 0, 2, 4, 1), Turned<Affine>>>
        });
    )*};
    (@list $cases:ident, $style:ident, $rng:ident, $d:literal, $c:literal, { $($layer:ty),* }) => {
        $($cases.push(case::<$layer, $d, $c>($style, $rng));)*
    };
}

const fn quads(values: usize) -> usize {
    values.div_ceil(4)
}

/// Every layer, on 1 to 16 features, with parameters of this style.
pub fn layers(style: Style, rng: &mut impl Rng) -> Vec<Case> {
    let mut cases = Vec::new();
    on!(cases, style, rng: 1 = 0 + 1, 2 = 1 + 1, 3 = 1 + 2, 4 = 2 + 2, 5 = 2 + 3, 6 = 3 + 3, 7 = 3 + 4, 8 = 4 + 4);
    on!(cases, style, rng: 9 = 8 + 1, 10 = 5 + 5, 11 = 1 + 10, 12 = 6 + 6, 13 = 6 + 7, 14 = 7 + 7, 15 = 7 + 8, 16 = 8 + 8);
    on!(@maps cases, style, rng: 1 = 0 + 1, 2 = 1 + 1, 16 = 8 + 8);
    on!(@list cases, style, rng, 5, 2, {
        Coupling<2, 3, Int8<1, 2, 1, 1>, Additive>,
        Coupling<2, 3, Float<1, 2, 0, 2>, Affine<scale::Exp>>,
        Coupling<2, 3, Int8<1, 2, 0, 2>, Affine<scale::Softplus>>,
        Coupling<2, 3, Float<1, 2, 0, 2>, Turned<Affine<scale::Sigmoid>>>,
        Coupling<2, 3, Float<1, 2, 0, 2>, Affine<scale::InverseSigmoid>>,
        Coupling<2, 3, Int8<1, 2, 0, 18>, Turned<Spline<8>>>,
        Coupling<2, 3, Float<1, 2, 0, 6>, Spline<3, spline::Floored>>,
        Turned<Coupling<2, 3, Float<1, 2, 0, 72>, Sigmoidal<32>>>,
        MaskedAutoregressive<5, masked!(MaskedFloat, 5, 2, 1, 5, 0), Additive>,
        MaskedAutoregressive<5, masked!(MaskedInt8, 5, 2, 24, 5, 0), Spline<8>>,
        Turned<MaskedAutoregressive<5, masked!(MaskedFloat, 5, 2, 24, 5, 1), Spline<8, spline::Floored>>>,
        MaskedAutoregressive<5, masked!(MaskedFloat, 5, 2, 12, 5, 2), Sigmoidal<4>>,
        [Chain<Permute<5>, MaskedAutoregressive<5, masked!(MaskedFloat, 5, 2, 2, 5, 1), Turned<Affine<scale::Softplus>>>>; 2]
    });
    cases
}
