//! Student's t distribution: independent coordinates, each with degrees of freedom ν of its own.
//!
//! ln p(z) = Σ ln Γ((ν+1)/2) - ln Γ(ν/2) - ln(νπ)/2 - (ν+1)/2 · ln(1 + z²/ν)
//!
//! What depends on ν alone is stored, so a density needs one function, ln(1 + x). With ν = 1 this is Cauchy's distribution,
//! with ν = ∞ it would be the normal one. As the base of a flow: Alexanderson, Henter, "Robust model training and
//! generalisation with Studentising flows", 2020: a wild reading pulls on such a fit with a bounded force.

use core::marker::PhantomData;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::standard_normal::upper_quantile;
use super::{Base, BaseRecord, Independent, uniform};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// `D` independent Student t variables.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct StudentT<const D: usize, E = Libm> {
    /// ν of each coordinate; positive.
    pub degrees: [f32; D],
    /// ln Γ((ν+1)/2) - ln Γ(ν/2) - ln(νπ)/2 of each coordinate.
    pub constant: [f32; D],
    elementary: PhantomData<E>,
}

impl<const D: usize, E: ElementaryName> BaseRecord for StudentT<D, E> {
    const RECORD: Record = record(&const { parameters(D, E::NAME) }, &const { fields(D) });
}

/// What describes the base.
#[must_use]
pub const fn parameters(features: usize, elementary: &'static str) -> [Parameter; 2] {
    [("features", Value::Number(features)), ("elementary", Value::Word(elementary))]
}

/// What the base stores.
#[must_use]
pub const fn fields(features: usize) -> [Field; 2] {
    [
        Field::Data { name: "degrees", format: Format::F32, count: features, rule: Rule::Positive },
        Field::Data { name: "constant", format: Format::F32, count: features, rule: Rule::Finite },
    ]
}

/// The base's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record::stored("StudentT", parameters, fields)
}

/// The base's mathematics, on slices of one length.
#[derive(Clone, Copy, Debug)]
pub struct StudentTView<'a> {
    /// ν.
    pub degrees: &'a [f32],
    /// What depends on ν alone.
    pub constant: &'a [f32],
}

impl StudentTView<'_> {
    /// The log-density, summed in order.
    #[inline]
    pub fn log_prob<T: Real, E: Elementary<T>>(&self, z: &[T]) -> T {
        let mut sum = T::ZERO;
        for ((z, degrees), constant) in z.iter().zip(self.degrees).zip(self.constant) {
            let degrees = T::from_f32(*degrees);
            let (square, highest) = (*z / degrees * *z, T::from_f32(f32::MAX));
            // A square that overflows saturates; a NaN stays one.
            let square = if square > highest { highest } else { square };
            let power = T::from_f32(0.5) * degrees + T::from_f32(0.5);
            sum = sum + (T::from_f32(*constant) - power * E::ln_1p(square));
        }
        sum
    }

    /// Adds each coordinate's log-density, and replaces the coordinate by its [`normal_deviate`].
    #[inline]
    pub fn terms<T: Real, E: Elementary<T>>(&self, z: &mut [T], log_probs: &mut [T]) {
        for (((z, log_prob), degrees), constant) in z.iter_mut().zip(log_probs).zip(self.degrees).zip(self.constant) {
            let one = StudentTView { degrees: &[*degrees], constant: &[*constant] };
            *log_prob = *log_prob + one.log_prob::<T, E>(&[*z]);
            *z = T::from_f32(normal_deviate(*degrees, *constant, z.to_f32()));
        }
    }

    /// A sample of each coordinate, in order, from two words each.
    #[inline]
    pub fn sample<T: Real, E: Elementary<T>, R: Rng + ?Sized>(&self, rng: &mut R, z: &mut [T]) {
        for (z, degrees) in z.iter_mut().zip(self.degrees) {
            let words = [rng.next_u32(), rng.next_u32()];
            *z = student_t_deviate::<T, E>(*degrees, words);
        }
    }
}

