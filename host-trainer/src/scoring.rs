//! Scores of whole tables, on all cores, by the device's kernels.

use flowlet::{Assessment, ReadingError};
use rayon::prelude::*;

use crate::data::Matrix;
use crate::model::Model;

/// Why a reading of a table has no score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading {row}: {reason}")]
pub struct ScoringError {
    /// Which reading, from 0.
    pub row: usize,
    /// What the device would say.
    pub reason: ReadingError,
}

/// What the model says of each reading, in order. A row is a reading and behind it its context.
///
/// # Errors
/// For the first reading that has no score.
pub fn assess(model: &Model, readings: &Matrix) -> Result<Vec<Assessment>, ScoringError> {
    let scorer = model.scorer();
    let features = model.architecture().features;
    let said = |row: &[f32]| match row.split_at_checked(features) {
        Some((reading, context)) => scorer.assess(reading, context),
        None => Err(ReadingError::WrongLength { expected: features, found: row.len() }),
    };
    let assess = |row| said(readings.row(row)).map_err(|reason| ScoringError { row, reason });
    (0..readings.rows()).into_par_iter().map(assess).collect()
}
