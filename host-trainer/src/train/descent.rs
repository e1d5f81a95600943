//! The training loop: batches, noise, steps, validation, best weights.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::batch::Batch;
use super::error::FitError;
use super::fit::{Stop, Summary};
use super::objective::{CHUNK_ROWS, Objective, Worker, log_probs};
use super::optimizer::{Adam, Schedule, clip_norm};
use super::options::Options;
use super::progress::{Epoch, Progress};
use super::random::{Stream, dither, stream};
use super::windows::{Training, Windows};
use crate::data::Matrix;
use crate::layers::Trainable;

/// Divergences after which a fit ends with what it has.
const MAX_DIVERGENCES: usize = 8;

/// A loss over rows, which a descent lowers.
pub(crate) trait Loss {
    /// Training rows.
    fn rows(&self) -> usize;
    /// Gets the rows of a pass ready, counted from 0, and returns how many there are; `None` if there can be none, which ends
    /// the descent.
    fn begin(&mut self, _pass: usize) -> Option<usize> {
        Some(self.rows())
    }
    /// Marks the parameters that decay.
    fn mark_decayed(&self, marks: &mut [bool]);
    /// Mean loss of the given rows of the pass; its gradient goes to `gradient`. Random numbers are those of the step.
    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64;
    /// Mean loss of the validation rows: in every call of the same rows and random numbers.
    fn validation(&self, parameters: &[f32]) -> f64;
}

/// Descends from `parameters`; returns the averaged weights with the lowest validation loss, and how it went.
pub(crate) fn descend(
    loss: &mut impl Loss,
    options: &Options,
    mut parameters: Vec<f32>,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> (Vec<f32>, Summary) {
    let total = options.epochs.saturating_mul(loss.rows().div_ceil(options.batch_rows)).min(options.steps);
    let mut schedule = Schedule { peak: options.learning_rate, warm_up: options.warm_up.min(total / 10), total };
    let mut decayed = vec![false; parameters.len()];
    loss.mark_decayed(&mut decayed);
    let weight_decay = options.weight_decay(loss.rows(), parameters.len());
    let mut adam = Adam::new(decayed.clone(), weight_decay);
    let mut shuffle = stream(options.seed, Stream::Shuffle);
    let (mut order, mut batches) = (Vec::new(), Vec::new());
    let mut gradient = vec![0.0; parameters.len()];

    let mut averaged = parameters.clone();
    let mut best = parameters.clone();
    let mut summary = Summary {
        epochs: 0,
        steps: 0,
        best_epoch: 0,
        validation_loss: loss.validation(&best),
        divergences: 0,
        stop: Stop::Finished,
    };
    while summary.steps < total {
        let Some(rows) = loss.begin(summary.epochs) else { break };
        if rows != order.len() {
            order = (0..rows).collect();
            batches = in_batches(rows, options.batch_rows);
        }
        order.shuffle(&mut shuffle);
        let mut training_loss = Mean::default();
        for batch in batches.iter().take(total - summary.steps) {
            if cancel.load(Ordering::Relaxed) {
                summary.stop = Stop::Cancelled;
                return (best, summary);
            }
            let rows = &order[batch.clone()];
            let training = loss.gradient(&parameters, rows, summary.steps, &mut gradient);
            let norm = clip_norm(&mut gradient, options.clip_norm);
            // A step that cannot be taken counts too, or a hopeless fit would go on for ever.
            summary.steps += 1;
            training_loss.add(if norm.is_finite() { training } else { f64::NAN }, batch.len());
            if !training_loss.value().is_finite() {
                break;
            }
            adam.step(&mut parameters, &gradient, schedule.learning_rate(summary.steps - 1));
            // Starts as the plain mean, so that the starting point is soon forgotten.
            let keep = options.averaging.min(summary.steps as f32 / (summary.steps + 10) as f32);
            for (averaged, parameter) in averaged.iter_mut().zip(&parameters) {
                *averaged = parameter + keep * (*averaged - parameter);
            }
        }
        summary.epochs += 1;
        let validation = loss.validation(&averaged);
        if !(validation + training_loss.value()).is_finite() {
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
            continue;
        }
        if validation < summary.validation_loss {
            summary.validation_loss = validation;
            summary.best_epoch = summary.epochs;
            best.copy_from_slice(&averaged);
        }
        let epochs_since_best = summary.epochs - summary.best_epoch;
        progress.epoch(&Epoch {
            epoch: summary.epochs,
            step: summary.steps,
            steps: total,
            training_loss: training_loss.value(),
            validation_loss: validation,
            best_validation_loss: summary.validation_loss,
            epochs_since_best,
        });
        if epochs_since_best >= options.patience {
            summary.stop = Stop::Patience;
            break;
        }
    }
    (best, summary)
}

/// Splits a pass over `rows` into batches of nearly equal size.
fn in_batches(rows: usize, batch_rows: usize) -> Vec<Range<usize>> {
    let count = rows.div_ceil(batch_rows);
    (0..count).map(|index| index * rows / count..(index + 1) * rows / count).collect()
}

/// A gradient as the sum of its parts, in their order, so that it does not depend on which thread was first.
pub(crate) fn add_up<'a>(gradient: &mut [f32], parts: impl Iterator<Item = &'a Vec<f32>>) {
    gradient.fill(0.0);
    for part in parts {
        for (sum, part) in gradient.iter_mut().zip(part) {
            *sum += part;
        }
    }
}

