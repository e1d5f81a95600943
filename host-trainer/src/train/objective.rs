//! The log-likelihood of rows and its gradient, in chunks over the threads.

use rayon::prelude::*;

use super::batch::Batch;
use super::real::Real;
use super::tape::Tape;
use crate::base::TrainedBase;
use crate::data::Matrix;
use crate::layers::{Sequence, Trainable};

/// Rows that one task works on: enough for the vector unit, few enough for the first-level cache. It must not depend on
/// the number of threads, because sums are formed chunk by chunk.
pub(crate) const CHUNK_ROWS: usize = 64;

/// Layers and a base; their parameters follow each other in that order.
#[derive(Clone, Copy, Debug)]
pub struct Objective<'a> {
    /// The layers.
    pub sequence: &'a Sequence,
    /// The base.
    pub base: &'a dyn TrainedBase,
}

/// What one task needs; reused from step to step.
#[derive(Debug, Default)]
pub(crate) struct Worker<T> {
    pub batch: Batch<T>,
    /// Feature-major, as the batch.
    pub context: Vec<T>,
    log_prob: Vec<T>,
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
    pub fn with(batch: Batch<T>, context: Vec<T>) -> Self {
        Self { batch, context, ..Self::default() }
    }

    /// Log-densities of `self.batch`, which is consumed, per row.
    pub fn log_prob(&mut self, objective: Objective<'_>, parameters: &[T]) -> &[T] {
        self.evaluate(objective, parameters);
        self.tape.clear();
        &self.log_prob
    }

    /// Sets `self.loss` to the negative log-density of `self.batch`, summed and times `share`, and `self.gradient` to
    /// its gradient.
    pub fn differentiate(&mut self, objective: Objective<'_>, parameters: &[T], share: T) {
        let of_layers = self.evaluate(objective, parameters);
        self.loss = -share.wide() * self.log_prob.iter().map(|log_prob| log_prob.wide()).sum::<f64>();
        self.gradient.clear();
        self.gradient.resize(parameters.len(), T::zero());
        let (layers, base) = parameters.split_at(of_layers);
        let (layers_gradient, base_gradient) = self.gradient.split_at_mut(of_layers);
        T::trainable_base(objective.base).backward(base, &mut self.batch, -share, base_gradient);
        self.log_det_gradient.clear();
        self.log_det_gradient.resize(self.batch.rows(), -share);
        objective.sequence.backward(layers, &mut self.tape, &mut self.batch, &self.log_det_gradient, layers_gradient);
        debug_assert!(self.tape.is_empty(), "every layer pops what it pushed");
    }

    /// Maps the batch to the base; returns how many parameters are the layers'.
    fn evaluate(&mut self, objective: Objective<'_>, parameters: &[T]) -> usize {
        let of_layers = Trainable::<T>::parameters(objective.sequence);
        let (layers, base) = parameters.split_at(of_layers);
        self.log_prob.clear();
        self.log_prob.resize(self.batch.rows(), T::zero());
        objective.sequence.inverse(layers, &mut self.batch, &self.context, &mut self.log_prob, &mut self.tape);
        T::trainable_base(objective.base).log_prob(base, &self.batch, &mut self.log_prob);
        of_layers
    }
}

impl Worker<f32> {
    /// Fills the batch and its context from rows of `features` features and the context behind them.
    pub fn gather<'a>(&mut self, rows: impl ExactSizeIterator<Item = &'a [f32]>, features: usize, context: usize) {
        let count = rows.len();
        self.batch.reshape(features, count);
        self.context.resize(context * count, 0.0);
        for (index, row) in rows.enumerate() {
            let (reading, side) = row.split_at(features);
            for (values, from) in [(self.batch.values_mut(), reading), (&mut self.context[..], side)] {
                for (column, value) in from.iter().enumerate() {
                    values[column * count + index] = *value;
                }
            }
        }
    }
}

/// Log-densities of standardized rows, in nats, in standardized units.
pub(super) fn log_probs(
    sequence: &Sequence,
    base: &dyn TrainedBase,
    parameters: &[f32],
    rows: &Matrix,
    features: usize,
) -> Vec<f32> {
    let mut result = vec![0.0; rows.rows()];
    result.par_chunks_mut(CHUNK_ROWS).enumerate().for_each_init(Worker::default, |worker, (index, result)| {
        let start = index * CHUNK_ROWS;
        let chunk = (start..start + result.len()).map(|row| rows.row(row));
        worker.gather(chunk, features, rows.columns() - features);
        result.copy_from_slice(worker.log_prob(Objective { sequence, base }, parameters));
    });
    result
}
