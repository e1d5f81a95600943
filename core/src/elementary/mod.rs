//! Elementary functions as a type: the only place that calls `libm` and `micromath`.
//!
//! | type | largest relative error of `exp` | `ln` | `sqrt` | `cbrt` | `tanh` | `exp_m1` | `ln_1p` | `cos` |
//! |---|---|---|---|---|---|---|---|---|
//! | [`Libm`] | 7e-8 | 8e-8 | 6e-8 | 6e-8 | 2e-7 | 9e-8 | 9e-8 | 6e-8 |
//! | [`Fast`] | 1.6e-7 | absolute: 4e-8 for 1/2 to 2, 4.2e-6 | as [`Libm`] | as [`Libm`] | absolute: 2e-7 | of e^x: 3e-7 | absolute: as `ln` | as [`Libm`] |
//! | [`Micromath`] | 2.4e-3 | all others as [`Libm`] | | | | | | |
//! | of [`Fixed`](crate::Fixed) | absolute: 8e-6, and 1e-7 of e^x | absolute: 8e-6 | absolute: 8e-6 | absolute: 1.6e-5 | absolute: 3e-5 | absolute: 8e-6 and 1e-7 of e^x | absolute: 8e-6 | absolute: 2e-4 |
//!
//! Over all normal numbers, `exp` up to an absolute value of 87; 6e-8 is half a unit in the last place. A test of this
//! module sweeps both and holds them to these bounds. [`Libm`] is computed in integers and correctly ordered f32
//! operations only, so its bits are the same on every target.

mod fast;
mod fixed;
mod integer;
mod libm;
mod micromath;

