//! From readings to a model: train, quantize, calibrate.

use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};

use flowlet::model_file::MOST_FEATURES;

use crate::data::{Matrix, Readings, Split, quantization_steps};
use crate::export::Written;
use crate::model::architecture::Arithmetic;
use crate::model::{Feature, Metadata, Model, ModelError, Training};
use crate::quantization::{self, Quantized};
use crate::recalibrate::{RecalibrationError, recalibrate};
use crate::train::{self, FitError, Flow, Options, Progress, Stop, Summary, TrainingData};

/// A model, its unquantized twin, and how they came about.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Quantized, calibrated on its own scores.
    pub model: Model,
    /// The same flow with f32 weights, calibrated on its own scores.
    pub twin: Model,
    /// How the training went: of a mixture that of the first flow, but for the divergences, which are all of them, and an
    /// interruption.
    pub summary: Summary,
    /// What quantization cost.
    pub quantization: quantization::Report,
    /// Log-densities of the calibration rows under the Gaussian that the training began with, in nats.
    pub gaussian_log_probs: Vec<f32>,
}

/// Why readings give no model.
#[derive(Debug, thiserror::Error)]
pub enum FittingError {
    /// More features than a model can have.
    #[error(
        "{file}: {found} columns are to be fitted, a model has at most {MOST_FEATURES} features (leave some out with --ignore)"
    )]
    TooManyFeatures {
        /// The readings' file.
        file: String,
        /// How many there are.
        found: usize,
    },
    /// A feature that varies over all readings but not over those that are trained on.
    #[error(
        "{file}: column `{column}` is the same in nearly all readings, so there is no density to fit (ignore it with --ignore {column})"
    )]
    NoSpread {
        /// The readings' file.
        file: String,
        /// The column.
        column: String,
    },
    /// A feature whose values are too far apart for a 32-bit float.
    #[error(
        "{file}: column `{column}`: its values are too far apart for a 32-bit float (use a larger unit, or ignore it with --ignore {column})"
    )]
    TooWide {
        /// The readings' file.
        file: String,
        /// The column.
        column: String,
    },
    /// A feature whose standard deviation 32-bit arithmetic cannot divide by.
    #[error(
        "{file}: column `{column}`: its standard deviation of {deviation:.1e} is too {} for 32-bit arithmetic (use another unit, or ignore it with --ignore {column})",
        if *deviation > 1.0 { "large" } else { "small" }
    )]
    Spread {
        /// The readings' file.
        file: String,
        /// The column.
        column: String,
        /// Its standard deviation.
        deviation: f64,
    },
    /// A column that fixed-point numbers cannot hold.
    #[error(
        "{file}: column `{column}`: {problem}, but fixed-point arithmetic holds readings up to 32767 in steps of 1/65536 (use another unit, or the default arithmetic)"
    )]
    FixedRange {
        /// The readings' file.
        file: String,
        /// The column.
        column: String,
        /// What is too large or too small.
        problem: String,
    },
    /// Another reason why training cannot begin.
    #[error(transparent)]
    Training(FitError),
    /// The fitted values are not ones that a device accepts.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The held-back readings make no calibration.
    #[error(transparent)]
    Calibration(#[from] RecalibrationError),
}

