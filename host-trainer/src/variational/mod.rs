//! Variational inference: flows fitted to a density known up to its normalization, "Variational inference with
//! normalizing flows" (Rezende, Mohamed 2015).
//!
//! ```text
//! mod.rs         an energy and options in, an approximation and a summary out
//! objective.rs   the reverse divergence and its gradient, in chunks over the threads
//! flow.rs        the result: samples, a model for a device
//! estimate.rs    what samples say: the bound, the normalization, the effective sample size
//! dual.rs        gradients of energies by dual numbers
//! ```
//!
//! The target is p(x) = e^-U(x) / Z with a known energy U and an unknown Z. A flow x = g(z), z ~ N(0, I), has the density
//! q, and is fitted by lowering E_q\[log q(x) + U(x)\] = KL(q || p) - ln Z (their equation 15): a bound of -ln Z from above
//! that takes samples of the flow alone, none of the target.
//!
//! The direction that a layer differentiates is the one that leads from the base to the data here, and a
//! [`Sequence`] is in the order in which a point of the base meets its layers. So a masked autoregressive layer is an
//! inverse autoregressive flow ("Improved variational inference with inverse autoregressive flow", Kingma et al. 2016),
//! and a planar layer is what it was made for.
//!
//! The reverse divergence is lowered by leaving out a part of the target sooner than by covering too much: a flow can
//! settle on one of several modes. Annealing makes that less likely, and only an independent look at the target can
//! rule it out: the effective sample size does not see what the flow never draws.

mod dual;
mod estimate;
mod flow;
mod objective;
#[cfg(test)]
mod tests;

pub use dual::{Energy, LANES, differentiate, gradient};
pub use estimate::{Estimate, Estimates};
pub use flow::{Approximation, Sample};

use std::sync::atomic::AtomicBool;

use crate::layers::{Sequence, Trainable};
use crate::train::descent::descend;
use crate::train::random::{Stream, stream};
use crate::train::{self, Batch, FitError, Progress, Summary};

use objective::Divergence;

/// How a fit is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Source of all randomness: the same seed on the same machine gives the same parameters, bit for bit.
    pub seed: u64,
    /// Fresh samples of each step.
    pub rows: usize,
    /// Steps, after which the learning rate has fallen to zero.
    pub steps: usize,
    /// Highest learning rate.
    pub learning_rate: f32,
    /// Steps until the highest learning rate is reached.
    pub warm_up: usize,
    /// Whether the target is flat at first.
    pub annealing: Option<Annealing>,
    /// Longest gradient, as Euclidean norm over all parameters.
    pub clip_norm: f32,
    /// The weights that are validated and returned are an exponential average over the steps, of which a step keeps
    /// this share.
    pub averaging: f32,
}

/// A factor of the energy, the inverse temperature β, that rises evenly to 1 (Rezende, Mohamed 2015, equation 20): the
/// flow meets all modes of a target while they are still connected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Annealing {
    /// β of the first step.
    pub start: f64,
    /// Steps until it is 1.
    pub steps: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            rows: 256,
            steps: 5000,
            learning_rate: 5e-3,
            warm_up: 100,
            annealing: Some(Annealing { start: 0.01, steps: 2000 }),
            clip_norm: 10.0,
            averaging: 0.99,
        }
    }
}

/// Steps after which the averaged weights are validated, unless there are few steps.
const ROUND: usize = 100;

/// Samples to validate with, the same ones each time.
const VALIDATION_ROWS: usize = 2048;

/// Base points that layers which normalize start from.
const INITIAL_ROWS: usize = 1024;

impl Options {
    fn check(&self) -> Result<(), FitError> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let starts = |annealing: Annealing| annealing.start > 0.0 && annealing.start <= 1.0;
        let rules = [
            ("rows", self.rows > 0, "must be above 0"),
            ("learning_rate", positive(self.learning_rate), "must be above 0"),
            ("annealing", self.annealing.is_none_or(starts), "must start above 0, and at most at 1"),
            ("clip_norm", positive(self.clip_norm), "must be above 0"),
            ("averaging", (0.0..1.0).contains(&self.averaging), "must be at least 0 and below 1"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((option, _, problem)) => Err(FitError::Option { option, problem: problem.into() }),
            None => Ok(()),
        }
    }

    /// β of a step, counted from 0.
    fn inverse_temperature(&self, step: usize) -> f64 {
        self.annealing.map_or(1.0, |Annealing { start, steps }| {
            (start + (1.0 - start) * step as f64 / steps.max(1) as f64).min(1.0)
        })
    }

    /// Those of the descent, whose passes are rounds of steps.
    fn descent(&self) -> train::Options {
        train::Options {
            seed: self.seed,
            batch_rows: self.rows,
            learning_rate: self.learning_rate,
            warm_up: self.warm_up,
            epochs: usize::MAX,
            steps: self.steps,
            patience: usize::MAX,
            weight_decay: Some(0.0),
            clip_norm: self.clip_norm,
            averaging: self.averaging,
            ..train::Options::for_features(1)
        }
    }
}

/// A fitted approximation and how it came about.
#[derive(Clone, Debug)]
pub struct Variational {
    /// The weights with the lowest validation loss. Never NaN.
    pub flow: Approximation,
    /// How the fit went. An epoch is a round of steps, and losses are the bound E_q\[log q + U\] in nats; infinite if it
    /// never was a number.
    pub summary: Summary,
}

/// Fits layers on `features` features to the target e^-U / Z by the value and the gradient of its energy U, which has to
/// be finite everywhere.
///
/// Deterministic: the same target, options and machine give the same bits whatever the number of threads. `cancel` may
/// be set at any time from another thread: the fit ends after the step in hand and returns the best weights so far.
/// `progress` hears of every round of steps.
///
/// # Errors
/// If an option does not make sense, or the layers are a velocity, which has no gradient; a fit that has begun ends with
/// an approximation.
///
/// # Panics
/// If the layers or the gradient have another number of features, or the layers a context.
pub fn fit(
    energy: impl Fn(&[f64]) -> (f64, Vec<f64>) + Sync,
    sequence: &Sequence,
    features: usize,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Variational, FitError> {
    options.check()?;
    if sequence.velocity().is_some() {
        let problem = "a continuous flow is fitted by flow matching, to rows".to_owned();
        return Err(FitError::Option { option: "sequence", problem });
    }
    let parameters = initial(sequence, features, options.seed);
    let mut divergence = Divergence::new(&energy, sequence, features, options);
    let (parameters, summary) = descend(&mut divergence, &options.descent(), parameters, progress, cancel);
    Ok(Variational { flow: Approximation::new(sequence.clone(), parameters, features), summary })
}

fn initial(sequence: &Sequence, features: usize, seed: u64) -> Vec<f32> {
    let mut rng = stream(seed, Stream::Initialization);
    let mut parameters = vec![0.0; Trainable::<f32>::parameters(sequence)];
    sequence.initialize(&mut parameters, &mut rng);
    let mut batch = Batch::zeros(features, INITIAL_ROWS);
    objective::draw(&mut batch, &mut rng);
    sequence.initialize_by(&mut parameters, &mut batch, &[]);
    parameters
}
