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
    let mut all = vec![Assessment { log_prob: 0.0, p_value: 0.0, alarm: false }; readings.rows()];
    let block = |(number, places): (usize, &mut [Assessment])| {
        let rows = number * ROWS..number * ROWS + places.len();
        let mut places = rows.clone().zip(places);
        let mut first = None;
        scorer.assess_rows(rows.map(|row| readings.row(row)), |said| match (said, places.next()) {
            (Ok(said), Some((_, place))) => *place = said,
            (Err(reason), Some((row, _))) if first.is_none() => first = Some(ScoringError { row, reason }),
            _ => {}
        });
        first
    };
    let errors = all.par_chunks_mut(ROWS).enumerate().filter_map(block);
    errors.min_by_key(|error| error.row).map_or(Ok(all), Err)
}
