//! The training loop.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::layers::{Layer, Sequence};
use super::model::{RealNvp, gather};
use super::objective::{CHUNK_ROWS, Worker, log_probs};
use super::optimizer::{Adam, Schedule, clip_norm};
use super::options::Options;
use super::permutation::{check_mixing, orders};
use super::progress::{Epoch, Progress};
use super::standardize::moments;
use crate::data::Matrix;

/// Divergences after which a fit ends with what it has.
const MAX_DIVERGENCES: usize = 8;

/// What a fit learns from.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// Rows that the weights are fitted to, in raw units.
    pub training: &'a Matrix,
    /// Rows that decide when to stop and which weights to keep, drawn at random from the same source.
    pub validation: &'a Matrix,
    /// Per feature the step of its quantization in raw units, 0 where it is continuous: each use of a training row adds uniform noise
    /// of this width, centred, which turns the density of a grid into a density over its cells.
    pub quantization_steps: &'a [f32],
}

/// Why a fit cannot begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Too few rows to fit to or to validate with.
    #[error("{found} rows {purpose}, at least {expected} are needed: add rows")]
    TooFewRows {
        /// What for.
        purpose: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The tables have different shapes.
    #[error("the {what} has {found} features, the training rows have {expected}")]
    FeatureMismatch {
        /// Which data.
        what: &'static str,
        /// Features of the training rows.
        expected: usize,
        /// Features found.
        found: usize,
    },
    /// A value is NaN, infinite, or becomes so when it is standardized.
    #[error("row {row}, feature {feature}: the value is not a finite number in 32 bits: remove the row or the column")]
    NotFinite {
        /// Row of the training or validation rows, from 0.
        row: usize,
        /// Feature, from 0.
        feature: usize,
    },
    /// A feature has one value, or a spread that f32 cannot hold.
    #[error("feature {feature} has no spread in the training rows: a constant column has no density, leave it out")]
    NoSpread {
        /// Feature, from 0.
        feature: usize,
    },
    /// An option has no meaning.
    #[error("option {option}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
}

/// Why a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// All passes were done.
    Finished,
    /// The validation loss had not improved for as many passes as the patience.
    Patience,
    /// The caller asked for it.
    Cancelled,
    /// It diverged again and again.
    Diverged,
}

/// How a fit went. Losses are mean negative log-densities in nats.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Passes over the training rows.
    pub epochs: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// The pass after which the returned weights were reached; 0 is the starting point.
    pub best_epoch: usize,
    /// Of the validation rows under the returned model, in raw units.
    pub validation_loss: f64,
    /// Times that the loss was no number, the best weights were restored and the learning rate halved.
    pub divergences: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// A fitted model and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The weights with the lowest validation loss. Never NaN.
    pub model: RealNvp,
    /// How the fit went.
    pub summary: Summary,
}

