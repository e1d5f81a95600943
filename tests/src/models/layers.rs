//! The registry of layer families, and ways to compose them, for laws that hold for each.

use flowlet::{
    AffineCoupling, Chain, Continuous, Coupling, Elementwise, Elu, Float, Forward, Gated, Householder, Int8, Inverse,
    InverseSoftplus, Layer, LuLinear, Permute, Plain, Planar, Pointwise, Radial, Relu, Residual, Reverse, Sigmoidal,
    Spline, Standardize, Sylvester, Tanh, Turned, registry, spline,
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

macro_rules! one {
    ($style:ident, $rng:ident, $d:literal, $c:literal, both $layer:ty) => {
        case::<$layer, $d, $c>($style, $rng)
    };
    ($style:ident, $rng:ident, $d:literal, $c:literal, inverse $layer:ty) => {
        inverse_case::<$layer, $d, $c>($style, $rng)
    };
    ($style:ident, $rng:ident, $d:literal, $c:literal, forward $layer:ty) => {
        forward_case::<$layer, $d, $c>($style, $rng)
    };
}

/// A function that lists cases: by `push`, of layers on one number of features, and by `on`, of the registry on several. `$dollar` is a
/// dollar sign, which a macro cannot write otherwise for the macros in it.
macro_rules! cases_of {
    ($dollar:tt $(#[$docs:meta])* $name:ident { $($lists:tt)* }) => {
        $(#[$docs])*
        pub fn $name(style: Style, rng: &mut impl Rng) -> Vec<Case> {
            let mut cases = Vec::new();
            macro_rules! push {
                ($dollar d:literal, $dollar c:literal; $dollar($dollar name:ident: $dollar directions:ident $dollar layer:ty;)*) => {
                    $dollar(cases.push(one!(style, rng, $dollar d, $dollar c, $dollar directions $dollar layer));)*
                };
            }
            macro_rules! on {
                ($dollar($dollar kind:ident, $dollar c:literal: $dollar($dollar d:literal = $dollar a:literal + $dollar b:literal),*;)*) => {
                    $dollar($dollar(
                        registry!(push, $dollar kind, d = $dollar d, a = $dollar a, b = $dollar b, c = $dollar c);
                    )*)*
                };
            }
            $($lists)*
            cases
        }
    };
}

cases_of! { $
/// Every layer of the registry, on 1 to 16 features, with and without a context, and ways to compose layers; with parameters
/// of this style. Layers with a net are on some numbers of features only: [`layers_of_other_sizes`] has the others.
layers {
    on! {
        None, 0: 1 = 0 + 1, 2 = 1 + 1, 3 = 1 + 2, 4 = 2 + 2, 5 = 2 + 3, 6 = 3 + 3, 7 = 3 + 4, 8 = 4 + 4;
        None, 0: 9 = 8 + 1, 10 = 5 + 5, 11 = 1 + 10, 12 = 6 + 6, 13 = 6 + 7, 14 = 7 + 7, 15 = 7 + 8, 16 = 8 + 8;
        // Every type is compiled in two scalars: unless told, nets on the sizes that end within, at and behind a quad.
        Float, 0: 1 = 0 + 1, 2 = 1 + 1, 4 = 2 + 2, 5 = 2 + 3, 11 = 1 + 10, 16 = 8 + 8;
        Int8, 0: 1 = 0 + 1, 3 = 1 + 2, 8 = 4 + 4, 13 = 6 + 7;
        // What a context does depends on whether the features, too, end within a quad.
        Float, 3: 1 = 0 + 1, 5 = 2 + 3;
        Int8, 3: 2 = 1 + 1, 8 = 4 + 4;
    }
    push! { 5, 0;
        Turned: both Turned<AffineCoupling<2, 3, Float<1, 2, 2, 2>>>;
        Shallow: both AffineCoupling<2, 3, Float<1, 2, 0, 2>>;
        Deep: both AffineCoupling<2, 3, Int8<1, 2, 4, 2, Residual<Elu>>>;
        Rectified: both AffineCoupling<2, 3, Float<1, 2, 2, 2, Gated<Relu>>>;
        Smooth: both AffineCoupling<2, 3, Int8<1, 2, 1, 2, Plain<Tanh>>>;
        Repeated: both [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 2, 0, 2>>>; 3];
        Chained: both Turned<Chain<Standardize<5>, Chain<AffineCoupling<2, 3, Float<1, 1, 1, 2>>, Reverse>>>;
        Linear: both Turned<Chain<Permute<5>, LuLinear<5>>>;
        Reflections: both Householder<5, 5>;
        Stepped: both Turned<Continuous<5, 1, Float<2, 2, 0, 2>>>;
        Units: forward Sylvester<5, 5>;
        Directed: inverse [Turned<Chain<Sylvester<5, 1>, Radial<5>>>; 2];
        Positive: both Chain<Elementwise<5, InverseSoftplus>, Standardize<5>>;
    }
    push! { 5, 3;
        Stepped: both Continuous<5, 2, Float<3, 1, 2, 2, Residual<Elu>>>;
        TurnedMap: both Coupling<2, 3, Int8<2, 2, 0, 18>, Turned<Spline<8>>>;
        Widest: both Turned<Coupling<2, 3, Float<2, 2, 0, 72>, Sigmoidal<32>>>;
        ManyBins: both Coupling<2, 3, Float<2, 2, 0, 72>, Spline<32, spline::Floored>>;
    }
    push! { 12, 0;
        Channels: both Pointwise<3, 4, LuLinear<3>>;
        Permuted: both Pointwise<4, 3, Permute<4>>;
        Nested: both Pointwise<6, 2, Pointwise<2, 3, Householder<2, 1>>>;
        Directed: inverse Turned<Pointwise<3, 4, Planar<3>>>;
    }
    push! { 12, 2;
        Conditioned: both Pointwise<4, 3, AffineCoupling<2, 2, Float<1, 2, 0, 1>>>;
    }
} }

cases_of! { $
/// The layers with a net that [`layers`] leaves out, so that both together have them on 1 to 16 features. Minutes to compile.
layers_of_other_sizes {
    on! {
        Float, 0: 3 = 1 + 2, 6 = 3 + 3, 7 = 3 + 4, 8 = 4 + 4, 9 = 8 + 1, 10 = 5 + 5;
        Float, 0: 12 = 6 + 6, 13 = 6 + 7, 14 = 7 + 7, 15 = 7 + 8;
        Int8, 0: 2 = 1 + 1, 4 = 2 + 2, 5 = 2 + 3, 6 = 3 + 3, 7 = 3 + 4, 9 = 8 + 1, 10 = 5 + 5;
        Int8, 0: 11 = 1 + 10, 12 = 6 + 6, 14 = 7 + 7, 15 = 7 + 8, 16 = 8 + 8;
    }
} }