pub use fast::Fast;
pub use libm::Libm;
pub use micromath::Micromath;

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

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{Elementary, Fast, Libm, Micromath};
    use crate::Fixed;
    use crate::real::Real;

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

    /// The largest absolute error.
    fn absolute(values: impl Iterator<Item = f32>, found: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        values.fold(0.0, |largest: f64, x| largest.max((f64::from(found(x)) - exact(f64::from(x))).abs()))
    }

    #[test]
    fn errors_of_the_fast_ones_are_as_stated() {
        let exponents = || both_signs(between(1e-10, 87.0));
        check("Fast exp", error(exponents(), <Fast as Elementary<f32>>::exp, libm::exp), 1.6e-7);
        check("Fast ln near 1", absolute(between(0.5, 2.0), <Fast as Elementary<f32>>::ln, libm::log), 4e-8);
        let all = || between(f32::MIN_POSITIVE, f32::MAX);
        check("Fast ln", absolute(all(), <Fast as Elementary<f32>>::ln, libm::log), 4.2e-6);
        let wide = || both_signs(between(1e-10, 30.0));
        check("Fast tanh", absolute(wide(), <Fast as Elementary<f32>>::tanh, libm::tanh), 2e-7);
        let of_exp = wide().fold(0.0, |largest: f64, x| {
            let error = f64::from(<Fast as Elementary<f32>>::exp_m1(x)) - libm::expm1(x.into());
            largest.max(error.abs() / libm::exp(x.into()).max(1.0))
        });
        check("Fast exp_m1", of_exp, 3e-7);
        check("Fast ln_1p", absolute(both_signs(between(1e-10, 0.9)), Fast::ln_1p, libm::log1p), 4e-7);
    }

    #[test]
    fn errors_in_fixed_point_are_as_stated() {
        let double = |x: Fixed| f64::from(x.bits()) / 65536.0;
        let all = |from: i32, to: i32, step: usize| (from..to).step_by(step).map(Fixed::from_bits);
        type Function = fn(Fixed) -> Fixed;
        let largest = |values: &mut dyn Iterator<Item = Fixed>, found: Function, exact: &dyn Fn(f64) -> f64| {
            values.fold(0.0, |largest: f64, x| largest.max((double(found(x)) - exact(double(x))).abs()))
        };
        let positive = || all(1, 32_000 << 16, 10_007);
        let any = || all(-20 << 16, 20 << 16, 13);
        check("Fixed exp", largest(&mut all(-20 << 16, 1 << 16, 3), Libm::exp, &libm::exp), 8e-6);
        let relative = all(1 << 16, 10 << 16, 5).fold(0.0, |largest: f64, x| {
            let exact = libm::exp(double(x));
            largest.max(((double(Libm::exp(x)) - exact).abs() - 8e-6) / exact)
        });
        check("Fixed exp, above", relative, 1.2e-7);
        check("Fixed ln", largest(&mut positive(), Libm::ln, &libm::log), 8e-6);
        check("Fixed sqrt", largest(&mut positive(), Libm::sqrt, &libm::sqrt), 8e-6);
        check("Fixed cbrt", largest(&mut positive(), Libm::cbrt, &libm::cbrt), 1.6e-5);
        check("Fixed tanh", largest(&mut any(), Libm::tanh, &libm::tanh), 3e-5);
        check("Fixed cos", largest(&mut any(), Libm::cos, &libm::cos), 2e-4);
        check("Fixed ln_1p", largest(&mut positive(), Libm::ln_1p, &libm::log1p), 8e-6);
        check("Fixed softplus", largest(&mut any(), Libm::softplus, &|x| libm::log1p(libm::exp(x))), 2.4e-5);
        check("Fixed sigmoid", largest(&mut any(), Libm::sigmoid, &|x| 1.0 / (1.0 + libm::exp(-x))), 2.4e-5);
    }

    #[test]
    fn far_off_arguments_of_the_fast_ones_saturate() {
        for x in [88.8_f32, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!(Fast::exp(x), f32::INFINITY);
            assert_eq!(Fast::exp(-2.0 * x), 0.0);
        }
        assert_eq!((Fast::exp(0.0_f32), Fast::exp(-0.0), Fast::ln(1.0)), (1.0, 1.0, 0.0));
        assert!(Fast::exp(f32::NAN).is_nan() && Fast::ln(f32::NAN).is_nan() && Fast::ln(-1.0).is_nan());
        assert_eq!((Fast::ln(0.0), Fast::ln(f32::INFINITY)), (f32::NEG_INFINITY, f32::INFINITY));
        assert!((Fast::ln(1e-40) - libm::logf(1e-40)).abs() < 1e-5);
        let fixed = |x: f32| Fixed::from_f32(x);
        for x in [11.0, 30_000.0, f32::MAX, f32::INFINITY] {
            assert_eq!(Libm::exp(fixed(x)), Fixed::LARGEST);
            assert_eq!(Libm::exp(fixed(-x)).bits(), i32::from(x == 11.0));
        }
        assert_eq!(Libm::ln(fixed(0.0)), Fixed::NEG_INFINITY);
        assert_eq!(Libm::ln(fixed(-3.0)), Fixed::NEG_INFINITY);
    }

    #[test]
    fn far_off_arguments_saturate() {
        for x in [88.8_f32, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!(Libm::exp(x), f32::INFINITY);
            assert_eq!(Libm::exp(-2.0 * x), 0.0);
        }
        assert_eq!(Libm::exp(0.0_f32), 1.0);
        assert_eq!(Micromath::exp(0.0), 1.0);
        for x in [87.5_f32, 1e4, f32::MAX, f32::INFINITY] {
            assert_eq!((Micromath::exp(x), Micromath::exp(-x)), (f32::INFINITY, 0.0));
        }
        for x in [0.0_f32, 1.0, 30.0, 88.8, 1e4, f32::MAX] {
            let (up, down): (f32, f32) = (Libm::sigmoid(x), Libm::sigmoid(-x));
            assert!((up + down - 1.0).abs() < 2e-7 && (0.0..=1.0).contains(&up) && down >= 0.0);
            let (up, down): (f32, f32) = (Libm::softplus(x), Libm::softplus(-x));
            assert!((up - down - x).abs() <= 2e-7 * (1.0 + x) && up >= x && (0.0..1.0).contains(&down));
        }
    }
}
