//! The list of all layers, for laws that hold for each.

use flowlet::conditioner::{Activation, Body, MaskedShape};
use flowlet::{
    AffineCoupling, Atanh, Chain, Continuous, Cube, Elementwise, Elu, Float, Forward, Gated, Householder, Int8,
    Inverse, InverseSoftplus, Layer, Log, Logit, LuLinear, MaskedAutoregressive, MaskedFloat, MaskedInt8, Permute,
    Plain, Planar, Pointwise, Power, Radial, Relu, Residual, Reverse, Standardize, Sylvester, Tanh, Turned,
};
use rand::Rng;
use zerocopy::FromBytes;

use super::{Style, image};

/// A direction of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Data -> base.
    Inverse,
    /// Base -> data.
    Forward,
}

/// A map in place, which returns its log-determinant.
type InPlace<T> = Box<dyn Fn(&mut [T], &[T]) -> T>;

/// A layer whose type has been forgotten, in one scalar, with the directions that it has.
pub struct Map<T> {
    inverse: Option<InPlace<T>>,
    forward: Option<InPlace<T>>,
}

impl<T> Map<T> {
    /// In a direction, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer does not have this direction.
    pub fn map(&self, direction: Direction, values: &mut [T], context: &[T]) -> T {
        let map = match direction {
            Direction::Inverse => &self.inverse,
            Direction::Forward => &self.forward,
        };
        map.as_ref().expect("the layer has the direction")(values, context)
    }

    /// Data -> base, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer does not have this direction.
    pub fn inverse(&self, x: &mut [T], context: &[T]) -> T {
        self.map(Direction::Inverse, x, context)
    }

    /// Base -> data, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer does not have this direction.
    pub fn forward(&self, z: &mut [T], context: &[T]) -> T {
        self.map(Direction::Forward, z, context)
    }
}

macro_rules! in_place {
    ($layer:expr, $trait:ident::$method:ident, $scalar:ty) => {{
        let layer = $layer;
        Some(Box::new(move |values: &mut [$scalar], context: &[$scalar]| {
            let (values, context) = (values.try_into().expect("D values"), context.try_into().expect("C values"));
            $trait::<D, C, $scalar>::$method(&layer, values, context)
        }) as InPlace<$scalar>)
    }};
}

/// A layer with parameters, in both scalars.
pub struct Case {
    /// Type and number of features.
    pub name: String,
    /// D.
    pub features: usize,
    /// C.
    pub context: usize,
    /// What the device computes.
    pub single: Map<f32>,
    /// The same generic code in double precision.
    pub double: Map<f64>,
    /// Those that it has.
    pub directions: &'static [Direction],
    /// A conditioner in it is a step function of its inputs.
    pub steps: bool,
    /// Its slope at 0 is 0.
    pub singular: bool,
    /// It has maps that are for some readings only: those from 0.3 to 5 are among them.
    pub positive: bool,
    /// Its directions undo each other up to the error of a solver only.
    pub approximate: bool,
    /// It is a composition of layers, whose roundings add up.
    pub composed: bool,
}

impl Case {
    /// Both directions.
    #[must_use]
    pub fn is_bijector(&self) -> bool {
        self.directions.len() == 2
    }
}

fn parameters<L: Layer + FromBytes>(style: Style, rng: &mut impl Rng) -> L {
    L::read_from_bytes(&image(&L::SCHEMA, style, rng)).expect("an image of the layer")
}

/// With both directions.
fn case<L, const D: usize, const C: usize>(style: Style, rng: &mut impl Rng) -> Case
where
    L: Layer + FromBytes + Copy + 'static,
    L: Inverse<D, C, f32> + Inverse<D, C, f64> + Forward<D, C, f32> + Forward<D, C, f64>,
{
    let layer = parameters::<L>(style, rng);
    let single =
        Map { inverse: in_place!(layer, Inverse::inverse, f32), forward: in_place!(layer, Forward::forward, f32) };
    let double =
        Map { inverse: in_place!(layer, Inverse::inverse, f64), forward: in_place!(layer, Forward::forward, f64) };
    described::<L, D, C>(single, double, &[Direction::Inverse, Direction::Forward])
}

