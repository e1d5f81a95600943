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

use super::{Base, BaseRecord, uniform};
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

#[cfg(test)]
mod tests {
    extern crate std;

    use core::f64::consts::PI;
    use std::vec::Vec;

    use super::super::tests::{Splitmix, distance};
    use super::{Base, Libm, StudentT, student_t_deviate};

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