/// Independent random streams of one seed.
#[derive(Clone, Copy)]
enum Stream {
    Permutations,
    Initialization,
    Shuffle,
    Validation,
    /// The first of as many as there are chunks in all steps.
    Noise,
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// Fits a RealNVP by maximum likelihood.
///
/// Deterministic: the same table, options and machine give the same bits whatever the number of threads. `cancel` may be set at any time from
/// another thread: the fit ends after the step in hand and returns the best weights so far.
///
/// # Errors
/// If the table or an option does not make sense; a fit that has begun ends with a model.
pub fn fit(
    data: TrainingData<'_>,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fit, FitError> {
    check(&data, options)?;
    let features = data.training.columns();
    let architecture = &options.architecture;
    let (mean, inverse_scale) = moments(data.training)?;
    let orders = orders(features, architecture.couplings, &mut stream(options.seed, Stream::Permutations as u64));
    check_mixing(features, &orders)
        .map_err(|error| FitError::Option { option: "couplings", problem: error.to_string() })?;
    let mut model = RealNvp::zeroed(mean, inverse_scale, orders, &architecture.hidden, architecture.bound);
    let training = standardize(&model, data.training)?;
    let mut validation = standardize(&model, data.validation)?;
    let widths: Vec<f32> =
        data.quantization_steps.iter().zip(&model.inverse_scale).map(|(step, scale)| step * scale).collect();
    let mut rng = stream(options.seed, Stream::Validation as u64);
    for row in validation.values_mut().chunks_exact_mut(features) {
        dither(row, &widths, &mut rng);
    }
    let layers = model.sequence::<f32>();
    let mut parameters = vec![0.0; layers.parameters()];
    layers.initialize(&mut parameters, &mut stream(options.seed, Stream::Initialization as u64));

    let run = Run {
        layers: &layers,
        training: &training,
        validation: &validation,
        widths: &widths,
        noise: options.noise(data.training.rows(), features),
        options,
        cancel,
    };
    let (best, mut summary) = run.descend(parameters, progress);
    model.set_parameters(&best);
    summary.validation_loss -= model.inverse_scale.iter().map(|scale| f64::from(*scale).ln()).sum::<f64>();
    Ok(Fit { model, summary })
}

fn check(data: &TrainingData<'_>, options: &Options) -> Result<(), FitError> {
    let TrainingData { training, validation, quantization_steps } = data;
    for (purpose, rows, expected) in [("to fit to", training, 8), ("for validation", validation, 2)] {
        if rows.rows() < expected {
            return Err(FitError::TooFewRows { purpose, expected, found: rows.rows() });
        }
    }
    let expected = training.columns();
    for (what, found) in
        [("validation table", validation.columns()), ("list of quantization steps", quantization_steps.len())]
    {
        if found != expected {
            return Err(FitError::FeatureMismatch { what, expected, found });
        }
    }
    let Options { architecture, .. } = options;
    let not_negative = |value: f32| value.is_finite() && value >= 0.0;
    let positive = |value: f32| value.is_finite() && value > 0.0;
    let rules = [
        ("hidden", !architecture.hidden.is_empty(), "at least one hidden layer is needed"),
        (
            "hidden",
            architecture.hidden.iter().all(|width| *width > 0 && width % 4 == 0),
            "widths are multiples of 4, because the device computes four rows at a time",
        ),
        ("bound", positive(architecture.bound), "must be above 0"),
        ("batch_rows", options.batch_rows > 0, "must be above 0"),
        ("learning_rate", positive(options.learning_rate), "must be above 0"),
        ("weight_decay", options.weight_decay.is_none_or(not_negative), "must be 0 or above"),
        ("clip_norm", positive(options.clip_norm), "must be above 0"),
        ("noise", options.noise.is_none_or(not_negative), "must be 0 or above"),
        ("averaging", (0.0..1.0).contains(&options.averaging), "must be at least 0 and below 1"),
        ("quantization_steps", quantization_steps.iter().all(|step| not_negative(*step)), "must be 0 or above"),
    ];
    match rules.into_iter().find(|(_, holds, _)| !holds) {
        Some((option, _, problem)) => Err(FitError::Option { option, problem: problem.into() }),
        None => Ok(()),
    }
}

fn standardize(model: &RealNvp, rows: &Matrix) -> Result<Matrix, FitError> {
    let standardized = model.standardized(rows);
    match standardized.values().iter().position(|value| !value.is_finite()) {
        Some(at) => Err(FitError::NotFinite { row: at / rows.columns(), feature: at % rows.columns() }),
        None => Ok(standardized),
    }
}

fn dither(row: &mut [f32], widths: &[f32], rng: &mut ChaCha8Rng) {
    for (value, width) in row.iter_mut().zip(widths) {
        if *width > 0.0 {
            *value += width * (rng.random::<f32>() - 0.5);
        }
    }
}

/// Everything that stays the same during a fit.
struct Run<'a> {
    layers: &'a Sequence<f32>,
    training: &'a Matrix,
    validation: &'a Matrix,
    widths: &'a [f32],
    noise: f32,
    options: &'a Options,
    cancel: &'a AtomicBool,
}

