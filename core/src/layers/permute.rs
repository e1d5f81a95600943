//! Permutation: the features in another order, so that each coupling splits them differently. Volume-preserving.
//!
//! The order is data, chosen when the flow is fitted. The loaders check that it is a permutation and that, with it, all
//! pairs of features interact.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};
use crate::terms::Coordinates;

/// z_i = x_(source_i).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Permute<const D: usize> {
    /// Where each coordinate comes from, data -> base: every number from 0 to D - 1 once.
    pub source: [u32; D],
}

impl<const D: usize> Layer for Permute<D> {
    const SCHEMA: Schema = Schema::Layer(&const { record(D, &const { parameters(D) }, &const { fields(D) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize) -> [Parameter; 1] {
    [("features", Value::Number(features))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize) -> [Field; 1] {
    [Field::Data { name: "source", format: Format::U32, count: features, rule: Rule::Permutation }]
}

/// The layer's record.
#[must_use]
pub const fn record(features: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record {
        mixing: Mixing::Permutation,
        scratch: size_of::<f32>() * features,
        ..Record::stored("Permute", parameters, fields)
    }
}

/// Gathers data -> base: `to[i] = from[source[i]]`. An index out of range leaves its place as it was.
#[inline]
pub fn gather<T: Copy>(source: &[u32], from: &[T], to: &mut [T]) {
    for (to, source) in to.iter_mut().zip(source) {
        if let Some(value) = from.get(*source as usize) {
            *to = *value;
        }
    }
}

/// Scatters base -> data: `to[source[i]] = from[i]`. An index out of range is passed over.
#[inline]
pub fn scatter<T: Copy>(source: &[u32], from: &[T], to: &mut [T]) {
    for (from, source) in from.iter().zip(source) {
        if let Some(to) = to.get_mut(*source as usize) {
            *to = *from;
        }
    }
}

impl<const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Permute<D> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        let from = *x;
        gather(&self.source, &from, x);
        T::ZERO
    }
}

impl<const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Permute<D> {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], _: &[T; C]) {
        for values in [x, log_slopes] {
            let from = *values;
            gather(&self.source, &from, values);
        }
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        coordinates.permute(&self.source);
    }
}

impl<const D: usize, const C: usize, T: Real> Forward<D, C, T> for Permute<D> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        let from = *z;
        scatter(&self.source, &from, z);
        T::ZERO
    }
}
