//! Standardization of the context: what comes with a reading (speed, ambient temperature, operating mode), in its own
//! units, to what the nets of the inner layers were trained on.
//!
//! c_i becomes (c_i - mean_i) · inverse_scale_i for the layers inside. The context is no part of the density, so this has
//! no log-determinant; without a context the layer is not needed and costs nothing.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Schema, Value};
use crate::terms::Coordinates;

/// Layers that see `C` context values standardized.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct StandardizeContext<const C: usize, L> {
    /// Subtracted, in the units of the context value.
    pub mean: [f32; C],
    /// Multiplied, per unit of the context value; positive.
    pub inverse_scale: [f32; C],
    /// What sees the standardized context.
    pub layers: L,
}

impl<const C: usize, L: Layer> Layer for StandardizeContext<C, L> {
    const SCHEMA: Schema =
        Schema::Within(&const { record(C, &const { parameters(C) }, &const { fields(C) }) }, &L::SCHEMA);
}

/// What describes the layer.
#[must_use]
pub const fn parameters(context: usize) -> [Parameter; 1] {
    [("context", Value::Number(context))]
}

/// What the layer stores before the layers inside.
#[must_use]
pub const fn fields(context: usize) -> [Field; 2] {
    [
        Field::Data { name: "mean", format: Format::F32, count: context, rule: Rule::Finite },
        Field::Data { name: "inverse_scale", format: Format::F32, count: context, rule: Rule::Positive },
    ]
}

/// The layer's own record, without the layers inside.
#[must_use]
pub const fn record(context: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { scratch: size_of::<f32>() * context, ..Record::stored("StandardizeContext", parameters, fields) }
}

/// The standardized context, on slices of one length.
#[inline]
pub fn standardize<T: Real>(mean: &[f32], inverse_scale: &[f32], context: &mut [T]) {
    for ((value, mean), scale) in context.iter_mut().zip(mean).zip(inverse_scale) {
        *value = value.standardized(*mean, *scale);
    }
}

impl<const C: usize, L> StandardizeContext<C, L> {
    #[inline(always)]
    fn standardized<T: Real>(&self, context: &[T; C]) -> [T; C] {
        let mut standardized = *context;
        standardize(&self.mean, &self.inverse_scale, &mut standardized);
        standardized
    }
}

impl<L: Inverse<D, C, T>, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for StandardizeContext<C, L> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        self.layers.inverse(x, &self.standardized(context))
    }
}

impl<L: Triangular<D, C, T>, const D: usize, const C: usize, T: Real> Triangular<D, C, T> for StandardizeContext<C, L> {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], context: &[T; C]) {
        self.layers.inverse_slopes(x, log_slopes, &self.standardized(context));
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        self.layers.trace(coordinates);
    }
}

impl<L: Forward<D, C, T>, const D: usize, const C: usize, T: Real> Forward<D, C, T> for StandardizeContext<C, L> {
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        self.layers.forward(z, &self.standardized(context))
    }
}
