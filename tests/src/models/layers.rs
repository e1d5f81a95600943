//! The registry of layer families, and ways to compose them, for laws that hold for each.

use flowlet::schema::Schema;
use flowlet::{
    AffineCoupling, Bijector, Chain, Elu, Float, Forward, Gated, Int8, Inverse, Layer, Permute, Plain, Real, Relu,
    Residual, Reverse, Standardize, Tanh, Turned, registry,
};
use rand::Rng;
use zerocopy::FromBytes;

use super::{Style, image};

/// A layer whose type has been forgotten, in one scalar.
pub trait Map<T> {
    /// Data -> base, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer does not have this direction (see [`Case::inverse`]).
    fn inverse(&self, x: &mut [T], context: &[T]) -> T;
    /// Base -> data, in place; returns the log-determinant.
    ///
    /// # Panics
    /// If the layer does not have this direction (see [`Case::forward`]).
    fn forward(&self, z: &mut [T], context: &[T]) -> T;
}

/// A layer with its dimensions, and both directions.
struct Both<L, const D: usize, const C: usize>(L);

/// One with the direction data -> base only.
struct OnlyInverse<L, const D: usize, const C: usize>(L);

/// One with the direction base -> data only.
struct OnlyForward<L, const D: usize, const C: usize>(L);

fn inverse<L: Inverse<D, C, T>, const D: usize, const C: usize, T: Real>(layer: &L, x: &mut [T], context: &[T]) -> T {
    layer.inverse(x.try_into().expect("D values"), context.try_into().expect("C values"))
}

fn forward<L: Forward<D, C, T>, const D: usize, const C: usize, T: Real>(layer: &L, z: &mut [T], context: &[T]) -> T {
    layer.forward(z.try_into().expect("D values"), context.try_into().expect("C values"))
}

impl<L: Bijector<D, C, T>, const D: usize, const C: usize, T: Real> Map<T> for Both<L, D, C> {
    fn inverse(&self, x: &mut [T], context: &[T]) -> T {
        inverse::<L, D, C, T>(&self.0, x, context)
    }

    fn forward(&self, z: &mut [T], context: &[T]) -> T {
        forward::<L, D, C, T>(&self.0, z, context)
    }
}

impl<L: Inverse<D, C, T>, const D: usize, const C: usize, T: Real> Map<T> for OnlyInverse<L, D, C> {
    fn inverse(&self, x: &mut [T], context: &[T]) -> T {
        inverse::<L, D, C, T>(&self.0, x, context)
    }

    fn forward(&self, _: &mut [T], _: &[T]) -> T {
        panic!("this layer has no direction base -> data")
    }
}

impl<L: Forward<D, C, T>, const D: usize, const C: usize, T: Real> Map<T> for OnlyForward<L, D, C> {
    fn inverse(&self, _: &mut [T], _: &[T]) -> T {
        panic!("this layer has no direction data -> base")
    }

    fn forward(&self, z: &mut [T], context: &[T]) -> T {
        forward::<L, D, C, T>(&self.0, z, context)
    }
}

/// A layer with parameters, in both scalars.
pub struct Case {
    /// Type and number of features.
    pub name: String,
    /// D.
    pub features: usize,
    /// C.
    pub context: usize,
    /// It has the direction data -> base.
    pub inverse: bool,
    /// It has the direction base -> data.
    pub forward: bool,
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

fn case<L, M>(
    (features, context): (usize, usize),
    (inverse, forward): (bool, bool),
    style: Style,
    rng: &mut impl Rng,
    map: fn(L) -> M,
) -> Case
where
    L: Layer + FromBytes + Copy,
    M: Map<f32> + Map<f64> + 'static,
{
    let layer = L::read_from_bytes(&image(&L::SCHEMA, style, rng)).expect("an image of the layer");
    let mut buffer = [0; 4096];
    let mut text = flowlet::text::Text::new(&mut buffer);
    L::SCHEMA.describe(&mut text);
    let name = text.as_str();
    Case {
        name: format!("{name} on {features} features with {context} context values"),
        features,
        context,
        inverse,
        forward,
        single: Box::new(map(layer)),
        double: Box::new(map(layer)),
        steps: name.contains("Int8"),
        singular: name.contains("Cube"),
        composed: matches!(L::SCHEMA, Schema::Chain(..) | Schema::Repeat(..))
            || matches!(L::SCHEMA, Schema::Turned(Schema::Chain(..))),
    }
}

macro_rules! one {
    ($style:ident, $rng:ident, $d:literal, $c:literal, both $layer:ty) => {
        case(($d, $c), (true, true), $style, $rng, Both::<$layer, $d, $c>)
    };
    ($style:ident, $rng:ident, $d:literal, $c:literal, inverse $layer:ty) => {
        case(($d, $c), (true, false), $style, $rng, OnlyInverse::<$layer, $d, $c>)
    };
    ($style:ident, $rng:ident, $d:literal, $c:literal, forward $layer:ty) => {
        case(($d, $c), (false, true), $style, $rng, OnlyForward::<$layer, $d, $c>)
    };
}

/// Every layer of the registry, on 1 to 16 features, with and without a context, and ways to compose layers; with
/// parameters of this style.
pub fn layers(style: Style, rng: &mut impl Rng) -> Vec<Case> {
    let mut cases = Vec::new();
    macro_rules! push {
        ($d:literal, $c:literal; $($name:ident: $directions:ident $layer:ty;)*) => {
            $(cases.push(one!(style, rng, $d, $c, $directions $layer));)*
        };
    }
    macro_rules! on {
        ($($d:literal = $a:literal + $b:literal),*) => {$(
            registry!(push, None, d = $d, a = $a, b = $b, c = 0);
            registry!(push, Float, d = $d, a = $a, b = $b, c = 0);
            registry!(push, Int8, d = $d, a = $a, b = $b, c = 0);
        )*};
    }
    macro_rules! conditioned {
        ($($d:literal = $a:literal + $b:literal),*) => {$(
            registry!(push, Float, d = $d, a = $a, b = $b, c = 3);
            registry!(push, Int8, d = $d, a = $a, b = $b, c = 3);
        )*};
    }
    on!(1 = 0 + 1, 2 = 1 + 1, 3 = 1 + 2, 4 = 2 + 2, 5 = 2 + 3, 6 = 3 + 3, 7 = 3 + 4, 8 = 4 + 4);
    on!(9 = 8 + 1, 10 = 5 + 5, 11 = 1 + 10, 12 = 6 + 6, 13 = 6 + 7, 14 = 7 + 7, 15 = 7 + 8, 16 = 8 + 8);
    conditioned!(1 = 0 + 1, 2 = 1 + 1, 5 = 2 + 3, 8 = 4 + 4);
    push! { 5, 0;
        Inward: inverse Standardize<5>;
        Outward: forward Standardize<5>;
        Turned: both Turned<AffineCoupling<2, 3, Float<1, 2, 2, 2>>>;
        Shallow: both AffineCoupling<2, 3, Float<1, 2, 0, 2>>;
        Deep: both AffineCoupling<2, 3, Int8<1, 2, 4, 2, Residual<Elu>>>;
        Rectified: both AffineCoupling<2, 3, Float<1, 2, 2, 2, Gated<Relu>>>;
        Smooth: both AffineCoupling<2, 3, Int8<1, 2, 1, 2, Plain<Tanh>>>;
        Repeated: both [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 2, 0, 2>>>; 3];
        Chained: both Turned<Chain<Standardize<5>, Chain<AffineCoupling<2, 3, Float<1, 1, 1, 2>>, Reverse>>>;
    }
    cases
}
