//! What a fit says while it runs.

/// State after one pass over the training rows, or over [`super::PASS_ROWS`] of them where there are more. Losses are mean negative log-densities in nats, in standardized units.
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

/// Told how a fit goes; `()` ignores it.
pub trait Progress {
    /// After every pass.
    fn epoch(&mut self, _state: &Epoch) {}

    /// A step gave a loss that is no number: the best weights were restored and the learning rate, now `learning_rate`
    /// at its peak, was halved.
    fn diverged(&mut self, _step: usize, _learning_rate: f32) {}
}

impl Progress for () {}