/// What a fit learns from, in standardized units: rows of features, and their context behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// Columns that are features; the others are context.
    pub features: usize,
    pub training: Training<'a>,
    pub validation: &'a Matrix,
    /// Per feature the width of the uniform noise that each use of a training row adds.
    pub widths: &'a [f32],
    /// Standard deviation of the normal noise that it adds.
    pub noise: f32,
}

impl Rows<'_> {
    /// Columns that are context.
    pub fn context(&self) -> usize {
        self.training.columns() - self.features
    }

    /// Adds noise to the features of training rows.
    pub fn add_noise(&self, batch: &mut Batch<f32>, rng: &mut ChaCha8Rng) {
        for (feature, width) in self.widths[..self.features].iter().enumerate() {
            for value in batch.feature_mut(feature) {
                dither(value, *width, rng);
                if self.noise > 0.0 {
                    *value += self.noise * rng.sample::<f32, _>(StandardNormal);
                }
            }
        }
    }
}

/// The mean negative log-density.
pub(super) struct Likelihood<'a> {
    objective: Objective<'a>,
    rows: Rows<'a>,
    windows: Windows<'a>,
    seed: u64,
    workers: Vec<Worker<f32>>,
}

impl<'a> Likelihood<'a> {
    pub fn new(objective: Objective<'a>, rows: Rows<'a>, options: &Options) -> Self {
        let mut workers = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        let windows = Windows::new(rows.training, options.seed);
        Self { objective, rows, windows, seed: options.seed, workers }
    }

    /// Fails if training rows could not be read.
    pub fn checked(&mut self) -> Result<(), FitError> {
        self.windows.checked()
    }
}

impl Loss for Likelihood<'_> {
    fn rows(&self) -> usize {
        self.windows.rows()
    }

    fn begin(&mut self, pass: usize) -> Option<usize> {
        self.windows.begin(pass)
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        let of_layers = Trainable::<f32>::parameters(self.objective.sequence);
        Trainable::<f32>::mark_decayed(self.objective.sequence, &mut marks[..of_layers]);
    }

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let Self { objective, rows: table, ref windows, seed, ref mut workers } = *self;
        let (window, share) = (windows.current(), 1.0 / rows.len() as f32);
        let first_chunk = step * workers.len();
        let workers = &mut workers[..rows.len().div_ceil(CHUNK_ROWS)];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(seed, Stream::Noise((first_chunk + chunk) as u64));
            worker.gather(rows.iter().map(|row| window.row(*row)), table.features, table.context());
            table.add_noise(&mut worker.batch, &mut rng);
            worker.differentiate(objective, parameters, share);
        });
        add_up(gradient, workers.iter().map(|worker| &worker.gradient));
        workers.iter().map(|worker| worker.loss).sum()
    }

    fn validation(&self, parameters: &[f32]) -> f64 {
        let Objective { sequence, base } = self.objective;
        let log_probs = log_probs(sequence, base, parameters, self.rows.validation, self.rows.features);
        -log_probs.iter().map(|value| f64::from(*value)).sum::<f64>() / log_probs.len() as f64
    }
}

/// A mean over rows.
#[derive(Default)]
struct Mean {
    sum: f64,
    rows: usize,
}

impl Mean {
    fn add(&mut self, mean: f64, rows: usize) {
        self.sum += mean * rows as f64;
        self.rows += rows;
    }

    fn value(&self) -> f64 {
        self.sum / self.rows as f64
    }
}
