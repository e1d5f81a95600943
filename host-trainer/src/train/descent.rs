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
use super::state::State;
use super::vectors::vectorize;
use super::windows::{Training, Windows};
use crate::data::Matrix;
use crate::layers::Trainable;

/// Divergences after which a fit ends with what it has.
const MAX_DIVERGENCES: usize = 8;

/// A loss over rows, which a descent lowers.
pub(crate) trait Loss {
    /// Training rows.
    fn rows(&self) -> usize;
    /// How many of them a pass takes; passes count from 0.
    fn pass_rows(&self, _pass: usize) -> usize {
        self.rows()
    }
    /// Gets the rows of a pass ready; `false` if they cannot be had, which ends the descent.
    fn begin(&mut self, _pass: usize) -> bool {
        true
    }
    /// Marks the parameters that decay.
    fn mark_decayed(&self, marks: &mut [bool]);
    /// Mean loss of the given rows of the pass; its gradient goes to `gradient`. Random numbers are those of the step.
    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64;
    /// Mean loss of the validation rows: in every call of the same rows and random numbers.
    fn validation(&self, parameters: &[f32]) -> f64;
}

/// Descends from `parameters`, or goes on where `progress` says that it was; returns the averaged weights with the lowest
/// validation loss, and how it went.
pub(crate) fn descend(
    loss: &mut impl Loss,
    options: &Options,
    parameters: Vec<f32>,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> (Vec<f32>, Summary) {
    let total = options.total(loss.rows());
    let mut decayed = vec![false; parameters.len()];
    loss.mark_decayed(&mut decayed);
    let weight_decay = options.weight_decay(loss.rows(), parameters.len());
    let mut shuffle = stream(options.seed, Stream::Shuffle);
    let mut order = Vec::new();
    let mut gradient = vec![0.0; parameters.len()];

    let mut state = match progress.resume().filter(|state| state.best.len() == parameters.len()) {
        Some(state) => state,
        None => {
            let adam = Adam::new(&decayed, weight_decay);
            let validation_loss = loss.validation(&parameters);
            State::new(parameters, adam, options.learning_rate, validation_loss, total == 0)
        }
    };
    // The order of a pass comes from that of the pass before it.
    for pass in 0..state.summary.epochs {
        shuffle_pass(&mut order, loss.pass_rows(pass), &mut shuffle);
    }
    while !state.finished {
        let State { parameters, averaged, best, adam, peak, summary, finished } = &mut state;
        let schedule = Schedule { peak: *peak, warm_up: options.warm_up.min(total / 10), total };
        if !loss.begin(summary.epochs) {
            break;
        }
        shuffle_pass(&mut order, loss.pass_rows(summary.epochs), &mut shuffle);
        let batches = in_batches(order.len(), options.batch_rows);
        let mut training_loss = Mean::default();
        for batch in batches.iter().take(total - summary.steps) {
            if cancel.load(Ordering::Relaxed) {
                summary.stop = Stop::Cancelled;
                return (state.best, state.summary);
            }
            let rows = &order[batch.clone()];
            let training = loss.gradient(parameters, rows, summary.steps, &mut gradient);
            let norm = clip_norm(&mut gradient, options.clip_norm);
            // A step that cannot be taken counts too, or a hopeless fit would go on for ever.
            summary.steps += 1;
            training_loss.add(if norm.is_finite() { training } else { f64::NAN }, batch.len());
            if !training_loss.value().is_finite() {
                break;
            }
            adam.step(parameters, &gradient, schedule.learning_rate(summary.steps - 1));
            // Starts as the plain mean, so that the starting point is soon forgotten.
            let keep = options.averaging.min(summary.steps as f32 / (summary.steps + 10) as f32);
            vectorize(
                #[inline(always)]
                || {
                    for (averaged, parameter) in averaged.iter_mut().zip(parameters.iter()) {
                        *averaged = parameter + keep * (*averaged - parameter);
                    }
                },
            );
        }
        summary.epochs += 1;
        *finished = summary.steps >= total;
        let validation = loss.validation(averaged);
        // A rectified unit makes 0 of a NaN: the loss alone does not tell.
        let is_finite = averaged.iter().all(|value| value.is_finite());
        if !(is_finite && (validation + training_loss.value()).is_finite()) {
            summary.divergences += 1;
            if summary.divergences == MAX_DIVERGENCES {
                summary.stop = Stop::Diverged;
                *finished = true;
            } else {
                *peak /= 2.0;
                parameters.copy_from_slice(best);
                averaged.copy_from_slice(best);
                *adam = Adam::new(&decayed, weight_decay);
                progress.diverged(summary.steps, *peak);
            }
            progress.keep(&state);
            continue;
        }
        if validation < summary.validation_loss {
            summary.validation_loss = validation;
            summary.best_epoch = summary.epochs;
            best.copy_from_slice(averaged);
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
            *finished = true;
        }
        progress.keep(&state);
    }
    (state.best, state.summary)
}

/// Shuffles the order of the pass before on to that of a pass over so many rows.
fn shuffle_pass(order: &mut Vec<usize>, rows: usize, rng: &mut ChaCha8Rng) {
    if rows != order.len() {
        *order = (0..rows).collect();
    }
    order.shuffle(rng);
}

/// Splits a pass over `rows` into batches of nearly equal size.
fn in_batches(rows: usize, batch_rows: usize) -> Vec<Range<usize>> {
    let count = rows.div_ceil(batch_rows);
    (0..count).map(|index| index * rows / count..(index + 1) * rows / count).collect()
}

/// A gradient as the sum of its parts, in their order, so that it does not depend on which thread was first.
pub(crate) fn add_up<'a>(gradient: &mut [f32], parts: impl Iterator<Item = &'a Vec<f32>>) {
    gradient.fill(0.0);
    vectorize(
        #[inline(always)]
        || {
            for part in parts {
                for (sum, part) in gradient.iter_mut().zip(part) {
                    *sum += part;
                }
            }
        },
    );
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

    /// Adds noise to the features of training rows, the given share of the normal one.
    pub fn add_noise(&self, batch: &mut Batch<f32>, share: f32, rng: &mut ChaCha8Rng) {
        let noise = share * self.noise;
        for (feature, width) in self.widths[..self.features].iter().enumerate() {
            for value in batch.feature_mut(feature) {
                dither(value, *width, rng);
                if noise > 0.0 {
                    *value += noise * rng.sample::<f32, _>(StandardNormal);
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
    /// Steps after which no normal noise is left.
    steps: usize,
    workers: Vec<Worker<f32>>,
}

impl<'a> Likelihood<'a> {
    pub fn new(objective: Objective<'a>, rows: Rows<'a>, options: &Options) -> Self {
        let mut workers = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        let windows = Windows::new(rows.training, options.seed);
        let steps = options.total(windows.rows());
        Self { objective, rows, windows, seed: options.seed, steps, workers }
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

    fn pass_rows(&self, pass: usize) -> usize {
        self.windows.pass_rows(pass)
    }

    fn begin(&mut self, pass: usize) -> bool {
        self.windows.begin(pass)
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        let of_layers = Trainable::<f32>::parameters(self.objective.sequence);
        Trainable::<f32>::mark_decayed(self.objective.sequence, &mut marks[..of_layers]);
    }

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let Self { objective, rows: table, ref windows, seed, steps, ref mut workers } = *self;
        let noise = Schedule { peak: 1.0, warm_up: 0, total: steps }.learning_rate(step);
        let (window, share) = (windows.current(), 1.0 / rows.len() as f32);
        let first_chunk = step * workers.len();
        let workers = &mut workers[..rows.len().div_ceil(CHUNK_ROWS)];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(seed, Stream::Noise((first_chunk + chunk) as u64));
            worker.gather(rows.iter().map(|row| window.row(*row)), table.features, table.context());
            table.add_noise(&mut worker.batch, noise, &mut rng);
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
