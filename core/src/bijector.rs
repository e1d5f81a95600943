//! **Forward** goes base -> data (sampling), **inverse** goes data -> base (density); half of the libraries mean the
//! opposite. The traits of all layers, and how layers compose.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::real::Real;
use crate::schema::Schema;
use crate::terms::Coordinates;

/// The direction data -> base: what a log-density needs.
///
/// `D` features, `C` context values (side inputs such as speed or ambient temperature, never transformed), computed in
/// the scalar `T` whatever format the parameters are stored in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no direction data -> base on {D} features with {C} context values, so it gives no density",
    label = "needs `Inverse<{D}, {C}>`",
    note = "every layer of a flow whose density is asked for implements `Inverse`; `Turned<L>` has the one if `L` has the other"
)]
pub trait Inverse<const D: usize, const C: usize = 0, T: Real = f32> {
    /// Maps `x` in place to the base's side, and returns log |det ∂z/∂x| at `x`, in nats.
    ///
    /// Total: any `x`, non-finite ones included, is mapped without a panic. The log-determinant is +∞ where the
    /// density is singular (see [`Cube`](crate::Cube)), -∞ where it is 0, `x` being outside of what the layer maps to
    /// (see [`Elementwise`](crate::Elementwise)), and finite otherwise. What `x` becomes where the density is 0 has no
    /// meaning.
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T;
}

/// A direction data -> base that maps each feature by itself and by features before it: the Jacobian is triangular,
/// and each feature has a slope of its own.
///
/// That is what [`Flow::conditional_terms`](crate::Flow::conditional_terms) needs. Permutations are among these layers,
/// since they only change which feature is next; whether a composition has one order is for [`Triangular::trace`] to
/// tell. [`Turned`] layers are not: there are no log-slopes of single features in the other direction.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not map each of {D} features by those before it, so the density is no product of conditional ones",
    label = "needs `Triangular<{D}, {C}>`",
    note = "masked autoregressive layers, element-wise ones, standardizations and permutations do, couplings and linear layers do not: \
            `flowlet fit --family maf-spline --order fixed` makes such a flow"
)]
pub trait Triangular<const D: usize, const C: usize = 0, T: Real = f32>: Inverse<D, C, T> {
    /// Maps `x` in place as [`Inverse::inverse`] does, to the bit, and adds to each log-slope, which go along with the
    /// features, that of the map of its feature, ln ∂z/∂x in nats. Over all features that adds up to the
    /// log-determinant, but for rounding.
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], context: &[T; C]);

    /// Says which coordinates change places, and which are conditioned on which others; nothing, where each stays by
    /// itself.
    fn trace(&self, _: &mut Coordinates<'_>) {}
}

/// The direction base -> data: what sampling needs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no direction base -> data on {D} features with {C} context values, so it gives no samples",
    label = "needs `Forward<{D}, {C}>`",
    note = "every layer of a flow that is sampled implements `Forward`; `Turned<L>` has the one if `L` has the other"
)]
pub trait Forward<const D: usize, const C: usize = 0, T: Real = f32> {
    /// Maps `z` in place to the data's side, and returns log |det ∂x/∂z| at `z`, in nats: the opposite of what
    /// [`Inverse::inverse`] returns at the result.
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T;
}

/// Both directions.
pub trait Bijector<const D: usize, const C: usize = 0, T: Real = f32>: Inverse<D, C, T> + Forward<D, C, T> {}

impl<L, const D: usize, const C: usize, T: Real> Bijector<D, C, T> for L where L: Inverse<D, C, T> + Forward<D, C, T> {}

/// What the compiler knows of a layer.
pub trait Layer {
    /// The layer as data: shapes, stored fields, cost and mixing.
    const SCHEMA: Schema;
}

/// Two layers, one after the other: `A` is next to the data, `B` next to the base.
///
/// A pair in C layout, since Rust leaves the layout of tuples open and does reorder them. Longer chains nest, and an
/// array is a chain of layers of the same type.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Chain<A, B>(pub A, pub B);

impl<A: Layer, B: Layer> Layer for Chain<A, B> {
    const SCHEMA: Schema = Schema::Chain(&A::SCHEMA, &B::SCHEMA);
}

impl<A, B, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Chain<A, B>
where
    A: Inverse<D, C, T>,
    B: Inverse<D, C, T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        let first = self.0.inverse(x, context);
        first + self.1.inverse(x, context)
    }
}

impl<A, B, const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Chain<A, B>
where
    A: Triangular<D, C, T>,
    B: Triangular<D, C, T>,
{
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], context: &[T; C]) {
        self.0.inverse_slopes(x, log_slopes, context);
        self.1.inverse_slopes(x, log_slopes, context);
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        self.0.trace(coordinates);
        self.1.trace(coordinates);
    }
}

impl<A, B, const D: usize, const C: usize, T: Real> Forward<D, C, T> for Chain<A, B>
where
    A: Forward<D, C, T>,
    B: Forward<D, C, T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        let first = self.1.forward(z, context);
        first + self.0.forward(z, context)
    }
}

impl<L: Layer, const N: usize> Layer for [L; N] {
    const SCHEMA: Schema = Schema::Repeat(N, &L::SCHEMA);
}

impl<L, const N: usize, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for [L; N]
where
    L: Inverse<D, C, T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        let mut log_det = T::ZERO;
        for layer in self {
            log_det = log_det + layer.inverse(x, context);
        }
        log_det
    }
}

impl<L, const N: usize, const D: usize, const C: usize, T: Real> Triangular<D, C, T> for [L; N]
where
    L: Triangular<D, C, T>,
{
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], context: &[T; C]) {
        for layer in self {
            layer.inverse_slopes(x, log_slopes, context);
        }
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        for layer in self {
            layer.trace(coordinates);
        }
    }
}

impl<L, const N: usize, const D: usize, const C: usize, T: Real> Forward<D, C, T> for [L; N]
where
    L: Forward<D, C, T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        let mut log_det = T::ZERO;
        for layer in self.iter().rev() {
            log_det = log_det + layer.forward(z, context);
        }
        log_det
    }
}

/// A layer with its directions swapped: a masked autoregressive layer turned is an inverse autoregressive one.
///
/// A layer that has one direction only keeps the other one: what is missing does not compile.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Turned<L>(pub L);

impl<L: Layer> Layer for Turned<L> {
    const SCHEMA: Schema = Schema::Turned(&L::SCHEMA);
}

impl<L, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Turned<L>
where
    L: Forward<D, C, T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        self.0.forward(x, context)
    }
}

impl<L, const D: usize, const C: usize, T: Real> Forward<D, C, T> for Turned<L>
where
    L: Inverse<D, C, T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        self.0.inverse(z, context)
    }
}
