//! Radial flow: Rezende, Mohamed, "Variational Inference with Normalizing Flows", 2015, equation 14.
//!
//! With the distance r = |z - z₀| from a centre:
//!
//! - base -> data: x = z + β / (α + r) · (z - z₀), a step away from the centre, or towards it with a negative β
//!
//! It has no inverse in closed form here: a density comes from the layer turned, `Turned<Radial<D>>`, which then gives no
//! samples.
//!
//! The map is one to one where α > 0 and β > -α (appendix A.2), so α and α + β are stored, both positive. With
//! ρ = (α + β + r) / (α + r) and q = α / (α + r) it is x = z₀ + ρ (z - z₀), and its determinant is ρ^(D-1) (1 - q + q ρ):
//! no term cancels another, so its logarithm is exact to the last bits everywhere.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Layer};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// Lengths are taken as this at the most, and α and α + β as its inverse at the least: what is computed of them is a
/// normal f32.
const LONGEST: f32 = 1e18;

/// x = z + β / (α + |z - center|) · (z - center) on `D` features.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Radial<const D: usize, E = Libm> {
    /// z₀.
    pub center: [f32; D],
    /// α: how far the step reaches; positive.
    pub alpha: f32,
    /// α + β; positive.
    pub alpha_plus_beta: f32,
    elementary: PhantomData<E>,
}

impl<const D: usize, E> Radial<D, E> {
    /// The layer with these parameters.
    #[must_use]
    pub const fn new(center: [f32; D], alpha: f32, alpha_plus_beta: f32) -> Self {
        Self { center, alpha, alpha_plus_beta, elementary: PhantomData }
    }
}

impl<const D: usize, E: ElementaryName> Layer for Radial<D, E> {
    const SCHEMA: Schema = Schema::Layer(&const { record(D, &const { parameters(D, E::NAME) }, &const { fields(D) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize, elementary: &'static str) -> [Parameter; 2] {
    [("features", Value::Number(features)), ("elementary", Value::Word(elementary))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize) -> [Field; 3] {
    [
        Field::Data { name: "center", format: Format::F32, count: features, rule: Rule::Finite },
        Field::Data { name: "alpha", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Data { name: "alpha_plus_beta", format: Format::F32, count: 1, rule: Rule::Positive },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(features: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { mixing: Mixing::Dense, macs: 2 * features, ..Record::stored("Radial", parameters, fields) }
}

/// The layer's mathematics, on slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct RadialView<'a> {
    /// z₀.
    pub center: &'a [f32],
    /// α.
    pub alpha: f32,
    /// α + β.
    pub alpha_plus_beta: f32,
}

impl RadialView<'_> {
    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T]) -> T {
        let mut square = T::ZERO;
        for (z, center) in z.iter().zip(self.center) {
            let away = *z - T::from_f32(*center);
            square = square + away * away;
        }
        let longest = T::from_f32(LONGEST);
        let distance = E::sqrt(square).clamp_abs(longest);
        let positive = |stored: f32| {
            let (stored, least) = (T::from_f32(stored).clamp_abs(longest), T::from_f32(1.0 / LONGEST));
            if stored > least { stored } else { least }
        };
        let (alpha, stretched) = (positive(self.alpha), positive(self.alpha_plus_beta));
        let ratio = (stretched + distance) / (alpha + distance);
        let near = alpha / (alpha + distance);
        for (z, center) in z.iter_mut().zip(self.center) {
            let center = T::from_f32(*center);
            *z = center + ratio * (*z - center);
        }
        let across = T::from_i32(z.len().saturating_sub(1) as i32);
        across * E::ln(ratio) + E::ln((T::ONE - near) + near * ratio)
    }
}

impl<const D: usize, E> Radial<D, E> {
    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> RadialView<'_> {
        RadialView { center: &self.center, alpha: self.alpha, alpha_plus_beta: self.alpha_plus_beta }
    }
}

impl<const D: usize, E: Elementary<T>, const C: usize, T: Real> Forward<D, C, T> for Radial<D, E> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward::<T, E>(z)
    }
}
