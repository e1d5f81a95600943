//! The reverse divergence and its gradient, in chunks over the threads.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::{Options, ROUND, VALIDATION_ROWS};
use crate::layers::{Sequence, Trainable};
use crate::train::descent::{Loss, add_up};
use crate::train::objective::CHUNK_ROWS;
use crate::train::random::{Stream, stream};
use crate::train::{Batch, LN_2PI, Real, Tape};

/// Fills with points of the base.
pub(super) fn draw<T: Real>(batch: &mut Batch<T>, rng: &mut ChaCha8Rng) {
    batch.values_mut().fill_with(|| T::of(rng.sample::<f64, _>(StandardNormal)));
}

/// What one task needs; reused from step to step.
#[derive(Debug, Default)]
pub(super) struct Worker<T> {
    /// Points of the base, and in their place what became of them.
    pub batch: Batch<T>,
    log_det: Vec<T>,
    log_det_gradient: Vec<T>,
    tape: Tape<T>,
    /// Of each point under the flow, in nats.
    pub log_q: Vec<f64>,
    point: Vec<f64>,
    /// Gradient of the chunk's share of the loss.
    pub gradient: Vec<T>,
    /// The chunk's share of the loss.
    pub loss: f64,
}

impl<T: Real> Worker<T> {
    /// Maps the batch from the base to the data, x = g(z), and sets log q(x) = log N(z) - log |det dg/dz|.
    fn pass(&mut self, sequence: &Sequence, parameters: &[T]) {
        let rows = self.batch.rows();
        self.log_q.clear();
        self.log_q.resize(rows, -0.5 * LN_2PI * self.batch.features() as f64);
        for feature in 0..self.batch.features() {
            for (log_q, z) in self.log_q.iter_mut().zip(self.batch.feature(feature)) {
                *log_q -= 0.5 * z.wide() * z.wide();
            }
        }
        self.log_det.clear();
        self.log_det.resize(rows, T::zero());
        sequence.inverse(parameters, &mut self.batch, &[], &mut self.log_det, &mut self.tape);
        for (log_q, log_det) in self.log_q.iter_mut().zip(&self.log_det) {
            *log_q -= log_det.wide();
        }
    }

    /// The row of the batch.
    fn point(&mut self, row: usize) -> &[f64] {
        let Self { batch, point, .. } = self;
        point.clear();
        point.extend((0..batch.features()).map(|feature| batch.feature(feature)[row].wide()));
        point
    }

    /// log q(x) + U(x) of every point of the batch, which becomes x.
    pub fn evaluate(&mut self, sequence: &Sequence, parameters: &[T], energy: impl Fn(&[f64]) -> f64) -> Vec<f64> {
        self.pass(sequence, parameters);
        self.tape.clear();
        (0..self.batch.rows()).map(|row| self.log_q[row] + energy(self.point(row))).collect()
    }

    /// Sets `self.loss` to log q(x) + βU(x) of the batch, summed and times `share`, and `self.gradient` to its gradient
    /// at fixed points of the base.
    pub fn differentiate(
        &mut self,
        sequence: &Sequence,
        parameters: &[T],
        energy: impl Fn(&[f64]) -> (f64, Vec<f64>),
        inverse_temperature: f64,
        share: f64,
    ) {
        self.pass(sequence, parameters);
        self.loss = 0.0;
        for row in 0..self.batch.rows() {
            let (value, gradient) = energy(self.point(row));
            self.loss += share * (self.log_q[row] + inverse_temperature * value);
            assert_eq!(gradient.len(), self.batch.features(), "a gradient has a number for each feature");
            for (feature, slope) in gradient.into_iter().enumerate() {
                self.batch.feature_mut(feature)[row] = T::of(share * inverse_temperature * slope);
            }
        }
        self.gradient.clear();
        self.gradient.resize(parameters.len(), T::zero());
        self.log_det_gradient.clear();
        self.log_det_gradient.resize(self.batch.rows(), T::of(-share));
        sequence.backward(parameters, &mut self.tape, &mut self.batch, &self.log_det_gradient, &mut self.gradient);
        debug_assert!(self.tape.is_empty(), "every layer pops what it pushed");
    }
}

/// Sizes of chunks of `rows` rows.
pub(super) fn chunks(rows: usize) -> impl Iterator<Item = usize> {
    (0..rows).step_by(CHUNK_ROWS).map(move |start| CHUNK_ROWS.min(rows - start))
}

/// KL(q || p) - ln Z over fresh samples.
pub(super) struct Divergence<'a, U> {
    energy: &'a U,
    sequence: &'a Sequence,
    features: usize,
    options: &'a Options,
    workers: Vec<Worker<f32>>,
    /// Points of the base to validate with.
    validation: Vec<Batch<f32>>,
}

impl<'a, U: Fn(&[f64]) -> (f64, Vec<f64>) + Sync> Divergence<'a, U> {
    pub fn new(energy: &'a U, sequence: &'a Sequence, features: usize, options: &'a Options) -> Self {
        let mut workers = Vec::new();
        workers.resize_with(options.rows.div_ceil(CHUNK_ROWS), Worker::default);
        let mut rng = stream(options.seed, Stream::Validation);
        let validation = chunks(VALIDATION_ROWS)
            .map(|rows| {
                let mut batch = Batch::zeros(features, rows);
                draw(&mut batch, &mut rng);
                batch
            })
            .collect();
        Self { energy, sequence, features, options, workers, validation }
    }
}

impl<U: Fn(&[f64]) -> (f64, Vec<f64>) + Sync> Loss for Divergence<'_, U> {
    /// Those of a round.
    fn rows(&self) -> usize {
        self.options.rows * (self.options.steps / 20).clamp(1, ROUND)
    }

    /// Fresh samples cannot be memorized.
    fn mark_decayed(&self, _: &mut [bool]) {}

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let Self { energy, sequence, features, options, ref mut workers, .. } = *self;
        let share = 1.0 / rows.len() as f64;
        let inverse_temperature = options.inverse_temperature(step);
        let first_chunk = step * workers.len();
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            worker.batch.reshape(features, rows.len());
            draw(&mut worker.batch, &mut stream(options.seed, Stream::Noise((first_chunk + chunk) as u64)));
            worker.differentiate(sequence, parameters, energy, inverse_temperature, share);
        });
        add_up(gradient, workers.iter().map(|worker| &worker.gradient));
        workers.iter().map(|worker| worker.loss).sum()
    }

    fn validation(&self, parameters: &[f32]) -> f64 {
        let of_chunk = |worker: &mut Worker<f32>, batch: &Batch<f32>| {
            worker.batch.clone_from(batch);
            worker.evaluate(self.sequence, parameters, |x| (self.energy)(x).0).iter().sum()
        };
        let sums: Vec<f64> = self.validation.par_iter().map_init(Worker::default, of_chunk).collect();
        let mean = sums.iter().sum::<f64>() / VALIDATION_ROWS as f64;
        if mean.is_nan() { f64::INFINITY } else { mean }
    }
}
