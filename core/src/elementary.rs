//! Elementary functions as a type: the only place that calls `libm` and `micromath`.
//!
//! | type | largest relative error of `exp` | `ln` | `sqrt` | `cbrt` | `tanh` | `exp_m1` | `ln_1p` | `cos` |
//! |---|---|---|---|---|---|---|---|---|
//! | [`Libm`] | 7e-8 | 8e-8 | 6e-8 | 6e-8 | 2e-7 | 9e-8 | 9e-8 | 6e-8 |
//! | [`Micromath`] | 2.4e-3 | all others as [`Libm`] | | | | | | |
//!
//! Over all normal numbers, `exp` up to an absolute value of 87; 6e-8 is half a unit in the last place. A test of this
//! module sweeps both and holds them to these bounds. [`Libm`] is computed in integers and correctly ordered f32
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
    /// tanh x.
    fn tanh(x: T) -> T;
    /// e^x - 1, accurate near 0.
    fn exp_m1(x: T) -> T;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(x: T) -> T;
    /// cos x.
    fn cos(x: T) -> T;

    /// ln(1 + e^x), without an overflow.
    #[inline]
    fn softplus(x: T) -> T {
        let positive = if x > T::ZERO { x } else { T::ZERO };
        positive + Self::ln_1p(Self::exp(-x.abs()))
    }

    /// 1 / (1 + e^-x), without an overflow.
    #[inline]
    fn sigmoid(x: T) -> T {
        let small = Self::exp(-x.abs());
        let large = T::ONE / (T::ONE + small);
        if x > T::ZERO { large } else { small * large }
    }
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

    fn tanh(x: f64) -> f64 {
        libm::tanh(x)
    }

    fn exp_m1(x: f64) -> f64 {
        libm::expm1(x)
    }

    fn ln_1p(x: f64) -> f64 {
        libm::log1p(x)
    }

    fn cos(x: f64) -> f64 {
        libm::cos(x)
    }
}

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

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{Elementary, Libm, Micromath};

    /// Floats between two positive ones, all exponents alike.
    fn between(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (low.to_bits()..=high.to_bits()).step_by(1009).map(f32::from_bits)
    }

    fn both_signs(values: impl Iterator<Item = f32>) -> impl Iterator<Item = f32> {
        values.flat_map(|x| [x, -x])
    }

    /// The largest relative error.
    fn error(values: impl Iterator<Item = f32>, found: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        values.fold(0.0, |largest: f64, x| {
            let exact = exact(f64::from(x));
            let error = (f64::from(found(x)) - exact).abs();
            if error == 0.0 { largest } else { largest.max(error / exact.abs()) }
        })
    }

    /// A bound that holds and is not three times what is found.
    fn check(name: &str, found: f64, bound: f64) {
        std::println!("{name}: {found:.2e}");
        assert!(found <= bound && found > bound / 3.0, "{name}: the error is {found:e}, its stated bound {bound:e}");
    }

    #[test]
    fn errors_are_as_stated() {
        let tiny = f32::MIN_POSITIVE;
        let exponents = || both_signs(between(1e-10, 87.0));
        check("Libm exp", error(exponents(), <Libm as Elementary<f32>>::exp, libm::exp), 7e-8);
        check("Libm ln", error(between(tiny, f32::MAX), <Libm as Elementary<f32>>::ln, libm::log), 8e-8);
        check("Libm sqrt", error(between(tiny, f32::MAX), <Libm as Elementary<f32>>::sqrt, libm::sqrt), 6e-8);
        check(
            "Libm cbrt",
            error(both_signs(between(tiny, f32::MAX)), <Libm as Elementary<f32>>::cbrt, libm::cbrt),
            6e-8,
        );
        let wide = || both_signs(between(1e-10, 30.0));
        check("Libm tanh", error(wide(), <Libm as Elementary<f32>>::tanh, libm::tanh), 2e-7);
        check("Libm exp_m1", error(wide(), <Libm as Elementary<f32>>::exp_m1, libm::expm1), 9e-8);
        check("Libm ln_1p", error(between(1e-10, f32::MAX), <Libm as Elementary<f32>>::ln_1p, libm::log1p), 9e-8);
        check("Libm cos", error(both_signs(between(1e-10, 1e4)), <Libm as Elementary<f32>>::cos, libm::cos), 6e-8);
        check("Micromath exp", error(exponents(), <Micromath as Elementary<f32>>::exp, libm::exp), 2.4e-3);
        for x in both_signs(between(tiny, f32::MAX)) {
            let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(same(Micromath::ln(x), Libm::ln(x)) && same(Micromath::sqrt(x), Libm::sqrt(x)));
            assert!(same(Micromath::cbrt(x), Libm::cbrt(x)) && same(Micromath::tanh(x), Libm::tanh(x)));
            assert!(same(Micromath::exp_m1(x), Libm::exp_m1(x)) && same(Micromath::ln_1p(x), Libm::ln_1p(x)));
            assert!(same(Micromath::cos(x), Libm::cos(x)));
        }
    }

    #[test]
    fn far_off_arguments_saturate() {
        for x in [88.8_f32, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!(Libm::exp(x), f32::INFINITY);
            assert_eq!(Libm::exp(-2.0 * x), 0.0);
        }
        assert_eq!(Libm::exp(0.0_f32), 1.0);
        assert_eq!(Micromath::exp(0.0), 1.0);
        for x in [0.0_f32, 1.0, 30.0, 88.8, 1e4, f32::MAX] {
            let (up, down): (f32, f32) = (Libm::sigmoid(x), Libm::sigmoid(-x));
            assert!((up + down - 1.0).abs() < 2e-7 && (0.0..=1.0).contains(&up) && down >= 0.0);
            let (up, down): (f32, f32) = (Libm::softplus(x), Libm::softplus(-x));
            assert!((up - down - x).abs() <= 2e-7 * (1.0 + x) && up >= x && (0.0..1.0).contains(&down));
        }
    }
}
