//! Scoring on the host: the tree of a model's layers, each the core's own view with shapes at run time.
//!
//! The tree has the shape of the model's type, since log-determinants are summed as the chains nest. Every operation on a
//! number is the core's, so the results have the device's bits.

use flowlet::calibration::CalibrationView;
use flowlet::flow::{check_finite, check_support};
use flowlet::{Assessment, ReadingError};
use rand::Rng;

use super::architecture::Architecture;
use crate::base::BaseView;
use crate::layers::View;
use crate::layers::{scalar, slice};

/// A model's layers and calibration, ready to score.
#[derive(Debug)]
pub struct Scorer<'a> {
    features: usize,
    context: usize,
    layers: Box<dyn View + 'a>,
    base: Box<dyn BaseView + 'a>,
    samples: bool,
    calibration: CalibrationView<'a>,
}

impl<'a> Scorer<'a> {
    /// The model of `architecture` whose image is `body`, 4-aligned; `None` when the lengths differ.
    #[must_use]
    pub fn new(architecture: &Architecture, body: &'a [u8]) -> Option<Self> {
        let mut bytes = body;
        let layers = architecture.layers.view(&mut bytes)?;
        let base = architecture.base.kind().view(&mut bytes)?;
        let samples = architecture.layers.directions().forward;
        let knots = architecture.calibration.knots;
        let calibration = CalibrationView {
            scores: slice(&mut bytes, knots)?,
            above: slice(&mut bytes, knots)?,
            rows: scalar(&mut bytes)?,
            threshold: scalar(&mut bytes)?,
            false_alarm_rate: scalar(&mut bytes)?,
        };
        let (features, context) = (architecture.features, architecture.context);
        bytes.is_empty().then_some(Self { features, context, layers, base, samples, calibration })
    }

    /// The base coordinates of a reading, and the log-determinant.
    fn to_base(&self, reading: &[f32], context: &[f32]) -> Result<(Vec<f32>, f32), ReadingError> {
        for (expected, found) in [(self.features, reading.len()), (self.context, context.len())] {
            if expected != found {
                return Err(ReadingError::WrongLength { expected, found });
            }
        }
        check_finite(reading, context)?;
        let mut z = reading.to_vec();
        let log_det = self.layers.inverse(&mut z, context);
        check_support(log_det)?;
        Ok((z, log_det))
    }

    /// The log-density, as [`flowlet::Flow::log_prob`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn log_prob(&self, reading: &[f32], context: &[f32]) -> Result<f32, ReadingError> {
        let (z, log_det) = self.to_base(reading, context)?;
        if log_det == f32::INFINITY {
            return Err(ReadingError::Singular);
        }
        let log_prob = self.base.log_prob(&z) + log_det;
        Ok(if log_prob > f32::MIN { log_prob } else { f32::MIN })
    }

    /// The base coordinates, as [`flowlet::Flow::latent`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn latent(&self, reading: &[f32], context: &[f32]) -> Result<Vec<f32>, ReadingError> {
        self.to_base(reading, context).map(|(z, _)| z)
    }

    /// Score, p-value and alarm, as [`flowlet::Detector::assess`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn assess(&self, reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError> {
        let log_prob = self.log_prob(reading, context)?;
        let (p_value, alarm) = (self.calibration.p_value(-log_prob), self.calibration.alarm(-log_prob));
        Ok(Assessment { log_prob, p_value, alarm })
    }

    /// Base coordinates and log-density in double precision, on the same stored values: what single precision is
    /// measured against.
    #[must_use]
    pub fn log_prob_f64(&self, reading: &[f64], context: &[f64]) -> (Vec<f64>, f64) {
        let mut z = reading.to_vec();
        let log_det = self.layers.inverse_f64(&mut z, context);
        let log_prob = self.base.log_prob_f64(&z) + log_det;
        (z, log_prob)
    }

    /// Whether readings can be drawn: the layers have the direction base -> data.
    #[must_use]
    pub fn samples(&self) -> bool {
        self.samples
    }

    /// A reading drawn from the density, as [`flowlet::Flow::sample`], to the bit.
    ///
    /// # Panics
    /// If [`Scorer::samples`] says that none can be drawn.
    pub fn sample(&self, rng: &mut impl Rng, context: &[f32]) -> Vec<f32> {
        assert!(self.samples, "the layers have no direction base -> data");
        let mut x = self.base.sample(rng);
        self.layers.forward(&mut x, context);
        x
    }

    /// From scores to p-values and alarms.
    #[must_use]
    pub fn calibration(&self) -> &CalibrationView<'a> {
        &self.calibration
    }
}
