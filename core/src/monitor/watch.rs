//! A detector that watches a stream: the typed shell of this module.

use core::borrow::Borrow;
use core::fmt;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable};

use super::{Monitor, Settings, Status, Suspect, attribute, marginal_log_prob};
use crate::base::{Base, BaseRecord};
use crate::bijector::{Forward, Inverse, Layer};
use crate::detector::Detector;
use crate::flow::{Flow, ReadingError};
use crate::model_file::LoadError;
use crate::real::Scalar;
use crate::signal::{Signal, Stream};

/// Why a device should not be trusted with its model.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Unfit {
    /// The model's bytes are not those that were checked.
    Damaged(LoadError),
    /// The stored reading has another log-density than when it was stored.
    Golden {
        /// What was stored.
        expected: f32,
        /// What comes out, or why nothing does.
        found: Result<f32, ReadingError>,
    },
    /// Readings drawn from the model are anomalous to it.
    Samples {
        /// How many raise the alarm.
        anomalous: u32,
        /// How many were drawn.
        of: u32,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(error) => error.fmt(f),
            Self::Golden { expected, found: Ok(found) } => {
                write!(f, "the stored reading has the log-density {found}, expected {expected}")
            }
            Self::Golden { found: Err(error), .. } => write!(f, "the stored reading is refused: {error}"),
            Self::Samples { anomalous, of } => {
                write!(f, "{anomalous} of {of} readings drawn from the model raise the alarm")
            }
        }
    }
}

impl core::error::Error for Unfit {}

impl<const D: usize, L, B, const C: usize, X, const N: usize, const T: usize, S>
    Detector<Flow<D, L, B, C, X>, N, Settings<D, T, S>>
where
    L: Layer + Inverse<D, C, X>,
    B: BaseRecord + Base<D, X>,
    X: Scalar,
    S: Signal,
{
    /// Takes a sample of `M` values: where it completes a reading, what that means for the stream. Readings that come as they
    /// are, of a [`Raw`](crate::signal::Raw) signal, are samples themselves.
    #[inline]
    pub fn watch<const M: usize>(
        &self,
        signal: &mut S,
        monitor: &mut Monitor<[f32; D], [u32; D]>,
        sample: &[f32; M],
        context: &[f32; C],
    ) -> Option<Status>
    where
        S: Stream<M, D>,
    {
        let mut reading = signal.push(sample)?;
        let calibration = self.calibration.view();
        let log_prob = |reading: &[f32]| self.log_prob_slice(reading, context);
        Some(monitor.step(&self.monitor.view(), &calibration, &mut reading, log_prob))
    }

    /// The `K` sensors that explain the last reading best, the best one first: for when the state becomes an alarm. Takes
    /// [`NODES`](super::NODES) scores for each feature, and one.
    ///
    /// # Errors
    /// [`ReadingError`] if that reading has no density.
    #[inline]
    pub fn attribute<const K: usize>(
        &self,
        monitor: &Monitor<[f32; D], [u32; D]>,
        context: &[f32; C],
    ) -> Result<[Suspect; K], ReadingError> {
        let settings = self.monitor.view();
        let mut reading = monitor.corrected(&settings);
        attribute(&settings, &mut reading, |reading| self.log_prob_slice(reading, context))
    }

    /// The log-density of a reading without one of its features, whatever stands there, in nats and the units of the others: see
    /// [`marginal_log_prob`]. It has no p-value, for calibration is of whole readings.
    ///
    /// # Errors
    /// [`ReadingError`] if another feature is not finite, or has no density whatever the missing one is.
    #[inline]
    pub fn marginal_log_prob(
        &self,
        reading: &[f32; D],
        context: &[f32; C],
        missing: usize,
    ) -> Result<f32, ReadingError> {
        let log_prob = |reading: &[f32]| self.log_prob_slice(reading, context);
        marginal_log_prob(&self.monitor.view(), &mut { *reading }, missing, log_prob)
    }

    /// At boot: whether the model in memory is the one that was checked, and computes what it did then.
    ///
    /// # Errors
    /// [`Unfit`]: whatever the model says means nothing.
    pub fn self_test(&self, checksum: u32) -> Result<(), Unfit>
    where
        L: FromBytes + Immutable,
        B: FromBytes + Immutable,
        Settings<D, T, S>: FromBytes + Immutable,
    {
        self.verify(checksum).map_err(Unfit::Damaged)?;
        let expected = self.monitor.golden_log_prob;
        match self.log_prob_slice(&self.monitor.golden, &[0.0; C]) {
            Ok(found) if found.to_bits() == expected.to_bits() => Ok(()),
            found => Err(Unfit::Golden { expected, found }),
        }
    }

    /// Whether `readings` readings drawn from the model are normal to it: no more than a quarter of them may raise the alarm, whose rate
    /// is far below that.
    ///
    /// # Errors
    /// [`Unfit::Samples`], or [`Unfit::Golden`] with why a drawn reading is refused.
    pub fn self_test_by_samples<R: Rng + ?Sized>(
        &self,
        rng: &mut R,
        readings: u32,
        context: &[f32; C],
    ) -> Result<(), Unfit>
    where
        L: Forward<D, C, X>,
        B: Base<D>,
    {
        let given = X::read(context);
        let mut anomalous = 0;
        for _ in 0..readings {
            let sample = self.flow.sample(rng, given.borrow()).map(X::to_f32);
            match self.log_prob_slice(&sample, context) {
                Ok(log_prob) => anomalous += u32::from(self.calibration.view().alarm(-log_prob)),
                Err(_) => anomalous += 1,
            }
        }
        if anomalous > readings / 4 { Err(Unfit::Samples { anomalous, of: readings }) } else { Ok(()) }
    }

    #[inline]
    fn log_prob_slice(&self, reading: &[f32], context: &[f32; C]) -> Result<f32, ReadingError> {
        let reading: &[f32; D] =
            reading.try_into().map_err(|_| ReadingError::WrongLength { expected: D, found: reading.len() })?;
        self.flow.log_prob(X::read(reading).borrow(), X::read(context).borrow()).map(X::to_f32)
    }
}
