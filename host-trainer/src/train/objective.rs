//! The log-likelihood of rows and its gradient, in chunks over the threads.

use rayon::prelude::*;

use super::batch::Batch;
use super::layers::{Layer, Sequence};
use super::model::{LN_2PI, gather};
use super::real::Real;
use super::tape::Tape;
use crate::data::Matrix;

/// Rows that one task works on: enough for the vector unit, few enough for the first-level cache. It must not depend on
/// the number of threads, because sums are formed chunk by chunk.
pub(super) const CHUNK_ROWS: usize = 64;

/// What one task needs; reused from step to step.
#[derive(Debug, Default)]
pub(super) struct Worker<T> {
    pub batch: Batch<T>,
    log_det: Vec<T>,
    log_det_gradient: Vec<T>,
    tape: Tape<T>,
    /// Gradient of the chunk's share of the loss.
    pub gradient: Vec<T>,
    /// The chunk's share of the loss.
    pub loss: f64,
}

impl<T: Real> Worker<T> {
    /// A worker with this batch to work on.
    #[cfg(test)]
    pub fn with(batch: Batch<T>) -> Self {
        Self { batch, ..Self::default() }
    }

    /// Log-densities of `self.batch`, which is consumed, per row.
    pub fn log_prob(&mut self, layers: &Sequence<T>, parameters: &[T]) -> &[T] {
        self.inverse(layers, parameters);
        self.tape.clear();
        self.add_base();
        &self.log_det
    }

    /// Sets `self.loss` to the negative log-density of `self.batch`, summed and times `share`, and `self.gradient` to
    /// its gradient.
    pub fn differentiate(&mut self, layers: &Sequence<T>, parameters: &[T], share: T) {
        self.inverse(layers, parameters);
        self.add_base();
        self.loss = -share.wide() * self.log_det.iter().map(|log_prob| log_prob.wide()).sum::<f64>();
        // d(-log N(z)) / dz = z, so that the base turns the batch into its own gradient.
        self.batch.values_mut().iter_mut().for_each(|z| *z *= share);
        self.log_det_gradient.clear();
        self.log_det_gradient.resize(self.batch.rows(), -share);
        self.gradient.clear();
        self.gradient.resize(parameters.len(), T::zero());
        layers.backward(parameters, &mut self.tape, &mut self.batch, &self.log_det_gradient, &mut self.gradient);
        debug_assert!(self.tape.is_empty(), "every layer pops what it pushed");
    }

    fn inverse(&mut self, layers: &Sequence<T>, parameters: &[T]) {
        self.log_det.clear();
        self.log_det.resize(self.batch.rows(), T::zero());
        layers.inverse(parameters, &mut self.batch, &mut self.log_det, &mut self.tape);
    }

    /// Adds the standard normal log-density of the batch, which has reached the base.
    fn add_base(&mut self) {
        let half = T::of(0.5);
        for feature in 0..self.batch.features() {
            for (sum, z) in self.log_det.iter_mut().zip(self.batch.feature(feature)) {
                *sum -= half * *z * *z;
            }
        }
        let constant = T::of(0.5 * LN_2PI * self.batch.features() as f64);
        self.log_det.iter_mut().for_each(|sum| *sum -= constant);
    }
}

/// Log-densities of standardized rows, in nats, in standardized units.
pub(super) fn log_probs(layers: &Sequence<f32>, parameters: &[f32], rows: &Matrix) -> Vec<f32> {
    let mut result = vec![0.0; rows.rows()];
    result.par_chunks_mut(CHUNK_ROWS).enumerate().for_each_init(Worker::default, |worker, (index, result)| {
        let start = index * CHUNK_ROWS;
        let chunk = (start..start + result.len()).map(|row| rows.row(row));
        gather(&mut worker.batch, chunk, rows.columns());
        result.copy_from_slice(worker.log_prob(layers, parameters));
    });
    result
}
