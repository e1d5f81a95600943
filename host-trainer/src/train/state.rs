//! Where a descent is.

use serde::{Deserialize, Serialize};

use super::fit::{Stop, Summary};
use super::optimizer::Adam;

/// All that a descent needs to go on, bit for bit, between two passes over the training rows. Random numbers are those of
/// the step or the pass, so that counting these is enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub(super) parameters: Vec<f32>,
    /// The average that is validated.
    pub(super) averaged: Vec<f32>,
    /// The average with the lowest validation loss so far.
    pub(super) best: Vec<f32>,
    pub(super) adam: Adam,
    /// The highest learning rate.
    pub(super) peak: f32,
    pub(super) summary: Summary,
    pub(super) finished: bool,
}

impl State {
    /// Where a descent begins.
    pub(super) fn new(parameters: Vec<f32>, adam: Adam, peak: f32, validation_loss: f64, finished: bool) -> Self {
        let summary =
            Summary { epochs: 0, steps: 0, best_epoch: 0, validation_loss, divergences: 0, stop: Stop::Finished };
        let (averaged, best) = (parameters.clone(), parameters.clone());
        Self { parameters, averaged, best, adam, peak, summary, finished }
    }

    /// Passes over the training rows that are done.
    pub fn epochs(&self) -> usize {
        self.summary.epochs
    }

    /// Whether the descent has ended.
    pub fn is_finished(&self) -> bool {
        self.finished
    }
}
