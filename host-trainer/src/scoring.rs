//! Scores of whole tables, on all cores, by the device's kernels.

use flowlet::{Assessment, ReadingError};
use rayon::prelude::*;

use crate::data::Matrix;
use crate::model::{Model, ROWS};

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
    let rows: Vec<&[f32]> = readings.iter_rows().collect();
    let block = |(number, rows): (usize, &[&[f32]])| {
        let said = scorer.assess_rows(rows).into_iter().enumerate();
        said.map(|(row, said)| said.map_err(|reason| ScoringError { row: number * ROWS + row, reason })).collect()
    };
    let blocks: Vec<Result<Vec<Assessment>, _>> = rows.par_chunks(ROWS).enumerate().map(block).collect();
    let mut all = Vec::with_capacity(rows.len());
    for block in blocks {
        all.extend(block?);
    }
    Ok(all)
}
