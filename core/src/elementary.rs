//! Elementary functions as a type: the only place that calls `libm` and `micromath`.
//!
//! | type | largest relative error of `exp` | `ln` | `sqrt` |
//! |---|---|---|---|
//! | [`Libm`] | 1.2e-7 | 1.2e-7 | 1.2e-7 |
//! | [`Micromath`] | 2.4e-3 | as [`Libm`] | as [`Libm`] |
//!
//! A test of this module sweeps both and holds them to these bounds. [`Libm`] is computed in integers and correctly ordered f32
//! operations only, so its bits are the same on every target.

use crate::real::Real;

/// The elementary functions that layers and bases need.
pub trait Elementary<T: Real> {
    /// e^x.
    fn exp(x: T) -> T;
    /// The natural logarithm.
    fn ln(x: T) -> T;
    /// √x.
    fn sqrt(x: T) -> T;
    /// ∛x, of any sign.
    fn cbrt(x: T) -> T;
}

/// The name under which a set of elementary functions enters a model's fingerprint.
pub trait ElementaryName {
    /// A word of the canonical description.
    const NAME: &'static str;
}

/// `libm`: accurate to the last bits, the same bits on every target. The default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Libm;

impl ElementaryName for Libm {
    const NAME: &'static str = "Libm";
}

impl Elementary<f32> for Libm {
    #[inline]
    fn exp(x: f32) -> f32 {
        libm::expf(x)
    }

    #[inline]
    fn ln(x: f32) -> f32 {
        libm::logf(x)
    }

    #[inline]
    fn sqrt(x: f32) -> f32 {
        libm::sqrtf(x)
    }

    #[inline]
    fn cbrt(x: f32) -> f32 {
        libm::cbrtf(x)
    }
}

impl Elementary<f64> for Libm {
    fn exp(x: f64) -> f64 {
        libm::exp(x)
    }

    fn ln(x: f64) -> f64 {
        libm::log(x)
    }

    fn sqrt(x: f64) -> f64 {
        libm::sqrt(x)
    }

    fn cbrt(x: f64) -> f64 {
        libm::cbrt(x)
    }
}

/// `micromath`: smaller, and fast without an FPU, for couplings only.
///
/// Its `exp` is off by up to 0.24 %, while the log-determinant counts the exact log-scale: a density with it is off by
/// as much per transformed feature and no longer integrates to 1 exactly. Round trips stay exact, because both
/// directions of a coupling use the same `exp`. Its `ln` and `sqrt` are too coarse for the tails of a sampled base, so
/// those two, and `cbrt`, are `libm`'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Micromath;

impl ElementaryName for Micromath {
    const NAME: &'static str = "Micromath";
}

impl Elementary<f32> for Micromath {
    #[inline]
    fn exp(x: f32) -> f32 {
        // The newtype, not the extension trait: std's methods shadow the trait's without a word.
        micromath::F32(x).exp().0
    }

    #[inline]
    fn ln(x: f32) -> f32 {
        libm::logf(x)
    }

    #[inline]
    fn sqrt(x: f32) -> f32 {
        libm::sqrtf(x)
    }

    #[inline]
    fn cbrt(x: f32) -> f32 {
        libm::cbrtf(x)
    }
}
