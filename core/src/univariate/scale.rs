//! From a net's output u to a positive scale s: the choices that flows were published and trained with.
//!
//! | type | s | who has it |
//! |---|---|---|
//! | [`Softsign`] | ln s = u / (1 + \|u\| / bound) | the default here; zuko |
//! | [`Exp`] | e^u | normflows; flows with no bound |
//! | [`Softplus`] | ln(1 + e^u) + floor | nflows, autoregressive |
//! | [`Sigmoid`] | sigmoid(u + 2) + floor | nflows, couplings; normflows |
//! | [`InverseSigmoid`] | 1 / sigmoid(u + 2) | normflows |
//!
//! The bounded ones are safe on far-off readings: an unbounded log-scale overflows there.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Record, Rule};

/// From a net's output u to a positive scale s.
pub trait Scale {
    /// Name and stored fields.
    const RECORD: Record;

    /// x / s and ln s.
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T);

    /// z · s and ln s.
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T);
}

/// Log-scales up to this: s and 1/s are then finite in f32.
const LIMIT: f32 = 80.0;

/// Outputs of nets up to this: twos are added to them.
const FINITE: f32 = 1e30;

/// ln s = u / (1 + |u| / bound), within ±bound: a division and no transcendental function, and the identity near 0.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Softsign {
    /// 1 / bound of the log-scales; positive.
    pub inverse_bound: f32,
}

/// The record of [`Softsign`].
pub const SOFTSIGN: Record = Record::stored(
    "Softsign",
    &[],
    &[Field::Data { name: "inverse_bound", format: Format::F32, count: 1, rule: Rule::Positive }],
);

impl Softsign {
    /// Log-scales within ±`bound`.
    #[must_use]
    pub const fn new(bound: f32) -> Self {
        Self { inverse_bound: 1.0 / bound }
    }

    #[inline(always)]
    fn log_scale<T: Real>(&self, raw: T) -> T {
        raw / (T::ONE + raw.abs() * T::from_f32(self.inverse_bound))
    }
}

impl Scale for Softsign {
    const RECORD: Record = SOFTSIGN;

    #[inline(always)]
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T) {
        let log_scale = self.log_scale(raw);
        (x * E::exp(-log_scale), log_scale)
    }

    /// Divides by the same e^-s that [`Scale::divide`] multiplies by, so that round trips stay exact with coarse elementary
    /// functions too.
    #[inline(always)]
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T) {
        let log_scale = self.log_scale(raw);
        (z / E::exp(-log_scale), log_scale)
    }
}

/// s = e^u, with u clamped to ±80.
#[derive(Clone, Copy, Debug, Default, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Exp;

/// The record of [`Exp`].
pub const EXP: Record = Record::stored("Exp", &[], &[]);

impl Scale for Exp {
    const RECORD: Record = EXP;

    #[inline(always)]
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T) {
        let log_scale = raw.clamp_abs(T::from_f32(LIMIT));
        (x * E::exp(-log_scale), log_scale)
    }

    #[inline(always)]
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T) {
        let log_scale = raw.clamp_abs(T::from_f32(LIMIT));
        (z / E::exp(-log_scale), log_scale)
    }
}

/// What is added to a scale that could otherwise be 0.
const FLOOR: [Field; 1] = [Field::Data { name: "floor", format: Format::F32, count: 1, rule: Rule::Positive }];

/// s = ln(1 + e^u) + floor.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Softplus {
    /// The lowest scale; positive.
    pub floor: f32,
}

/// The record of [`Softplus`].
pub const SOFTPLUS: Record = Record::stored("Softplus", &[], &FLOOR);

impl Softplus {
    #[inline(always)]
    fn scale<T: Real, E: Elementary<T>>(&self, raw: T) -> T {
        E::softplus(raw.clamp_abs(T::from_f32(FINITE))) + T::from_f32(self.floor)
    }
}

impl Scale for Softplus {
    const RECORD: Record = SOFTPLUS;

    #[inline(always)]
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T) {
        let scale = self.scale::<T, E>(raw);
        (x / scale, E::ln(scale))
    }

    #[inline(always)]
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T) {
        let scale = self.scale::<T, E>(raw);
        (z * scale, E::ln(scale))
    }
}

/// s = sigmoid(u + 2) + floor: about 1 before a fit, and never much more.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Sigmoid {
    /// The lowest scale; positive. `f32::MIN_POSITIVE` adds nothing to a scale that is not tiny itself.
    pub floor: f32,
}

/// The record of [`Sigmoid`].
pub const SIGMOID: Record = Record::stored("Sigmoid", &[], &FLOOR);

impl Sigmoid {
    #[inline(always)]
    fn scale<T: Real, E: Elementary<T>>(&self, raw: T) -> T {
        E::sigmoid(raw.clamp_abs(T::from_f32(FINITE)) + T::from_f32(2.0)) + T::from_f32(self.floor)
    }
}

impl Scale for Sigmoid {
    const RECORD: Record = SIGMOID;

    #[inline(always)]
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T) {
        let scale = self.scale::<T, E>(raw);
        (x / scale, E::ln(scale))
    }

    #[inline(always)]
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T) {
        let scale = self.scale::<T, E>(raw);
        (z * scale, E::ln(scale))
    }
}

/// s = 1 / sigmoid(u + 2), with u + 2 clamped to ±80: about 1 before a fit, and never much less.
#[derive(Clone, Copy, Debug, Default, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct InverseSigmoid;

/// The record of [`InverseSigmoid`].
pub const INVERSE_SIGMOID: Record = Record::stored("InverseSigmoid", &[], &[]);

impl InverseSigmoid {
    #[inline(always)]
    fn reciprocal<T: Real, E: Elementary<T>>(raw: T) -> (T, T) {
        let raw = (raw + T::from_f32(2.0)).clamp_abs(T::from_f32(LIMIT));
        (E::sigmoid(raw), E::softplus(-raw))
    }
}

impl Scale for InverseSigmoid {
    const RECORD: Record = INVERSE_SIGMOID;

    #[inline(always)]
    fn divide<T: Real, E: Elementary<T>>(&self, x: T, raw: T) -> (T, T) {
        let (reciprocal, log_scale) = Self::reciprocal::<T, E>(raw);
        (x * reciprocal, log_scale)
    }

    #[inline(always)]
    fn multiply<T: Real, E: Elementary<T>>(&self, z: T, raw: T) -> (T, T) {
        let (reciprocal, log_scale) = Self::reciprocal::<T, E>(raw);
        (z / reciprocal, log_scale)
    }
}