/// Fits a model to the readings: trains on a part of them, selects on another, and calibrates on `calibration` (raw units).
///
/// # Errors
/// If the readings are not ones that a model can be fitted to.
pub fn fit(
    readings: &Readings,
    split: &Split,
    calibration: &Matrix,
    false_alarm_rate: f32,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fitted, FittingError> {
    fit_best(readings, split, calibration, false_alarm_rate, slice::from_ref(options), progress, cancel)
}

/// [`fit`] with every candidate: the model is made of the one that finds the selection rows most probable.
///
/// # Errors
/// If the readings are not ones that a model can be fitted to.
///
/// # Panics
/// If there is no candidate.
pub fn fit_best(
    readings: &Readings,
    split: &Split,
    calibration: &Matrix,
    false_alarm_rate: f32,
    candidates: &[Options],
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fitted, FittingError> {
    let options = &candidates[0];
    let features = readings.features.len();
    if features > MOST_FEATURES {
        return Err(FittingError::TooManyFeatures { file: readings.file.clone(), found: features });
    }
    let (training, selection) = (split.training(readings, options.seed), readings.values.select(&split.selection));
    let steps = quantization_steps(&readings.values.select(&split.train));
    let stored = readings.large.as_ref().map(|large| &large.training);
    let data =
        TrainingData { features, training: &training, stored, validation: &selection, quantization_steps: &steps };
    if options.numerics.arithmetic == Arithmetic::Fixed16Saturating {
        check_range(readings)?;
    }
    let (fitted, options) =
        train::fit_best(data, candidates, progress, cancel).map_err(|error| named(error, readings))?;
    let metadata = Metadata {
        architecture: String::new(),
        features: readings
            .features
            .iter()
            .chain(&readings.context)
            .zip(&readings.units)
            .map(|(name, unit)| Feature { name: name.clone(), unit: unit.clone() })
            .collect(),
        training: Training {
            seed: options.seed,
            training_rows: data.rows() as u32,
            selection_rows: split.selection.len() as u32,
            calibration_rows: calibration.rows() as u32,
            epochs: fitted.summary.best_epoch as u32,
            calibration_log_prob: 0.0,
        },
    };
    let quantize = |flow: &Flow, data: TrainingData<'_>, options: &Options, progress: &mut dyn Progress| {
        quantization::quantize(flow, data.training, data.validation, &options.quantization, |flow| {
            let tuned = train::fine_tune(flow, data, options, progress, cancel);
            tuned.map(|tuned| tuned.model).map_err(|error| named(error, readings))
        })
    };
    let mut quantized = vec![quantize(&fitted.model, data, &options, progress)?];
    let (mut flows, mut summary) = (vec![fitted.model], fitted.summary);
    for member in 1..options.architecture.members {
        let options = Options { seed: options.seed.wrapping_add(member as u64), ..options.clone() };
        // Of a table that is larger than memory, all train on the same rows.
        let split = if stored.is_some() { split.clone() } else { split.of_member(member) };
        let (training, selection) = (split.training(readings, options.seed), readings.values.select(&split.selection));
        let data = TrainingData { training: &training, validation: &selection, ..data };
        let fitted = train::fit_beside(&flows[0], data, &options, progress, cancel);
        let fitted = fitted.map_err(|error| named(error, readings))?;
        // A member that was not finished would be worse than none.
        if cancel.load(Ordering::Relaxed) {
            summary.stop = Stop::Cancelled;
            break;
        }
        summary.divergences += fitted.summary.divergences;
        quantized.push(quantize(&fitted.model, data, &options, progress)?);
        flows.push(fitted.model);
    }
    let flow = &flows[0];
    let (written, twin) = match &quantized[..] {
        [one] => (one.written.clone(), Written::float(flow)),
        several => {
            let floats: Vec<Written> = flows.iter().map(Written::float).collect();
            let written: Vec<_> = several.iter().map(|it| (&it.flow, &it.written)).collect();
            (Written::ensemble(&written), Written::ensemble(&flows.iter().zip(&floats).collect::<Vec<_>>()))
        }
    };
    let calibrated = |model: Model| recalibrate(&model, calibration, false_alarm_rate);
    Ok(Fitted {
        model: calibrated(written.computed_with(options.numerics).model(&quantized[0].flow, metadata.clone())?)?,
        twin: calibrated(twin.model(flow, metadata)?)?,
        summary,
        quantization: quantization::Report::of_members(quantized.into_iter().map(|Quantized { report, .. }| report)),
        gaussian_log_probs: flow.gaussian().log_probs(calibration),
    })
}

/// Refuses readings that lose their digits in fixed point.
fn check_range(readings: &Readings) -> Result<(), FittingError> {
    /// Steps of 2^-16 that make a standard deviation at the least.
    const COARSEST: f64 = 64.0 / 65536.0;
    for column in 0..readings.values.columns() {
        let values: Vec<f64> = (0..readings.values.rows()).map(|row| readings.values.row(row)[column].into()).collect();
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        let problem = if largest > 32767.0 {
            format!("it has the reading {largest}")
        } else if variance.sqrt() < COARSEST {
            format!("its standard deviation is {:.1e}", variance.sqrt())
        } else {
            continue;
        };
        let (file, column) = (readings.file.clone(), readings.name(column).to_owned());
        return Err(FittingError::FixedRange { file, column, problem });
    }
    Ok(())
}

/// The training's error with the name of the column instead of its number.
pub(crate) fn named(error: FitError, readings: &Readings) -> FittingError {
    let (file, column) = (readings.file.clone(), |feature: usize| readings.name(feature).to_owned());
    match error {
        FitError::NoSpread { feature } => FittingError::NoSpread { file, column: column(feature) },
        FitError::Spread { feature, deviation } => FittingError::Spread { file, column: column(feature), deviation },
        FitError::NotFinite { feature, .. } => FittingError::TooWide { file, column: column(feature) },
        other => FittingError::Training(other),
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::data::{Bounds, Gathered, Roles, SplitOptions, Table};
    use crate::train::{Architecture, State};

    /// Readings on a grid, their parts, and how to fit them in a moment.
    fn example() -> (Readings, Split, Options) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let row = |_| format!("{:.1},{:.1}\n", rng.random::<f32>(), rng.random::<f32>());
        let text = "a,b\n".to_owned() + &(0..400).map(row).collect::<String>();
        let readings =
            Readings::for_fitting(&Table::parse("r.csv", text.as_bytes()).unwrap(), &Roles::default()).unwrap();
        let split = Split::new(&readings, &SplitOptions::default()).unwrap();
        let architecture =
            Architecture { layers: 2, hidden: 4, hidden_layers: 1, bound: 2.0, ..Architecture::for_features(2) };
        (readings, split, Options { architecture, epochs: 3, ..Options::for_features(2) })
    }

    fn fitted(readings: &Readings, split: &Split, options: &Options) -> Result<Fitted, FittingError> {
        let calibration = readings.values.select(&split.calibration);
        fit(readings, split, &calibration, 0.05, options, &mut (), &AtomicBool::new(false))
    }

    /// The density is the mean of the members' densities, each of which is fitted from another seed and selects on other rows.
    #[test]
    fn a_mixture_scores_as_its_members_do_together() {
        let (readings, split, mut options) = example();
        options.architecture.members = 2;
        let both = fitted(&readings, &split, &options).unwrap();
        assert_eq!(both.model.architecture().members(), 2);
        let steps = quantization_steps(&readings.values.select(&split.train));
        let mut flows: Vec<Flow> = Vec::new();
        for (member, seed) in [(0, options.seed), (1, options.seed + 1)] {
            let part = split.of_member(member);
            let (training, validation) = (part.training(&readings, seed), readings.values.select(&part.selection));
            let (training, validation, options) = (&training, &validation, &Options { seed, ..options.clone() });
            let data = TrainingData { features: 2, training, stored: None, validation, quantization_steps: &steps };
            let cancel = AtomicBool::new(false);
            let fit = match flows.first() {
                None => train::fit(data, options, &mut (), &cancel),
                Some(first) => train::fit_beside(first, data, options, &mut (), &cancel),
            };
            flows.push(fit.unwrap().model);
        }
        assert_eq!((&flows[0].mean, &flows[0].inverse_scale), (&flows[1].mean, &flows[1].inverse_scale));
        let log_prob = |model: &Model, row: &[f32]| f64::from(model.scorer().log_prob(row, &[]).unwrap());
        for row in readings.values.iter_rows().chain([&[9.0, -4.0][..]]) {
            let [a, b] = [0, 1].map(|member| flows[member].log_prob(row));
            let expected = a.max(b) + (0.5 * (1.0 + (-(a - b).abs()).exp())).ln();
            let found = log_prob(&both.twin, row);
            assert!((found - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{row:?}: {found}, but {expected}");
            // Far off, int8 nets saturate.
            let int8 = if row[0] > 2.0 { expected } else { log_prob(&both.model, row) };
            assert!((int8 - expected).abs() < 0.1 * (1.0 + expected.abs()), "{row:?}: {int8}, but {expected}");
        }
    }

    #[test]
    fn an_interrupted_mixture_has_the_members_that_were_finished() {
        let (readings, split, mut options) = example();
        options.architecture.members = 3;
        let calibration = readings.values.select(&split.calibration);
        let cancelled = AtomicBool::new(true);
        let fitted = fit(&readings, &split, &calibration, 0.05, &options, &mut (), &cancelled).unwrap();
        assert_eq!(fitted.model.architecture().members(), 1);
    }

    #[test]
    fn calibration_rows_have_no_part_in_the_flow() {
        let (mut readings, split, options) = example();
        let calibration = readings.values.select(&split.calibration);
        let model = |readings: &Readings| {
            let cancel = AtomicBool::new(false);
            fit(readings, &split, &calibration, 0.05, &options, &mut (), &cancel).unwrap().model.to_bytes()
        };
        let before = model(&readings);
        // No longer on the grid.
        for (i, &row) in split.calibration.iter().enumerate() {
            readings.values.values_mut()[2 * row] += 0.001 * i as f32;
        }
        assert_eq!(before, model(&readings));
    }

    /// In several windows a pass, and so many rows to select and calibrate on that a small model is calibrated.
    #[test]
    fn a_large_table_gives_the_same_model_from_memory_and_from_a_file() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let rows = 2 * train::PASS_ROWS;
        let row = |_| format!("{:.3},{:.3}\n", rng.random::<f32>(), rng.random::<f32>());
        let text = "a,b\n".to_owned() + &(0..rows).map(row).collect::<String>();
        let table = Table::parse("r.csv", text.as_bytes()).unwrap();
        let bounds = Bounds { values: 1 << 16, sampled_values: 0, sampled: 2000, calibrated: 500, selected: 500 };
        let (_, _, options) = example();
        let model = |limit| {
            let gathered = Gathered::of_table(&table, &Roles::default(), limit).unwrap();
            let (readings, split) = gathered.divide_within(&SplitOptions::default(), &bounds).unwrap();
            assert_eq!(readings.large.as_ref().unwrap().training.is_in_file(), limit == 0);
            let fitted = fitted(&readings, &split, &Options { steps: 1500, ..options.clone() }).unwrap();
            assert_eq!((fitted.summary.steps, fitted.summary.epochs), (1500, 3), "two passes an epoch");
            assert!(fitted.summary.best_epoch > 0);
            assert_eq!(fitted.model.metadata().training.training_rows as usize, rows - 1000);
            fitted.model.to_bytes()
        };
        assert!(model(0) == model(usize::MAX));
    }

    /// Of windows of different sizes, from a file.
    #[test]
    fn a_fit_to_a_large_table_goes_on_with_the_same_bits() {
        /// Keeps where the descent is after every pass, or goes on from a state.
        #[derive(Default)]
        struct Kept(Vec<State>, Option<State>);
        impl Progress for Kept {
            fn resume(&mut self) -> Option<State> {
                self.1.take()
            }
            fn keep(&mut self, state: &State) {
                self.0.push(state.clone());
            }
        }
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let row = |_| format!("{:.3},{:.3}\n", rng.random::<f32>(), rng.random::<f32>());
        let text = "a,b\n".to_owned() + &(0..train::PASS_ROWS + 5000).map(row).collect::<String>();
        let table = Table::parse("r.csv", text.as_bytes()).unwrap();
        let bounds = Bounds { values: 1 << 16, sampled_values: 0, sampled: 1000, calibrated: 200, selected: 200 };
        let (readings, split) = Gathered::of_table(&table, &Roles::default(), 0)
            .unwrap()
            .divide_within(&SplitOptions::default(), &bounds)
            .unwrap();
        let (_, _, mut options) = example();
        options.quantization.budget = 1e9;
        options = Options { epochs: 2, batch_rows: 2048, ..options };
        let calibration = readings.values.select(&split.calibration);
        let fit = |kept: &mut Kept| {
            let fitted = fit(&readings, &split, &calibration, 0.05, &options, kept, &AtomicBool::new(false)).unwrap();
            (fitted.model.to_bytes(), fitted.summary)
        };
        let mut all = Kept::default();
        let whole = fit(&mut all);
        let passes = all.0.len();
        assert!(passes >= 4, "{passes} passes");
        for after in [1, 2, passes - 1] {
            let mut rest = Kept(Vec::new(), Some(all.0[after - 1].clone()));
            assert!(fit(&mut rest) == whole, "after pass {after}");
            assert_eq!(rest.0.len(), passes - after);
        }
    }

    #[test]
    fn spreads_beyond_32_bits_are_told_from_none() {
        let (readings, split, options) = example();
        let message = |change: &dyn Fn(usize, f32) -> f32| {
            let mut readings = readings.clone();
            for row in 0..400 {
                let cell = &mut readings.values.values_mut()[2 * row];
                *cell = change(row, *cell);
            }
            fitted(&readings, &split, &options).unwrap_err().to_string()
        };
        let sign = |row: usize| if row.is_multiple_of(2) { 1.0 } else { -1.0 };
        assert_eq!(
            message(&|row, _| 1e38 * sign(row)),
            "r.csv: column `a`: its standard deviation of 1.0e38 is too large for 32-bit arithmetic (use another unit, or ignore it with --ignore a)"
        );
        assert!(message(&|row, _| 1e-42 * sign(row)).contains("is too small for 32-bit arithmetic (use another unit"));
        let only_in_calibration = |row: usize, x: f32| if split.calibration.contains(&row) { x } else { 0.5 };
        assert!(message(&only_in_calibration).contains("is the same in nearly all readings"));
    }
}
