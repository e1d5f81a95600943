//! Rows a second in training, by family.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use flowlet_trainer::data::Matrix;
use flowlet_trainer::model::architecture::NumberFormat;
use flowlet_trainer::train::{self, Epoch, Family, Options, Progress, TrainingData};

use super::{BATCH_ROWS, FEATURES, HIDDEN, LAYERS, ROWS};

/// Passes over the rows, of which the fastest counts: others share the machine.
const PASSES: usize = 24;

/// What one family gave.
pub struct Rate {
    pub parameters: usize,
    pub rows_per_second: f64,
    /// Multiply-accumulates of the nets for a row, in the direction data -> base.
    pub macs: usize,
}

/// The fixed job's options.
pub fn options(family: Family) -> Options {
    let mut options = Options::for_features(FEATURES);
    let architecture = &mut options.architecture;
    *architecture = train::Architecture::of(family, FEATURES);
    (architecture.layers, architecture.hidden) = (LAYERS, HIDDEN);
    options.batch_rows = BATCH_ROWS;
    // The peers add none.
    options.noise = Some(0.0);
    (options.epochs, options.patience) = (PASSES, usize::MAX);
    options
}

/// Whole passes of a fit: gathering, forward, backward, the optimizer, the average of the weights and the validation of as
/// many rows as one step has.
pub fn measure(family: Family, rows: &Matrix) -> Result<Rate> {
    let validation = rows.select(&(0..BATCH_ROWS).collect::<Vec<_>>());
    let options = options(family);
    let data = TrainingData {
        features: FEATURES,
        training: rows,
        stored: None,
        validation: &validation,
        quantization_steps: &[0.0; FEATURES],
    };
    let mut clock = Clock { last: Instant::now(), fastest: f64::INFINITY };
    let fit = train::fit(data, &options, &mut clock, &AtomicBool::new(false)).context("the fixed job")?;
    Ok(Rate {
        parameters: fit.model.parameters.len(),
        rows_per_second: ROWS as f64 / clock.fastest,
        macs: fit.model.sequence.layers(NumberFormat::Float).map(|layer| layer.schema().macs()).sum(),
    })
}

/// The time of the fastest pass.
struct Clock {
    last: Instant,
    fastest: f64,
}

impl Progress for Clock {
    fn epoch(&mut self, _state: &Epoch) {
        let now = Instant::now();
        self.fastest = self.fastest.min((now - self.last).as_secs_f64());
        self.last = now;
    }
}
