//! What a fit says while it runs.

use super::state::State;

/// State after one pass over the training rows, or over [`super::PASS_ROWS`] of them where not all are in memory. Losses are
/// mean negative log-densities in nats, in standardized units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps done.
    pub step: usize,
    /// Steps after which the fit ends if it is not ended earlier.
    pub steps: usize,
    /// Mean over the pass, noise included.
    pub training_loss: f64,
    /// Of the averaged weights at the end of the pass.
    pub validation_loss: f64,
    /// Lowest so far.
    pub best_validation_loss: f64,
    /// Passes since it was reached.
    pub epochs_since_best: usize,
}

/// Told how a fit goes, and where to go on if it was interrupted; `()` ignores it.
///
/// A fit is one descent, and with fine-tuning another: each asks where it was before its first pass, and tells where it is
/// after every one. What was kept of all of them, in their order, resumes the fit: with the same data and options it ends
/// with the same bits.
pub trait Progress {
    /// After every pass.
    fn epoch(&mut self, _state: &Epoch) {}

    /// A step gave a loss that is no number: the best weights were restored and the learning rate, now `learning_rate`
    /// at its peak, was halved.
    fn diverged(&mut self, _step: usize, _learning_rate: f32) {}

    /// At the beginning of a descent: where it goes on; `None` begins it.
    fn resume(&mut self) -> Option<State> {
        None
    }

    /// After every pass over the training rows: where the descent is.
    fn keep(&mut self, _state: &State) {}
}

impl Progress for () {}
