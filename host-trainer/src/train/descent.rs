//! The training loop: batches, noise, steps, validation, best weights.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::fit::{Stop, Summary};
use super::objective::{CHUNK_ROWS, Objective, Worker, log_probs};
use super::optimizer::{Adam, Schedule, clip_norm};
use super::options::Options;
use super::progress::{Epoch, Progress};
use super::random::{Stream, dither, stream};
use crate::data::Matrix;
use crate::layers::Trainable;

/// Divergences after which a fit ends with what it has.
const MAX_DIVERGENCES: usize = 8;

/// Everything that stays the same while the weights move.
pub(super) struct Descent<'a> {
    pub objective: Objective<'a>,
    /// Columns of the tables that are features; the others are context.
    pub features: usize,
    pub training: &'a Matrix,
    pub validation: &'a Matrix,
    pub widths: &'a [f32],
    pub noise: f32,
    pub options: &'a Options,
    pub cancel: &'a AtomicBool,
}

impl Descent<'_> {
    /// Descends from `parameters`; returns the averaged weights with the lowest validation loss, and how it went,
    /// losses in standardized units.
    pub fn run(&self, mut parameters: Vec<f32>, progress: &mut dyn Progress) -> (Vec<f32>, Summary) {
        let options = self.options;
        let batches = self.batches();
        let total = options.epochs.saturating_mul(batches.len()).min(options.steps);
        let mut schedule = Schedule { peak: options.learning_rate, warm_up: options.warm_up.min(total / 10), total };
        let mut decayed = vec![false; parameters.len()];
        let of_layers = Trainable::<f32>::parameters(self.objective.sequence);
        Trainable::<f32>::mark_decayed(self.objective.sequence, &mut decayed[..of_layers]);
        let weight_decay = options.weight_decay(self.training.rows(), parameters.len());
        let mut adam = Adam::new(decayed.clone(), weight_decay);
        let mut shuffle = stream(options.seed, Stream::Shuffle);
        let mut order: Vec<usize> = (0..self.training.rows()).collect();
        let mut workers: Vec<Worker<f32>> = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        let mut gradient = vec![0.0; parameters.len()];

        let mut averaged = parameters.clone();
        let mut best = parameters.clone();
        let mut summary = Summary {
            epochs: 0,
            steps: 0,
            best_epoch: 0,
            validation_loss: self.validation_loss(&best),
            divergences: 0,
            stop: Stop::Finished,
        };
        while summary.steps < total {
            order.shuffle(&mut shuffle);
            let mut training_loss = Mean::default();
            for batch in batches.iter().take(total - summary.steps) {
                if self.cancel.load(Ordering::Relaxed) {
                    summary.stop = Stop::Cancelled;
                    return (best, summary);
                }
                let rows = &order[batch.clone()];
                let loss = self.gradient(&parameters, rows, summary.steps, &mut workers, &mut gradient);
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
            let loss = self.validation_loss(&averaged);
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
        let first_chunk = step * workers.len();
        let workers = &mut workers[..chunks];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(self.options.seed, Stream::Noise((first_chunk + chunk) as u64));
            let context = self.training.columns() - self.features;
            worker.gather(rows.iter().map(|row| self.training.row(*row)), self.features, context);
            self.add_noise(worker, &mut rng);
            worker.differentiate(self.objective, parameters, share);
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
        for (feature, width) in self.widths[..self.features].iter().enumerate() {
            for value in worker.batch.feature_mut(feature) {
                dither(value, *width, rng);
                if noise > 0.0 {
                    *value += noise * rng.sample::<f32, _>(StandardNormal);
                }
            }
        }
    }

    fn validation_loss(&self, parameters: &[f32]) -> f64 {
        let Objective { sequence, base } = self.objective;
        let log_probs = log_probs(sequence, base, parameters, self.validation, self.features);
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