/// With the direction of densities only.
fn inverse_case<L, const D: usize, const C: usize>(style: Style, rng: &mut impl Rng) -> Case
where
    L: Layer + FromBytes + Copy + 'static,
    L: Inverse<D, C, f32> + Inverse<D, C, f64>,
{
    let layer = parameters::<L>(style, rng);
    let single = Map { inverse: in_place!(layer, Inverse::inverse, f32), forward: None };
    let double = Map { inverse: in_place!(layer, Inverse::inverse, f64), forward: None };
    described::<L, D, C>(single, double, &[Direction::Inverse])
}

/// With the direction of sampling only.
fn forward_case<L, const D: usize, const C: usize>(style: Style, rng: &mut impl Rng) -> Case
where
    L: Layer + FromBytes + Copy + 'static,
    L: Forward<D, C, f32> + Forward<D, C, f64>,
{
    let layer = parameters::<L>(style, rng);
    let single = Map { inverse: None, forward: in_place!(layer, Forward::forward, f32) };
    let double = Map { inverse: None, forward: in_place!(layer, Forward::forward, f64) };
    described::<L, D, C>(single, double, &[Direction::Forward])
}

fn described<L: Layer, const D: usize, const C: usize>(
    single: Map<f32>,
    double: Map<f64>,
    directions: &'static [Direction],
) -> Case {
    let mut buffer = [0; 4096];
    let mut text = flowlet::text::Text::new(&mut buffer);
    L::SCHEMA.describe(&mut text);
    let name = text.as_str();
    Case {
        name: format!("{name} on {D} features with {C} context values"),
        features: D,
        context: C,
        single,
        double,
        directions,
        steps: name.contains("Int8"),
        singular: name.contains("Cube") || name.contains("Power"),
        approximate: name.contains("Continuous"),
        positive: name.contains("Elementwise"),
        // A feature that an autoregressive layer gives is rounded before the next one is conditioned on it.
        composed: ["Chain", "Repeat", "Autoregressive"].iter().any(|word| name.contains(word)),
    }
}

/// All layers and ways to compose them, on `$d` features of which a coupling keeps `$a`.
macro_rules! on {
    ($cases:ident, $style:ident, $rng:ident: $($d:literal = $a:literal + $b:literal),*) => {$(
        on!(@list case, $cases, $style, $rng, $d, 0, {
            Standardize<$d>,
            Permute<$d>,
            Reverse,
            Cube,
            LuLinear<$d>,
            Householder<$d, 1>,
            Householder<$d, $d>,
            Pointwise<$d, 1, Householder<$d, 2>>,
            Pointwise<1, $d, LuLinear<1>>,
            Turned<Chain<Permute<$d>, LuLinear<$d>>>,
            AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 0, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 1, { quads(2 * $b) }>>,
            Turned<AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 2, { quads(2 * $b) }>>>,
            AffineCoupling<$a, $b, Float<{ quads($a) }, 2, 2, { quads(2 * $b) }, Residual<Elu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 2, { quads(2 * $b) }, Gated<Tanh>>>,
            [Chain<Permute<$d>, AffineCoupling<$a, $b, Int8<{ quads($a) }, 2, 0, { quads(2 * $b) }>>>; 3],
            Turned<Chain<Standardize<$d>, Chain<AffineCoupling<$a, $b, Float<{ quads($a) }, 1, 1, { quads(2 * $b) }>>, Reverse>>>,
            Continuous<$d, 3, Float<{ quads($d + 1) }, 2, 1, { quads($d) }, Plain<Tanh>>>,
            Turned<Continuous<$d, 1, Float<{ quads($d + 1) }, 2, 0, { quads($d) }>>>
        });
        on!(@list case, $cases, $style, $rng, $d, 3, {
            AffineCoupling<$a, $b, Float<{ quads($a + 3) }, 2, 0, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 1, { quads(2 * $b) }>>,
            AffineCoupling<$a, $b, Float<{ quads($a + 3) }, 2, 2, { quads(2 * $b) }, Gated<Relu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 4, { quads(2 * $b) }, Residual<Elu>>>,
            AffineCoupling<$a, $b, Int8<{ quads($a + 3) }, 2, 1, { quads(2 * $b) }, Plain<Tanh>>>,
            Continuous<$d, 2, Float<{ quads($d + 4) }, 1, 2, { quads($d) }, Residual<Elu>>>
        });
        on!(@list forward_case, $cases, $style, $rng, $d, 0, {
            Planar<$d>,
            Radial<$d>,
            Sylvester<$d, 1>,
            Sylvester<$d, { units($d) }>,
            Sylvester<$d, $d>
        });
        on!(@list inverse_case, $cases, $style, $rng, $d, 0, {
            Turned<Planar<$d>>,
            [Turned<Chain<Sylvester<$d, { units($d) }>, Radial<$d>>>; 2]
        });
    )*};
    (@list $case:ident, $cases:ident, $style:ident, $rng:ident, $d:literal, $c:literal, { $($layer:ty),* }) => {
        $($cases.push($case::<$layer, $d, $c>($style, $rng));)*
    };
}

