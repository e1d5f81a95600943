//! The training loop: batches, noise, steps, validation, best weights.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::batch::Batch;
use super::fit::{Stop, Summary};
use super::layers::{Layer, Sequence};
use super::model::gather;
use super::objective::{CHUNK_ROWS, Worker, log_probs};
use super::optimizer::{Adam, Schedule, clip_norm};
use super::options::Options;
use super::progress::{Epoch, Progress};
use super::random::{Stream, dither, stream};
use crate::data::Matrix;

/// Divergences after which a fit ends with what it has.
const MAX_DIVERGENCES: usize = 8;

/// A loss over rows, which a descent lowers.
pub(super) trait Objective {
    /// Training rows.
    fn rows(&self) -> usize;
    /// Marks the parameters that decay.
    fn mark_decayed(&self, marks: &mut [bool]);
    /// Mean loss of the given training rows; its gradient goes to `gradient`. Of every step another call, whose random
    /// numbers are those of that step.
    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64;
    /// Mean loss of the validation rows: the same rows and random numbers in every call.
    fn validation_loss(&self, parameters: &[f32]) -> f64;
}

/// Descends from `parameters`; returns the averaged weights with the lowest validation loss, and how it went, losses
/// those of the objective.
pub(super) fn descend(
    objective: &mut impl Objective,
    options: &Options,
    mut parameters: Vec<f32>,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> (Vec<f32>, Summary) {
    let batches = batches(objective.rows(), options.batch_rows);
    let total = options.epochs.saturating_mul(batches.len()).min(options.steps);
    let mut schedule = Schedule { peak: options.learning_rate, warm_up: options.warm_up.min(total / 10), total };
    let mut decayed = vec![false; parameters.len()];
    objective.mark_decayed(&mut decayed);
    let weight_decay = options.weight_decay(objective.rows(), parameters.len());
    let mut adam = Adam::new(decayed.clone(), weight_decay);
    let mut shuffle = stream(options.seed, Stream::Shuffle);
    let mut order: Vec<usize> = (0..objective.rows()).collect();
    let mut gradient = vec![0.0; parameters.len()];

    let mut averaged = parameters.clone();
    let mut best = parameters.clone();
    let mut summary = Summary {
        epochs: 0,
        steps: 0,
        best_epoch: 0,
        validation_loss: objective.validation_loss(&best),
        divergences: 0,
        stop: Stop::Finished,
    };
    while summary.steps < total {
        order.shuffle(&mut shuffle);
        let mut training_loss = Mean::default();
        for batch in batches.iter().take(total - summary.steps) {
            if cancel.load(Ordering::Relaxed) {
                summary.stop = Stop::Cancelled;
                return (best, summary);
            }
            let rows = &order[batch.clone()];
            let loss = objective.gradient(&parameters, rows, summary.steps, &mut gradient);
            let norm = clip_norm(&mut gradient, options.clip_norm);
            // A step that cannot be taken counts too, or a hopeless fit would go on for ever.
            summary.steps += 1;
            training_loss.add(if norm.is_finite() { loss } else { f64::NAN }, batch.len());
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
        let loss = objective.validation_loss(&averaged);
        if !(loss + training_loss.value()).is_finite() {
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
        if loss < summary.validation_loss {
            summary.validation_loss = loss;
            summary.best_epoch = summary.epochs;
            best.copy_from_slice(&averaged);
        }
        let epochs_since_best = summary.epochs - summary.best_epoch;
        progress.epoch(&Epoch {
            epoch: summary.epochs,
            step: summary.steps,
            steps: total,
            training_loss: training_loss.value(),
            validation_loss: loss,
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
fn batches(rows: usize, batch_rows: usize) -> Vec<Range<usize>> {
    let count = rows.div_ceil(batch_rows);
    (0..count).map(|index| index * rows / count..(index + 1) * rows / count).collect()
}

/// A gradient as the sum of its parts, in the order of the parts, so that it does not depend on which thread was first.
pub(super) fn add_up<'a>(gradient: &mut [f32], parts: impl Iterator<Item = &'a Vec<f32>>) {
    gradient.fill(0.0);
    for part in parts {
        for (sum, part) in gradient.iter_mut().zip(part) {
            *sum += part;
        }
    }
}

/// The negative log-density under a sequence of layers.
pub(super) struct Likelihood<'a> {
    layers: &'a Sequence<f32>,
    training: &'a Matrix,
    validation: &'a Matrix,
    widths: &'a [f32],
    noise: f32,
    seed: u64,
    workers: Vec<Worker<f32>>,
}

impl<'a> Likelihood<'a> {
    /// Of standardized rows. A use of a training row adds uniform noise of these widths, and normal noise.
    pub fn new(
        layers: &'a Sequence<f32>,
        [training, validation]: [&'a Matrix; 2],
        widths: &'a [f32],
        noise: f32,
        options: &Options,
    ) -> Self {
        let mut workers = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        Self { layers, training, validation, widths, noise, seed: options.seed, workers }
    }
}

impl Objective for Likelihood<'_> {
    fn rows(&self) -> usize {
        self.training.rows()
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.layers.mark_decayed(marks);
    }

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let share = 1.0 / rows.len() as f32;
        let chunks = rows.len().div_ceil(CHUNK_ROWS);
        let first_chunk = step * self.workers.len();
        let (layers, training, seed, widths, noise) = (self.layers, self.training, self.seed, self.widths, self.noise);
        let workers = &mut self.workers[..chunks];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(seed, Stream::Noise((first_chunk + chunk) as u64));
            gather(&mut worker.batch, rows.iter().map(|row| training.row(*row)), training.columns());
            add_noise(&mut worker.batch, widths, noise, &mut rng);
            worker.differentiate(layers, parameters, share);
        });
        add_up(gradient, workers.iter().map(|worker| &worker.gradient));
        workers.iter().map(|worker| worker.loss).sum()
    }

    fn validation_loss(&self, parameters: &[f32]) -> f64 {
        let log_probs = log_probs(self.layers, parameters, self.validation);
        -log_probs.iter().map(|value| f64::from(*value)).sum::<f64>() / log_probs.len() as f64
    }
}

/// Adds uniform noise of a width for each of the first features, and normal noise, to a batch.
pub(super) fn add_noise(batch: &mut Batch<f32>, widths: &[f32], noise: f32, rng: &mut ChaCha8Rng) {
    for (feature, width) in widths.iter().enumerate() {
        for value in batch.feature_mut(feature) {
            dither(value, *width, rng);
            if noise > 0.0 {
                *value += noise * rng.sample::<f32, _>(StandardNormal);
            }
        }
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
