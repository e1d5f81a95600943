//! **Forward** goes base -> data (sampling), **inverse** goes data -> base (density); half of the libraries mean the
//! opposite. The traits of all layers, and how layers compose.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::real::Real;
use crate::schema::Schema;

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
