//! The standard normal distribution: independent coordinates of mean 0 and variance 1.

use core::marker::PhantomData;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Base, BaseRecord, HALF_LN_TAU, Independent};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Parameter, Record, Value};

/// The standard normal distribution: independent coordinates of mean 0 and variance 1. Stores nothing.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct StandardNormal<const D: usize, E = Libm>(PhantomData<E>);

impl<const D: usize, E> StandardNormal<D, E> {
    /// The base.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<const D: usize, E> Default for StandardNormal<D, E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const D: usize, E: ElementaryName> BaseRecord for StandardNormal<D, E> {
    const RECORD: Record = record(&const { parameters(D, E::NAME) });
}

/// What describes the standard normal base.
#[must_use]
pub const fn parameters(features: usize, elementary: &'static str) -> [Parameter; 2] {
    [("features", Value::Number(features)), ("elementary", Value::Word(elementary))]
}

/// The standard normal base's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter]) -> Record {
    Record::stored("StandardNormal", parameters, &[])
}

/// The standard normal log-density of a slice: Σ (-z²/2) - n ln(2π)/2, summed in order.
#[inline]
pub fn standard_normal_log_prob<T: Real>(z: &[T]) -> T {
    let mut squares = T::ZERO;
    let mut constant = T::ZERO;
    for z in z {
        squares = squares + *z * *z;
        constant = constant + T::from_f32(HALF_LN_TAU);
    }
    T::from_f32(-0.5) * squares - constant
}

/// Adds each coordinate's log-density. They are standard normal deviates already.
#[inline]
pub fn standard_normal_terms<T: Real>(z: &[T], log_probs: &mut [T]) {
    for (z, log_prob) in z.iter().zip(log_probs) {
        *log_prob = *log_prob + standard_normal_log_prob(core::slice::from_ref(z));
    }
}

/// A standard normal deviate from 32 uniform bits, by inversion: no loop, so nothing blocks on a broken generator, and
/// one deviate for each word, so a stream of them is reproducible.
#[inline]
pub fn standard_normal_deviate<T: Real, E: Elementary<T>>(bits: u32) -> T {
    // The top bit is the sign, the others the tail probability, in the middle of its cell: never 0.
    let tail = (T::from_i32((bits & 0x7FFF_FFFF) as i32) + T::from_f32(0.5)) * T::from_f32(1.0 / 4_294_967_296.0);
    let deviate = upper_quantile::<T, E>(tail);
    if bits >> 31 == 0 { deviate } else { -deviate }
}

/// The z ≥ 0 that a standard normal variable exceeds with probability `tail` in (0, 1/2]. Wichura, "Algorithm AS 241:
/// the percentage points of the normal distribution", Applied Statistics 37, 1988, PPND7: relative error about 1e-7.
pub(super) fn upper_quantile<T: Real, E: Elementary<T>>(tail: T) -> T {
    let polynomial = |coefficients: &[f32], r: T| {
        let mut sum = T::ZERO;
        for coefficient in coefficients {
            sum = sum * r + T::from_f32(*coefficient);
        }
        sum
    };
    let q = T::from_f32(0.5) - tail;
    if q <= T::from_f32(0.425) {
        let r = T::from_f32(0.180_625) - q * q;
        return q * polynomial(&[59.109_375, 159.291_13, 50.434_27, 3.387_132_7], r)
            / polynomial(&[67.187_56, 78.757_76, 17.895_17, 1.0], r);
    }
    let r = E::sqrt(-E::ln(tail));
    if r <= T::from_f32(5.0) {
        let r = r - T::from_f32(1.6);
        polynomial(&[0.170_238_21, 1.306_728_5, 2.756_815_4, 1.423_437_2], r)
            / polynomial(&[0.120_211_33, 0.737_001_6, 1.0], r)
    } else {
        let r = r - T::from_f32(5.0);
        polynomial(&[0.017_337_203, 0.428_682_94, 3.081_226_4, 6.657_905], r)
            / polynomial(&[0.012_258_203, 0.241_978_94, 1.0], r)
    }
}

impl<const D: usize, T: Real, E: Elementary<T>> Base<D, T> for StandardNormal<D, E> {
    #[inline]
    fn log_prob(&self, z: &[T; D]) -> T {
        standard_normal_log_prob(z)
    }

    #[inline]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> [T; D] {
        core::array::from_fn(|_| standard_normal_deviate::<T, E>(rng.next_u32()))
    }
}

impl<const D: usize, T: Real, E: Elementary<T>> Independent<D, T> for StandardNormal<D, E> {
    #[inline]
    fn terms(&self, z: &mut [T; D], log_probs: &mut [T; D]) {
        standard_normal_terms(z, log_probs);
    }
}

#[cfg(test)]
mod tests {
    use super::{Libm, standard_normal_deviate, upper_quantile};

    #[test]
    fn quantiles_invert_the_complementary_error_function() {
        for exponent in 1..=300 {
            let tail = libm::exp2(-f64::from(exponent) / 10.0);
            if tail > 0.5 {
                continue;
            }
            let z = upper_quantile::<f64, Libm>(tail);
            let back = libm::erfc(z / core::f64::consts::SQRT_2) / 2.0;
            assert!((back / tail - 1.0).abs() < 2e-7 * (1.0 + z * z), "{tail}: {z} {back}");
            let single = upper_quantile::<f32, Libm>(tail as f32);
            assert!((f64::from(single) - z).abs() < 2e-6 * (1.0 + z), "{tail}: {single} {z}");
        }
    }

    #[test]
    fn deviates_are_finite_and_symmetric_for_all_extremes() {
        for bits in [0, 1, 0x7FFF_FFFF, 0x4000_0000] {
            let up = standard_normal_deviate::<f32, Libm>(bits);
            let down = standard_normal_deviate::<f32, Libm>(bits | 0x8000_0000);
            assert!((0.0..=6.5).contains(&up), "{bits:x}: {up}");
            assert_eq!(up, -down);
        }
    }
}
