//! Layers of a flow for training: batched, with hand-written derivatives.
//!
//! Forward goes base -> data (sampling), inverse goes data -> base (density). Maximum likelihood needs the inverse
//! alone, so that is the direction that a layer differentiates. To add a layer, copy a neighbour and add it to the
//! gradient check in `tests`.

mod coupling;
mod permute;
mod sequence;

pub use coupling::AffineCoupling;
pub use permute::Permute;
pub use sequence::Sequence;

use std::fmt::Debug;

use rand_chacha::ChaCha8Rng;

use super::batch::Batch;
use super::real::Real;
use super::tape::Tape;

/// One layer: shapes are its fields, trainable numbers a slice that the caller owns, so that the optimizer, the best
/// weights so far and the reduction over threads see one vector.
pub trait Layer<T: Real>: Debug + Send + Sync {
    /// How many numbers of `parameters` are this layer's.
    fn parameters(&self) -> usize;

    /// Draws starting values.
    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng);

    /// Sets `true` at the parameters that weight decay applies to.
    fn mark_decayed(&self, marks: &mut [bool]);

    /// Data -> base in place; adds each row's log |det J| of this direction to `log_det`, and keeps on the tape what
    /// [`Self::backward`] needs.
    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, log_det: &mut [T], tape: &mut Tape<T>);

    /// Turns `gradient`, the loss's derivative by this layer's outputs, into that by its inputs, in place, and adds the
    /// derivative by the parameters to `parameter_gradient`. `log_det_gradient` is the loss's derivative by each row's
    /// log |det J|.
    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    );
}
