//! The exponential of the crate `micromath`.

use super::{Elementary, ElementaryName};
use crate::real::Real;

/// Arguments of exponentials beyond this give 0 or ∞.
const FAR: f32 = 87.0;

/// `micromath`: smaller, and fast without an FPU, for couplings only.
///
/// Its `exp` is off by up to 0.24 %, while the log-determinant counts the exact log-scale: a density with it is off by
/// as much per transformed feature and no longer integrates to 1 exactly. Round trips stay exact, because both
/// directions of a coupling use the same `exp`. Its other functions are too coarse for log-determinants and for the
/// tails of a sampled base, so those are `libm`'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Micromath;

impl ElementaryName for Micromath {
    const NAME: &'static str = "Micromath";
}

impl Elementary<f32> for Micromath {
    #[inline]
    fn exp(x: f32) -> f32 {
        // Beyond this micromath's bits depend on how it was compiled.
        if Real::abs(x) > FAR {
            return if x > 0.0 { f32::INFINITY } else { 0.0 };
        }
        // The newtype, not the extension trait: std's methods shadow the trait's without a word.
        ::micromath::F32(x).exp().0
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

    #[inline]
    fn tanh(x: f32) -> f32 {
        libm::tanhf(x)
    }

    #[inline]
    fn exp_m1(x: f32) -> f32 {
        libm::expm1f(x)
    }

    #[inline]
    fn ln_1p(x: f32) -> f32 {
        libm::log1pf(x)
    }

    #[inline]
    fn cos(x: f32) -> f32 {
        libm::cosf(x)
    }
}
