//! Standardization: the units of the raw reading to zero mean and unit variance.
//!
//! z_i = (x_i - mean_i) · inverse_scale_i, log |det| = Σ ln inverse_scale_i. A layer like any other, so that
//! log-densities are in the units of the raw reading and the model file needs nothing beside it.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::elementary::{Elementary, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// Shifts and scales every feature by constants.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Standardize<const D: usize> {
    /// Subtracted, in the units of the feature.
    pub mean: [f32; D],
    /// Multiplied, per unit of the feature; positive.
    pub inverse_scale: [f32; D],
    /// Σ ln inverse_scale, stored because it is the same for every reading.
    pub log_det: f32,
}

impl<const D: usize> Layer for Standardize<D> {
    const SCHEMA: Schema = Schema::Layer(&const { record(&const { parameters(D) }, &const { fields(D) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize) -> [Parameter; 1] {
    [("features", Value::Number(features))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize) -> [Field; 3] {
    [
        Field::Data { name: "mean", format: Format::F32, count: features, rule: Rule::Finite },
        Field::Data { name: "inverse_scale", format: Format::F32, count: features, rule: Rule::Positive },
        Field::Data { name: "log_det", format: Format::F32, count: 1, rule: Rule::Finite },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { mixing: Mixing::Units, ..Record::stored("Standardize", parameters, fields) }
}

/// The layer's mathematics, on slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct StandardizeView<'a> {
    /// Subtracted.
    pub mean: &'a [f32],
    /// Multiplied.
    pub inverse_scale: &'a [f32],
    /// Σ ln inverse_scale.
    pub log_det: f32,
}

impl StandardizeView<'_> {
    /// Data -> base, in place; returns the log-determinant.
    #[inline]
    pub fn inverse<T: Real>(&self, x: &mut [T]) -> T {
        for ((x, mean), scale) in x.iter_mut().zip(self.mean).zip(self.inverse_scale) {
            *x = x.standardized(*mean, *scale);
        }
        T::from_f32(self.log_det)
    }

    /// Data -> base, in place; adds each feature's log-slope, ln inverse_scale. Computed in f32 whatever T is: the
    /// digits of a stored parameter are lost in fixed point, and its logarithm's are not.
    #[inline]
    pub fn inverse_slopes<T: Real>(&self, x: &mut [T], log_slopes: &mut [T]) {
        self.inverse(x);
        for (log_slope, scale) in log_slopes.iter_mut().zip(self.inverse_scale) {
            *log_slope = *log_slope + T::from_f32(<Libm as Elementary<f32>>::ln(*scale));
        }
    }

    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real>(&self, z: &mut [T]) -> T {
        for ((z, mean), scale) in z.iter_mut().zip(self.mean).zip(self.inverse_scale) {
            *z = *z / T::from_f32(*scale) + T::from_f32(*mean);
        }
        -T::from_f32(self.log_det)
    }
}

impl<const D: usize> Standardize<D> {
    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> StandardizeView<'_> {
        StandardizeView { mean: &self.mean, inverse_scale: &self.inverse_scale, log_det: self.log_det }
    }
}

impl<const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Standardize<D> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        self.view().inverse(x)
    }
}

impl<const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Standardize<D> {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], _: &[T; C]) {
        self.view().inverse_slopes(x, log_slopes);
    }
}

impl<const D: usize, const C: usize, T: Real> Forward<D, C, T> for Standardize<D> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward(z)
    }
}
