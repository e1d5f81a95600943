//! A model's calibration, made from its own scores: layers and base stay as they are.

use crate::calibrate::{Calibrated, CalibrationError};
use crate::data::Matrix;
use crate::metrics::mean;
use crate::model::{Model, ModelError, Training};
use crate::scoring::{ScoringError, assess};

/// Why readings do not calibrate a model.
#[derive(Debug, thiserror::Error)]
pub enum RecalibrationError {
    /// A reading has no score.
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    /// The scores make no calibration.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// The values are not ones that a device accepts.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// The model with p-values and an alarm by normal readings that it has not been trained on, each followed by its context.
///
/// # Errors
/// If a reading has no score, or if there are too few for the rate.
pub fn recalibrate(model: &Model, readings: &Matrix, false_alarm_rate: f32) -> Result<Model, RecalibrationError> {
    let log_probs: Vec<f32> = assess(model, readings)?.iter().map(|said| said.log_prob).collect();
    let scores: Vec<f32> = log_probs.iter().map(|log_prob| -log_prob).collect();
    let calibrated = Calibrated::new(&scores, false_alarm_rate)?;
    let training = Training {
        calibration_rows: calibrated.rows,
        calibration_log_prob: mean(&log_probs).unwrap_or_default() as f32,
        ..model.metadata().training.clone()
    };
    Ok(model.with_calibration(&calibrated, training)?)
}
