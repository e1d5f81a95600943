//! A fixed reordering of the features.

use rand_chacha::ChaCha8Rng;

use super::Layer;
use crate::train::batch::Batch;
use crate::train::real::Real;
use crate::train::tape::Tape;

/// Inverse: `y[i] = x[order[i]]`, log |det J| = 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permute {
    order: Vec<usize>,
}

impl Permute {
    /// `order` holds every index below its length once.
    pub fn new(order: Vec<usize>) -> Self {
        Self { order }
    }
}

impl<T: Real> Layer<T> for Permute {
    fn parameters(&self) -> usize {
        0
    }

    fn initialize(&self, _: &mut [T], _: &mut ChaCha8Rng) {}

    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, _: &[T], batch: &mut Batch<T>, _: &mut [T], tape: &mut Tape<T>) {
        let mut moved = tape.buffer(batch.values().len());
        for (to, from) in moved.chunks_exact_mut(batch.rows()).zip(&self.order) {
            to.copy_from_slice(batch.feature(*from));
        }
        tape.recycle(batch.replace(moved));
    }

    fn backward(&self, _: &[T], tape: &mut Tape<T>, gradient: &mut Batch<T>, _: &[T], _: &mut [T]) {
        let moved = tape.copy_of(gradient.values());
        for (from, to) in moved.chunks_exact(gradient.rows()).zip(&self.order) {
            gradient.feature_mut(*to).copy_from_slice(from);
        }
        tape.recycle(moved);
    }
}