impl Run<'_> {
    fn descend(&self, mut parameters: Vec<f32>, progress: &mut dyn Progress) -> (Vec<f32>, Summary) {
        let options = self.options;
        let batches = self.batches();
        let total = (options.epochs.saturating_mul(batches.len())).min(options.steps);
        let mut schedule = Schedule { peak: options.learning_rate, warm_up: options.warm_up.min(total / 10), total };
        let mut decayed = vec![false; parameters.len()];
        self.layers.mark_decayed(&mut decayed);
        let weight_decay = options.weight_decay(self.training.rows(), parameters.len());
        let mut adam = Adam::new(decayed.clone(), weight_decay);
        let mut shuffle = stream(options.seed, Stream::Shuffle as u64);
        let mut order: Vec<usize> = (0..self.training.rows()).collect();
        let mut workers: Vec<Worker<f32>> = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        let mut gradient = vec![0.0; parameters.len()];
        let mut averaged = parameters.clone();

        let mut best = parameters.clone();
        let mut best_loss = self.validation_loss(&best);
        let mut summary = Summary {
            epochs: 0,
            steps: 0,
            best_epoch: 0,
            validation_loss: best_loss,
            divergences: 0,
            stop: Stop::Finished,
        };
        'epochs: while summary.steps < total {
            order.shuffle(&mut shuffle);
            let mut training_loss = 0.0;
            let mut rows = 0;
            let mut finite = true;
            for batch in &batches {
                if self.cancel.load(Ordering::Relaxed) {
                    summary.stop = Stop::Cancelled;
                    break 'epochs;
                }
                if summary.steps == total {
                    break;
                }
                let loss =
                    self.gradient(&parameters, &order[batch.clone()], summary.steps, &mut workers, &mut gradient);
                let norm = clip_norm(&mut gradient, options.clip_norm);
                finite = loss.is_finite() && norm.is_finite();
                if !finite {
                    break;
                }
                adam.step(&mut parameters, &gradient, schedule.learning_rate(summary.steps));
                // Starts as the plain mean, so that the starting point is soon forgotten.
                let keep = options.averaging.min(summary.steps as f32 / (summary.steps + 10) as f32);
                for (averaged, parameter) in averaged.iter_mut().zip(&parameters) {
                    *averaged = parameter + keep * (*averaged - parameter);
                }
                summary.steps += 1;
                training_loss += loss * batch.len() as f64;
                rows += batch.len();
            }
            summary.epochs += 1;
            let loss = if finite { self.validation_loss(&averaged) } else { f64::NAN };
            if loss < best_loss {
                best_loss = loss;
                best.copy_from_slice(&averaged);
                summary.best_epoch = summary.epochs;
            }
            if !loss.is_finite() {
                summary.divergences += 1;
                if summary.divergences == MAX_DIVERGENCES {
                    summary.stop = Stop::Diverged;
                    break;
                }
                schedule.peak /= 2.0;
                parameters.copy_from_slice(&best);
                averaged.copy_from_slice(&best);
                adam = Adam::new(decayed.clone(), weight_decay);
                progress.diverged(summary.steps, schedule.peak);
                // A step that cannot be taken counts, or a hopeless fit would go on for ever.
                summary.steps += 1;
                continue;
            }
            let epochs_since_best = summary.epochs - summary.best_epoch;
            progress.epoch(&Epoch {
                epoch: summary.epochs,
                step: summary.steps,
                steps: total,
                training_loss: training_loss / rows.max(1) as f64,
                validation_loss: loss,
                best_validation_loss: best_loss,
                epochs_since_best,
            });
            if epochs_since_best >= options.patience {
                summary.stop = Stop::Patience;
                break;
            }
        }
        summary.validation_loss = best_loss;
        (best, summary)
    }

    /// Splits a pass into batches of nearly equal size.
    fn batches(&self) -> Vec<Range<usize>> {
        let rows = self.training.rows();
        let count = rows.div_ceil(self.options.batch_rows);
        (0..count).map(|index| index * rows / count..(index + 1) * rows / count).collect()
    }

    /// Mean negative log-density of the given training rows; its gradient goes to `gradient`.
    fn gradient(
        &self,
        parameters: &[f32],
        rows: &[usize],
        step: usize,
        workers: &mut [Worker<f32>],
        gradient: &mut [f32],
    ) -> f64 {
        let share = 1.0 / rows.len() as f32;
        let chunks = rows.len().div_ceil(CHUNK_ROWS);
        let first_stream = Stream::Noise as u64 + (step * workers.len()) as u64;
        let workers = &mut workers[..chunks];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(self.options.seed, first_stream + chunk as u64);
            gather(&mut worker.batch, rows.iter().map(|row| self.training.row(*row)), self.training.columns());
            self.add_noise(worker, &mut rng);
            worker.differentiate(self.layers, parameters, share);
        });
        // In the order of the chunks, so that the sum does not depend on which thread was first.
        gradient.fill(0.0);
        for worker in &*workers {
            for (sum, part) in gradient.iter_mut().zip(&worker.gradient) {
                *sum += part;
            }
        }
        workers.iter().map(|worker| worker.loss).sum()
    }

    fn add_noise(&self, worker: &mut Worker<f32>, rng: &mut ChaCha8Rng) {
        let noise = self.noise;
        for (feature, width) in self.widths.iter().enumerate() {
            for value in worker.batch.feature_mut(feature) {
                if *width > 0.0 {
                    *value += width * (rng.random::<f32>() - 0.5);
                }
                if noise > 0.0 {
                    *value += noise * rng.sample::<f32, _>(StandardNormal);
                }
            }
        }
    }

    fn validation_loss(&self, parameters: &[f32]) -> f64 {
        let log_probs = log_probs(self.layers, parameters, self.validation);
        -log_probs.iter().map(|value| f64::from(*value)).sum::<f64>() / log_probs.len() as f64
    }
}
