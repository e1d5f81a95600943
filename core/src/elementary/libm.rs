//! The functions of the crate `libm`.

use super::{Elementary, ElementaryName};

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
        ::libm::expf(x)
    }

    #[inline]
    fn ln(x: f32) -> f32 {
        ::libm::logf(x)
    }

    #[inline]
    fn sqrt(x: f32) -> f32 {
        ::libm::sqrtf(x)
    }

    #[inline]
    fn cbrt(x: f32) -> f32 {
        ::libm::cbrtf(x)
    }

    #[inline]
    fn tanh(x: f32) -> f32 {
        ::libm::tanhf(x)
    }

    #[inline]
    fn exp_m1(x: f32) -> f32 {
        ::libm::expm1f(x)
    }

    #[inline]
    fn ln_1p(x: f32) -> f32 {
        ::libm::log1pf(x)
    }

    #[inline]
    fn cos(x: f32) -> f32 {
        ::libm::cosf(x)
    }
}

impl Elementary<f64> for Libm {
    fn exp(x: f64) -> f64 {
        ::libm::exp(x)
    }

    fn ln(x: f64) -> f64 {
        ::libm::log(x)
    }

    fn sqrt(x: f64) -> f64 {
        ::libm::sqrt(x)
    }

    fn cbrt(x: f64) -> f64 {
        ::libm::cbrt(x)
    }

    fn tanh(x: f64) -> f64 {
        ::libm::tanh(x)
    }

    fn exp_m1(x: f64) -> f64 {
        ::libm::expm1(x)
    }

    fn ln_1p(x: f64) -> f64 {
        ::libm::log1p(x)
    }

    fn cos(x: f64) -> f64 {
        ::libm::cos(x)
    }
}