/// A Student t deviate from 64 uniform bits: Bailey, "Polar generation of random variates with the t-distribution",
/// Mathematics of Computation 62, 1994, in the form that needs no rejection: √(ν (U^(-2/ν) - 1)) cos(2πV).
///
/// Beyond 10^17 it saturates, which takes degrees of freedom below 0.6.
#[inline]
pub fn student_t_deviate<T: Real, E: Elementary<T>>(degrees: f32, [radius, angle]: [u32; 2]) -> T {
    let degrees = T::from_f32(degrees);
    let exponent = T::from_f32(-2.0) / degrees * E::ln(uniform::<T>(radius));
    let limit = T::from_f32(80.0);
    let exponent = if exponent < limit { exponent } else { limit };
    // Half a turn has all cosines.
    let cosine = E::cos(T::from_f32(core::f32::consts::PI) * uniform::<T>(angle));
    E::sqrt(degrees) * E::sqrt(E::exp_m1(exponent)) * cosine
}

/// Degrees of freedom from which on the two distributions are taken for one but for their scales.
const MANY_DEGREES: f32 = 200.0;

/// The standard normal deviate that is exceeded as often as a Student t variable exceeds `z`; `constant` is that of
/// its degrees of freedom. Beyond a probability of 1e-38 it saturates, at 13 deviations. Relative error up to 1e-3. In
/// f32 in every flow's arithmetic, for it is no part of a score.
///
/// P(t > z) = I_y(ν/2, 1/2) / 2 with y = ν / (ν + z²), by the continued fraction of the incomplete beta function
/// (Abramowitz, Stegun, "Handbook of mathematical functions", 1964, 26.5.8); with many degrees of freedom by D. L.
/// Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", 1959.
#[inline]
pub fn normal_deviate(degrees: f32, constant: f32, z: f32) -> f32 {
    let (ln, ln_1p, exp, sqrt) = (
        <Libm as Elementary<f32>>::ln,
        <Libm as Elementary<f32>>::ln_1p,
        <Libm as Elementary<f32>>::exp,
        <Libm as Elementary<f32>>::sqrt,
    );
    let square = (z / degrees * z).min(f32::MAX);
    // ln(1 + z²/ν) = -ln y.
    let log = ln_1p(square);
    let deviate = if degrees > MANY_DEGREES {
        (8.0 * degrees + 1.0) / (8.0 * degrees + 3.0) * sqrt(degrees * log)
    } else {
        let (half, y) = (0.5 * degrees, 1.0 / (1.0 + square));
        // y^(ν/2) (1-y)^(1/2) / B(ν/2, 1/2), where 1 - y = z²/ν · y and 1 / B = √ν e^constant.
        let common = exp(constant + 0.5 * (ln(degrees) + ln(square)) - (half + 0.5) * log);
        let tail = if y * (half + 2.5) < half + 1.0 {
            0.5 * common / half * fraction(half, 0.5, y)
        } else {
            0.5 - common * fraction(0.5, half, 1.0 - y)
        };
        upper_quantile::<f32, Libm>(tail.clamp(f32::MIN_POSITIVE, 0.5))
    };
    if z < 0.0 { -deviate } else { deviate }
}

/// The continued fraction of the incomplete beta function I_y(a, b), by Lentz's method.
fn fraction(a: f32, b: f32, y: f32) -> f32 {
    const TINY: f32 = 1e-30;
    let away = |value: f32| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * y / (a + 1.0)));
    let mut result = d;
    for step in 1..64_u8 {
        let m = f32::from(step);
        let even = m * (b - m) * y / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * y / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            result *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-6 {
            break;
        }
    }
    result
}

impl<const D: usize, E> StudentT<D, E> {
    /// With these degrees of freedom, and what follows from each (see [`StudentT::constant`]).
    #[must_use]
    pub const fn new(degrees: [f32; D], constant: [f32; D]) -> Self {
        Self { degrees, constant, elementary: PhantomData }
    }

    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> StudentTView<'_> {
        StudentTView { degrees: &self.degrees, constant: &self.constant }
    }
}

