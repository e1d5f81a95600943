//! Base distributions, one file each: what the flow maps the data to.
//!
//! | base | stores | for |
//! |---|---|---|
//! | [`StandardNormal`] | nothing | what a flow has unless its type says otherwise |
//! | [`StudentT`] | degrees of freedom for each coordinate | tails that are heavier than a normal distribution's |
//! | [`Mixture`] | M normal distributions | several operating modes, which no smooth map makes from one |
//! | [`Ensemble`] | K flows | few readings, on which single fits differ by chance |
//!
//! Every file has the same parts: the typed base, its record, its log-density on slices, which the host shares, and its
//! samples, drawn without a loop that a broken generator of random numbers could block.

pub mod ensemble;
pub mod mixture;
pub mod standard_normal;
pub mod student_t;

pub use ensemble::{Ensemble, Member};
pub use mixture::Mixture;
pub use standard_normal::{StandardNormal, standard_normal_deviate, standard_normal_log_prob, standard_normal_terms};
pub use student_t::StudentT;

use rand_core::Rng;

use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::Record;

/// A distribution over `D` coordinates whose density is known and that can be sampled.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a base distribution over {D} coordinates",
    note = "the base of a flow has the dimension of the flow: `StandardNormal<D>` for `Flow<D, ..>`"
)]
pub trait Base<const D: usize, T: Real = f32> {
    /// The log-density at `z`, in nats.
    fn log_prob(&self, z: &[T; D]) -> T;

    /// One sample.
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> [T; D];
}

/// A base whose coordinates are independent: its density is a product of theirs.
#[diagnostic::on_unimplemented(
    message = "the coordinates of `{Self}` are not {D} independent ones, so the density is no product of conditional ones",
    note = "`StandardNormal` and `StudentT` have independent coordinates, a `Mixture` and an `Ensemble` have not"
)]
pub trait Independent<const D: usize, T: Real = f32>: Base<D, T> {
    /// Adds each coordinate's log-density, in nats, to `log_probs`, and replaces the coordinate by the standard normal
    /// deviate with as much probability below it.
    fn terms(&self, z: &mut [T; D], log_probs: &mut [T; D]);
}

/// What the compiler knows of a base.
pub trait BaseRecord {
    /// Shapes and stored fields.
    const RECORD: Record;
}

/// ln(2π) / 2.
pub const HALF_LN_TAU: f32 = 0.918_938_5;

/// ln Σ exp(term), term by term, relative to the largest so far.
#[derive(Clone, Copy, Debug)]
pub struct LogSum<T> {
    largest: T,
    sum: T,
}

impl<T: Real> Default for LogSum<T> {
    /// Of no terms.
    #[inline]
    fn default() -> Self {
        Self { largest: T::from_f32(f32::MIN), sum: T::ZERO }
    }
}

impl<T: Real> LogSum<T> {
    /// Adds a term's exponential.
    #[inline]
    pub fn add<E: Elementary<T>>(&mut self, term: T) {
        let lowest = T::from_f32(f32::MIN);
        // Also for a NaN.
        let term = if term > lowest { term } else { lowest };
        if term > self.largest {
            self.sum = self.sum * E::exp(self.largest - term) + T::ONE;
            self.largest = term;
        } else {
            self.sum = self.sum + E::exp(term - self.largest);
        }
    }

    /// The logarithm of the sum: the lowest f32 at the least.
    #[inline]
    #[must_use]
    pub fn ln<E: Elementary<T>>(self) -> T {
        // The largest term itself has added 1.
        if self.sum > T::ONE { self.largest + E::ln(self.sum) } else { self.largest }
    }
}

/// The component that a uniform word chooses, given the weights of all components behind each, times 2³².
#[inline]
#[must_use]
pub fn choose(behind: &[u32], word: u32) -> usize {
    let component = behind.iter().filter(|behind| word < **behind).count();
    component.min(behind.len().saturating_sub(1))
}

/// A uniform number between 0 and 1 from 31 of 32 bits, in the middle of its cell: never 0.
#[inline]
fn uniform<T: Real>(bits: u32) -> T {
    (T::from_i32((bits >> 1) as i32) + T::from_f32(0.5)) * T::from_f32(1.0 / 2_147_483_648.0)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::convert::Infallible;
    use std::vec::Vec;

    use rand_core::TryRng;

    use super::Base;

    /// Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
    pub(super) struct Splitmix(pub u64);

    impl TryRng for Splitmix {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            self.try_next_u64().map(|word| (word >> 32) as u32)
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            Ok(word ^ (word >> 31))
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
            for byte in bytes {
                *byte = self.try_next_u32()? as u8;
            }
            Ok(())
        }
    }

    /// Holds log-densities in both precisions to a definition, on the middles of so many by so many cells from a corner on;
    /// returns their integral.
    pub(super) fn integral<B: Base<2, f64> + Base<2, f32>>(
        base: &B,
        density: impl Fn([f64; 2]) -> f64,
        (corner, step, cells): ([f64; 2], f64, [i32; 2]),
    ) -> f64 {
        let mut integral = 0.0;
        for row in 0..cells[0] {
            for column in 0..cells[1] {
                let z = [corner[0] + step * (f64::from(row) + 0.5), corner[1] + step * (f64::from(column) + 0.5)];
                let found: f64 = base.log_prob(&z);
                let single: f32 = base.log_prob(&z.map(|z| z as f32));
                let (single, expected) = (f64::from(single), density(z));
                if expected > 1e-300 {
                    let expected = libm::log(expected);
                    assert!((found - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{z:?}: {found}, but {expected}");
                    assert!((single - found).abs() < 4e-6 * (1.0 + found.abs()), "{z:?}: {single}, but {found}");
                }
                integral += libm::exp(found) * step * step;
            }
        }
        integral
    }

    /// The largest distance between the distribution of values in (0, 1) and the uniform one (Kolmogorov and Smirnov).
    pub(super) fn distance(mut values: Vec<f64>) -> f64 {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let gap = |(rank, value): (usize, &f64)| (value - rank as f64 / n).max((rank + 1) as f64 / n - value);
        values.iter().enumerate().map(gap).fold(0.0, f64::max)
    }
}