/// A masked autoregressive layer whose net is this one.
macro_rules! masked {
    ($net:ident, $d:literal, $c:literal, $style:ty) => {
        MaskedAutoregressive<$d, $net<
            $d,
            $c,
            { shape($d, $c).lowest },
            2,
            { shape($d, $c).inputs() },
            { shape($d, $c).hidden },
            2,
            { shape($d, $c).outputs() },
            { shape($d, $c).first_blocks() },
            { shape($d, $c).inner_blocks() },
            { shape($d, $c).last_blocks() },
            $style,
        >>
    };
}

/// Masked autoregressive layers on `$d` features with `$c` values of context.
macro_rules! autoregressive {
    ($cases:ident, $style:ident, $rng:ident: $($d:literal, $c:literal);*) => {$(
        on!(@list case, $cases, $style, $rng, $d, $c, {
            masked!(MaskedFloat, $d, $c, Plain<Elu>),
            Turned<masked!(MaskedFloat, $d, $c, Residual<Tanh>)>,
            masked!(MaskedInt8, $d, $c, Gated<Elu>),
            Turned<masked!(MaskedInt8, $d, $c, Plain<Relu>)>
        });
    )*};
}

const fn shape(features: usize, context: usize) -> MaskedShape {
    // Hidden layers of fewer units than there are degrees, or more.
    let (lowest, hidden) = if context == 0 && features > 1 { (1, features / 2 + 2) } else { (0, features + 1) };
    let (body, activation) = (Body::Plain, Activation::Relu);
    MaskedShape { features, context, lowest, stride: 2, hidden, deep: 2, body, activation }
}

const fn quads(values: usize) -> usize {
    values.div_ceil(4)
}

/// Some units of a Sylvester layer.
const fn units(features: usize) -> usize {
    features.div_ceil(2)
}

/// Every layer, on 1 to 16 features, with parameters of this style.
pub fn layers(style: Style, rng: &mut impl Rng) -> Vec<Case> {
    let mut cases = Vec::new();
    on!(cases, style, rng: 1 = 0 + 1, 2 = 1 + 1, 3 = 1 + 2, 4 = 2 + 2, 5 = 2 + 3, 6 = 3 + 3, 7 = 3 + 4, 8 = 4 + 4);
    on!(cases, style, rng: 9 = 8 + 1, 10 = 5 + 5, 11 = 1 + 10, 12 = 6 + 6, 13 = 6 + 7, 14 = 7 + 7, 15 = 7 + 8, 16 = 8 + 8);
    on!(@list case, cases, style, rng, 1, 0, { Elementwise<1, Log>, Elementwise<1, Logit> });
    on!(@list case, cases, style, rng, 7, 0, {
        Elementwise<7, Log>,
        Elementwise<7, InverseSoftplus>,
        Elementwise<7, Logit>,
        Elementwise<7, Atanh>,
        Elementwise<7, Power>,
        Turned<Elementwise<7, Atanh>>,
        Chain<Elementwise<7, Logit>, Standardize<7>>
    });
    on!(@list case, cases, style, rng, 12, 0, {
        Pointwise<3, 4, LuLinear<3>>,
        Pointwise<4, 3, Permute<4>>,
        Pointwise<6, 2, Pointwise<2, 3, Householder<2, 1>>>
    });
    on!(@list case, cases, style, rng, 12, 2, { Pointwise<4, 3, AffineCoupling<2, 2, Float<1, 2, 0, 1>>> });
    on!(@list inverse_case, cases, style, rng, 12, 0, { Turned<Pointwise<3, 4, Planar<3>>> });
    autoregressive!(cases, style, rng: 1, 0; 1, 3; 2, 0; 3, 0; 5, 3; 8, 0; 16, 3);
    cases
}
