//! Planar flow: Rezende, Mohamed, "Variational Inference with Normalizing Flows", 2015, equations 10 to 12.
//!
//! - base -> data: x = z + u tanh(w·z + b), log |det| = ln(1 + (1 - tanh²(w·z + b)) w·u)
//!
//! It squeezes or stretches space along u, around one hyperplane, and has no inverse in closed form: a density comes from
//! the layer turned, `Turned<Planar<D>>`, which then gives no samples.
//!
//! The map is one to one where w·u > -1 (appendix A.1). What is stored is the u of equation 10, and the layer sees to
//! the condition itself, whatever is stored: see [`PlanarView::forward`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Layer};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// -w·u is at most this, 1 - 2⁻¹²: slopes stay far enough from 0 for their logarithm to be accurate in f32.
pub const STEEPEST: f32 = 1.0 - 1.0 / 4096.0;

/// x = z + u tanh(w·z + bias) on `D` features.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Planar<const D: usize, E = Libm> {
    /// Where to.
    pub u: [f32; D],
    /// The normal of the hyperplane.
    pub w: [f32; D],
    /// b.
    pub bias: f32,
    elementary: PhantomData<E>,
}

impl<const D: usize, E> Planar<D, E> {
    /// The layer with these parameters.
    #[must_use]
    pub const fn new(u: [f32; D], w: [f32; D], bias: f32) -> Self {
        Self { u, w, bias, elementary: PhantomData }
    }
}

impl<const D: usize, E: ElementaryName> Layer for Planar<D, E> {
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
        Field::Data { name: "u", format: Format::F32, count: features, rule: Rule::Finite },
        Field::Data { name: "w", format: Format::F32, count: features, rule: Rule::Finite },
        Field::Data { name: "bias", format: Format::F32, count: 1, rule: Rule::Finite },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(features: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { mixing: Mixing::Dense, macs: 3 * features, ..Record::stored("Planar", parameters, fields) }
}

/// The layer's mathematics, on slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct PlanarView<'a> {
    /// Where to.
    pub u: &'a [f32],
    /// The normal of the hyperplane.
    pub w: &'a [f32],
    /// b.
    pub bias: f32,
}

impl PlanarView<'_> {
    /// Base -> data, in place; returns the log-determinant.
    ///
    /// Where w·u < -[`STEEPEST`], u is replaced by the nearest vector for which they are equal, u + c w. Where w·u, |w|² or
    /// that c overflows, w counts as 0.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T]) -> T {
        let (mut along, mut square, mut argument) = (T::ZERO, T::ZERO, T::from_f32(self.bias));
        for ((z, u), w) in z.iter().zip(self.u).zip(self.w) {
            let (u, w) = (T::from_f32(*u), T::from_f32(*w));
            along = along + w * u;
            square = square + w * w;
            argument = argument + w * *z;
        }
        let lowest = -T::from_f32(STEEPEST);
        let mut correction = T::ZERO;
        if along < lowest {
            correction = (lowest - along) / square;
            along = lowest;
        }
        if !(along.is_finite() && square.is_finite() && correction.is_finite()) {
            (along, correction, argument) = (T::ZERO, T::ZERO, T::from_f32(self.bias));
        }
        let tanh = E::tanh(argument);
        for ((z, u), w) in z.iter_mut().zip(self.u).zip(self.w) {
            *z = *z + (T::from_f32(*u) + correction * T::from_f32(*w)) * tanh;
        }
        let square = tanh * tanh;
        E::ln(square + (T::ONE - square) * (T::ONE + along))
    }
}

impl<const D: usize, E> Planar<D, E> {
    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> PlanarView<'_> {
        PlanarView { u: &self.u, w: &self.w, bias: self.bias }
    }
}

impl<const D: usize, E: Elementary<T>, const C: usize, T: Real> Forward<D, C, T> for Planar<D, E> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward::<T, E>(z)
    }
}