impl<const D: usize, T: Real, E: Elementary<T>> Base<D, T> for StudentT<D, E> {
    #[inline]
    fn log_prob(&self, z: &[T; D]) -> T {
        self.view().log_prob::<T, E>(z)
    }

    #[inline]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> [T; D] {
        let mut z = [T::ZERO; D];
        self.view().sample::<T, E, R>(rng, &mut z);
        z
    }
}

impl<const D: usize, T: Real, E: Elementary<T>> Independent<D, T> for StudentT<D, E> {
    #[inline]
    fn terms(&self, z: &mut [T; D], log_probs: &mut [T; D]) {
        self.view().terms::<T, E>(z, log_probs);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::f64::consts::PI;
    use std::vec::Vec;

    use super::super::tests::{Splitmix, distance};
    use super::{Base, Independent, Libm, StudentT, normal_deviate, student_t_deviate};

    fn student_t<const D: usize>(degrees: [f32; D]) -> StudentT<D> {
        let constant = degrees.map(|degrees| {
            let half = f64::from(degrees) / 2.0;
            (libm::lgamma(half + 0.5) - libm::lgamma(half) - libm::log(2.0 * half * PI) / 2.0) as f32
        });
        StudentT::new(degrees, constant)
    }

    /// Mass below z, from -∞ on: the midpoint rule in t with z = sinh t, which reaches far with few cells.
    fn cumulative(base: &StudentT<1>, to: f64) -> f64 {
        const CELLS: u32 = 20_000;
        let (low, high) = (-40.0, libm::asinh(to));
        let width = (high - low) / f64::from(CELLS);
        let cell = |cell| {
            let t = low + (f64::from(cell) + 0.5) * width;
            libm::exp(base.log_prob(&[libm::sinh(t)])) * libm::cosh(t) * width
        };
        (0..CELLS).map(cell).sum()
    }

    #[test]
    fn densities_integrate_to_one() {
        for degrees in [0.7, 1.0, 2.5, 8.0, 100.0] {
            let total = cumulative(&student_t([degrees]), 1e15);
            assert!((total - 1.0).abs() < 1e-6, "{degrees}: {total}");
        }
    }

    #[test]
    fn densities_and_samples_are_those_of_the_closed_forms() {
        type Cumulative = fn(f64) -> f64;
        let closed: [(f32, Cumulative); 4] = [
            (1.0, |z| 0.5 + libm::atan(z) / PI),
            (2.0, |z| 0.5 + z / (2.0 * libm::sqrt(2.0 + z * z))),
            (3.0, |z| {
                let t = z / libm::sqrt(3.0);
                0.5 + (t / (1.0 + t * t) + libm::atan(t)) / PI
            }),
            (4.0, |z| {
                let square = z * z / (4.0 + z * z);
                0.5 + 0.75 * libm::sqrt(square).copysign(z) * (1.0 - square / 3.0)
            }),
        ];
        for (degrees, exact) in closed {
            let base = student_t([degrees]);
            for z in [-1e3, -30.0, -2.0, -0.1, 0.0, 0.7, 5.0] {
                let (found, exact) = (cumulative(&base, z), exact(z));
                assert!((found - exact).abs() < 1e-5 * exact + 1e-15, "{degrees} at {z}: {found}, but {exact}");
            }
            let mut rng = Splitmix(1);
            let samples = (0..20_000).map(|_| Base::<1, f32>::sample(&base, &mut rng)[0]);
            let distance = distance(samples.map(|z| exact(f64::from(z))).collect());
            // Exceeded by a true sample of this size once in a thousand.
            assert!(distance < 1.95 / 141.4, "{degrees}: {distance}");
        }
    }

    #[test]
    fn few_and_many_degrees_of_freedom_are_sampled_as_integrated() {
        for degrees in [0.8_f32, 30.0, 1000.0] {
            let base = student_t([degrees]);
            let mut rng = Splitmix(2);
            let mut samples: Vec<f32> = (0..20_000).map(|_| Base::<1, f32>::sample(&base, &mut rng)[0]).collect();
            samples.sort_by(f32::total_cmp);
            for percent in [1, 10, 30, 50, 80, 99] {
                let z = f64::from(samples[samples.len() * percent / 100]);
                let gap = cumulative(&base, z) - percent as f64 / 100.0;
                assert!(gap.abs() < 1.95 / 141.4, "{degrees}: {percent} % at {z}, {gap} off");
            }
        }
    }

    #[test]
    fn coordinates_add_up_and_f32_is_close_to_f64() {
        let degrees = [0.5, 1.0, 3.0, 7.5, 40.0, 1e6];
        let base = student_t(degrees);
        for z in [1e-30_f32, 1e-3, 0.4, 1.0, 3.0, 50.0, 1e8, 1e18] {
            let single = base.log_prob(&[z; 6]);
            let double: f64 = base.log_prob(&[f64::from(z); 6]);
            assert!((f64::from(single) - double).abs() < 2e-6 * (1.0 + double.abs()), "{z}: {single}, but {double}");
            let parts: f64 = degrees.iter().map(|one| student_t([*one]).log_prob(&[-f64::from(z)])).sum();
            assert!((double - parts).abs() < 1e-9 * (1.0 + double.abs()), "{z}: {double}, but {parts}");
        }
    }

    #[test]
    fn normal_deviates_have_as_much_probability_below_them() {
        for degrees in [0.7_f32, 1.0, 2.5, 8.0, 60.0, 199.0, 201.0, 1e5] {
            let base = student_t([degrees]);
            for z in [-30.0_f32, -4.0, -1.0, -0.2, 0.0, 0.05, 0.7, 1.5, 3.0, 8.0] {
                let deviate = normal_deviate(degrees, base.constant[0], z);
                assert_eq!(normal_deviate(degrees, base.constant[0], -z), -deviate);
                // Of the tail, which keeps its digits.
                let expected = cumulative(&base, -f64::from(z.abs()));
                let found = libm::erfc(f64::from(deviate.abs()) / core::f64::consts::SQRT_2) / 2.0;
                if found > 1e-30 {
                    // By the tail's slope to the deviate's error.
                    let error = (found / expected).ln() / f64::from(deviate.abs() + 0.8);
                    assert!(
                        error.abs() < 1e-3 * f64::from(deviate.abs() + 1.0),
                        "{degrees} at {z}: {deviate}, {error}"
                    );
                }
                let (mut there, mut log_prob) = ([z], [0.5]);
                base.terms(&mut there, &mut log_prob);
                assert_eq!((there, log_prob), ([deviate], [0.5 + base.log_prob(&[z])]));
            }
            for z in [1e10_f32, 1e30, f32::MAX, f32::INFINITY] {
                let deviate = normal_deviate(degrees, base.constant[0], z);
                assert!(deviate > 2.0 && !deviate.is_nan(), "{degrees} at {z}: {deviate}");
            }
        }
    }

    #[test]
    fn extremes_give_numbers() {
        for degrees in [1e-40, 1e-30, 0.1, 0.5, 1.0, 1e3, 1e30, f32::MAX] {
            for radius in [0, 1, 1 << 31, u32::MAX] {
                for angle in [0, 1 << 31, u32::MAX] {
                    let deviate: f32 = student_t_deviate::<f32, Libm>(degrees, [radius, angle]);
                    assert!(deviate.is_finite(), "{degrees}: {deviate}");
                }
            }
            let base = StudentT::<1>::new([degrees], [0.0]);
            for z in [0.0, 1e-40, 1e20, f32::MAX] {
                assert!(base.log_prob(&[z]) <= 0.0, "{degrees} at {z}");
            }
            assert!(base.log_prob(&[f32::NAN]).is_nan());
        }
    }
}
