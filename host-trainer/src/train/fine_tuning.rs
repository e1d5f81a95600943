//! Quantization-aware fine-tuning: training goes on with weights as int8 holds them.
//!
//! Steps are taken by the gradient at the rounded weights, as if rounding were the identity (the straight-through
//! estimator: "Estimating or propagating gradients through stochastic neurons", Bengio, Léonard, Courville 2013; for
//! integer nets "Quantization and training of neural networks for efficient integer-arithmetic-only inference", Jacob
//! et al. 2018, section 3). They add up in the exact weights, until a rounded one moves.

use std::sync::atomic::AtomicBool;

use super::descent::{Likelihood, Loss, descend};
use super::error::FitError;
use super::fit::{Fit, Prepared, TrainingData};
use super::flow::Flow;
use super::objective::Objective;
use super::options::Options;
use super::progress::Progress;
use crate::layers::{Sequence, Trainable};

/// Of the learning rate of the fit, whose end it goes on from.
const LEARNING_RATE: f32 = 0.04;

/// The most passes over the training rows.
const EPOCHS: usize = 30;

/// Of the steps of the fit, the share that it may take at the most.
const STEPS: usize = 10;

/// Trains a fitted flow on, by likelihood, with the weights of its nets rounded as int8 holds them. The validation rows
/// decide when to stop and which weights to keep, judged by the rounded ones too. Returns the exact weights.
///
/// # Errors
/// As [`super::fit`]: none for a flow that was fitted to the same data.
pub fn fine_tune(
    model: &Flow,
    data: TrainingData<'_>,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fit, FitError> {
    let prepared = Prepared::new(model, data, options)?;
    let options = Options {
        learning_rate: options.learning_rate * LEARNING_RATE,
        epochs: options.epochs.min(EPOCHS),
        steps: options.steps.div_ceil(STEPS),
        ..options.clone()
    };
    let objective = Objective { sequence: &model.sequence, base: &*model.base };
    let loss = Likelihood::new(objective, prepared.rows(data.features), &options);
    let mut loss = StraightThrough { loss, sequence: &model.sequence };
    let (parameters, mut summary) = descend(&mut loss, &options, model.parameters.clone(), progress, cancel);
    loss.loss.checked()?;
    summary.validation_loss -= model.log_scale() + prepared.log_det;
    let mut model = model.clone();
    model.parameters = parameters;
    Ok(Fit { model, summary })
}

/// A loss at rounded weights, with its gradient there for the exact ones.
struct StraightThrough<'a, L> {
    loss: L,
    sequence: &'a Sequence,
}

impl<L> StraightThrough<'_, L> {
    fn rounded(&self, parameters: &[f32]) -> Vec<f32> {
        let mut rounded = parameters.to_vec();
        let of_layers = Trainable::<f32>::parameters(self.sequence);
        self.sequence.fake_quantize(&mut rounded[..of_layers]);
        rounded
    }
}

impl<L: Loss> Loss for StraightThrough<'_, L> {
    fn rows(&self) -> usize {
        self.loss.rows()
    }

    fn pass_rows(&self, pass: usize) -> usize {
        self.loss.pass_rows(pass)
    }

    fn begin(&mut self, pass: usize) -> bool {
        self.loss.begin(pass)
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.loss.mark_decayed(marks);
    }

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let rounded = self.rounded(parameters);
        self.loss.gradient(&rounded, rows, step, gradient)
    }

    fn validation(&self, parameters: &[f32]) -> f64 {
        self.loss.validation(&self.rounded(parameters))
    }
}
