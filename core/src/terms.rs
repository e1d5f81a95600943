//! Conditional terms: an exact account of a log-density, feature by feature.
//!
//! Where every layer of a flow maps a feature by itself and by features before it, in one order of them all, the
//! Jacobian of the whole flow is triangular in that order, and the density is a product of conditional ones
//! (Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", 2017, section 3.1):
//!
//! log p(x) = Σ_i log p(x_i | features before i), with log p(x_i | ..) = log p_Z(z_i) + ln ∂z_i/∂x_i
//!
//! where ∂z_i/∂x_i is the product of the slopes of the maps that feature i passes through. Each term says in nats what
//! its feature adds, and z_i, in deviations of a normal distribution, how far above or below it is of what the
//! features before it suggest.
//!
//! A term blames a feature *given those before it*. What is wrong with feature i also disturbs what the later ones are
//! conditioned on, so large terms may follow it; and a fault that shows itself only beside later features is counted
//! there. The terms are the exact account of a score. What names one faulty sensor is the likelihood ratio of
//! [`monitor::attribute`](crate::monitor::attribute), which looks at each sensor given all others.

use core::fmt;

use crate::flow::ReadingError;
pub use crate::interaction::Coordinates;
use crate::interaction::at;
use crate::real::Real;
use crate::text::Text;

/// What one feature contributes to a log-density.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Term {
    /// Index of the feature in the reading.
    pub feature: usize,
    /// Its log-density given the features before it, in nats, in the units of the reading. Finite: saturates at
    /// `f32::MIN`.
    pub log_prob: f32,
    /// How many standard deviations above (or, negative, below) what the features before it suggest: the standard
    /// normal deviate with as much probability below it as the conditional distribution has below the reading.
    pub z: f32,
}

/// The order in which each feature is conditioned on those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<const D: usize> {
    /// The features.
    pub(crate) features: [u8; D],
    /// The base coordinate that each of them becomes.
    pub(crate) coordinates: [u8; D],
}

impl<const D: usize> Order<D> {
    /// The n-th feature's index in a reading; features that are no more of the flow's are 0.
    #[must_use]
    pub const fn feature(&self, n: usize) -> usize {
        at(&self.features, n) as usize
    }

    /// The n-th feature's term, of the deviates and log-densities of all base coordinates.
    #[inline]
    pub fn term<T: Real>(&self, n: usize, deviates: &[T], log_probs: &[T]) -> Term {
        let coordinate = usize::from(at(&self.coordinates, n));
        let (least, infinite) = (T::from_f32(f32::MIN), T::from_f32(f32::INFINITY));
        // Also for a NaN or an infinity, as a log-density saturates.
        let log_prob = log_probs.get(coordinate).copied().filter(|it| *it > least && *it != infinite).unwrap_or(least);
        let z = deviates.get(coordinate).copied().unwrap_or(T::ZERO);
        Term { feature: self.feature(n), log_prob: log_prob.to_f32(), z: z.to_f32() }
    }
}

/// No order of the features makes the flow triangular: two of them depend on each other, directly or by way of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoOrder {
    /// Index of one.
    pub first: usize,
    /// Index of the other.
    pub second: usize,
}

impl NoOrder {
    /// Writes the message; one wording for the compiler, the host and logs.
    pub const fn describe(&self, text: &mut Text<'_>) {
        text.word("features ");
        text.number(self.first as u64);
        text.word(" and ");
        text.number(self.second as u64);
        text.word(
            " are conditioned on each other, by layers with different orders, so the density is no product of conditional \
             ones: fit with one order (`flowlet fit --order fixed`)",
        );
    }

    /// Stops the build.
    pub(crate) const fn stop(&self) -> ! {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: ");
        self.describe(&mut text);
        panic!("{}", text.as_str())
    }
}

impl fmt::Display for NoOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        self.describe(&mut text);
        f.write_str(text.as_str())
    }
}

impl core::error::Error for NoOrder {}

/// Why there are no terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TermsError {
    /// The reading has no density.
    Reading(ReadingError),
    /// The flow has none, for any reading, with the permutations that its file holds.
    NoOrder(NoOrder),
}

impl fmt::Display for TermsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading(error) => error.fmt(f),
            Self::NoOrder(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for TermsError {}

impl From<ReadingError> for TermsError {
    fn from(error: ReadingError) -> Self {
        Self::Reading(error)
    }
}

impl From<NoOrder> for TermsError {
    fn from(error: NoOrder) -> Self {
        Self::NoOrder(error)
    }
}

/// The layers say by a feature's log-slope of -∞ that it is where the density is 0, and by +∞ that it is singular
/// there.
///
/// # Errors
/// [`ReadingError::OutsideSupport`] and [`ReadingError::Singular`], as a log-density has them.
#[inline]
pub fn check_slopes<T: Real>(log_slopes: &[T]) -> Result<(), ReadingError> {
    if log_slopes.contains(&T::from_f32(f32::NEG_INFINITY)) {
        return Err(ReadingError::OutsideSupport);
    }
    if log_slopes.contains(&T::from_f32(f32::INFINITY)) {
        return Err(ReadingError::Singular);
    }
    Ok(())
}
