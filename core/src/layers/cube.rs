//! The cube, element by element: x = z³.
//!
//! With z ~ N(0, 1) its density is p(x) = exp(-|x|^(2/3)/2) / (3 √(2π) |x|^(2/3)), singular at 0. There the
//! log-determinant is +∞, which [`Flow::log_prob`](crate::Flow::log_prob) reports as
//! [`ReadingError::Singular`](crate::ReadingError::Singular): a typed case, not a NaN.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Mixing, Parameter, Record, Schema, Value};

/// x_i = z_i³. Stores nothing.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Cube<E = Libm>(PhantomData<E>);

impl<E> Cube<E> {
    /// The layer.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Default for Cube<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: ElementaryName> Layer for Cube<E> {
    const SCHEMA: Schema = Schema::Layer(&const { record(&const { parameters(E::NAME) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(elementary: &'static str) -> [Parameter; 1] {
    [("elementary", Value::Word(elementary))]
}

/// The layer's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter]) -> Record {
    Record { mixing: Mixing::Elementwise, ..Record::stored("Cube", parameters, &[]) }
}

/// ln(3 z²): the logarithm of the derivative of z³; -∞ at 0.
#[inline]
fn log_slope<T: Real, E: Elementary<T>>(z: T) -> T {
    let slope = T::from_f32(3.0) * z * z;
    if slope > T::ZERO { E::ln(slope) } else { T::from_f32(f32::NEG_INFINITY) }
}

/// Data -> base, in place; returns the log-determinant.
#[inline]
pub fn inverse<T: Real, E: Elementary<T>>(x: &mut [T]) -> T {
    let mut log_det = T::ZERO;
    for x in x {
        *x = E::cbrt(*x);
        log_det = log_det - log_slope::<T, E>(*x);
    }
    log_det
}

/// Data -> base, in place; adds each feature's log-slope.
#[inline]
pub fn inverse_slopes<T: Real, E: Elementary<T>>(x: &mut [T], log_slopes: &mut [T]) {
    for (x, sum) in x.iter_mut().zip(log_slopes) {
        *sum = *sum + inverse::<T, E>(core::slice::from_mut(x));
    }
}

/// Base -> data, in place; returns the log-determinant.
#[inline]
pub fn forward<T: Real, E: Elementary<T>>(z: &mut [T]) -> T {
    let mut log_det = T::ZERO;
    for z in z {
        log_det = log_det + log_slope::<T, E>(*z);
        *z = *z * *z * *z;
    }
    log_det
}

impl<E: Elementary<T>, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Cube<E> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        inverse::<T, E>(x)
    }
}

impl<E: Elementary<T>, const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Cube<E> {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], _: &[T; C]) {
        inverse_slopes::<T, E>(x, log_slopes);
    }
}

impl<E: Elementary<T>, const D: usize, const C: usize, T: Real> Forward<D, C, T> for Cube<E> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        forward::<T, E>(z)
    }
}
