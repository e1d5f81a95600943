//! What can be chosen about a fit, and what is chosen by default.

use super::families::Architecture;
use crate::model::architecture::Numerics;
use crate::quantization;

/// How a fit is run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Shape of the model.
    pub architecture: Architecture,
    /// What the device computes in, apart from its nets. The fit itself does not depend on it.
    pub numerics: Numerics,
    /// Source of all randomness, of a mixture's first flow, with the seeds behind it for the others: the same seed on the same machine gives the same parameters, bit for bit.
    pub seed: u64,
    /// Rows per step; the steps of a pass are of nearly equal size.
    pub batch_rows: usize,
    /// Highest learning rate.
    pub learning_rate: f32,
    /// Steps until the highest learning rate is reached.
    pub warm_up: usize,
    /// Passes over the training rows after which the learning rate has fallen to zero.
    pub epochs: usize,
    /// Limit of the number of steps, which takes precedence over `epochs`: what bounds the time of a fit, since nothing
    /// reads a clock.
    pub steps: usize,
    /// Passes without a better validation loss after which the fit ends; a pass over rows that are not all in memory has at most
    /// [`super::PASS_ROWS`].
    pub patience: usize,
    /// Decoupled decay of the weights, not the biases, per unit of learning rate; `None` takes `0.02 * parameters /
    /// rows`, at most 0.2.
    ///
    /// The more parameters there are for each row, the more of them would memorize. Decay also keeps the nets' slopes
    /// low, and with them what they say of rows far from all others.
    pub weight_decay: Option<f32>,
    /// Longest gradient, as Euclidean norm over all parameters.
    pub clip_norm: f32,
    /// Standard deviation, in standardized units, of the normal noise added at first to each training row each time it is
    /// used; it falls to 0 with the learning rate. `None` takes `0.1 * rows^(-2 / (features + 4))`.
    ///
    /// Noise keeps a density from growing without bound on few rows, on a grid, or along directions in which rows
    /// hardly vary. It narrows with more rows as the bandwidth of a kernel density estimate does, only faster: a flow
    /// needs less smoothing. Few rows of many features get the most. As it falls, early stopping sees every amount of it,
    /// and keeps the weights of the one that is best for rows that are not trained on.
    pub noise: Option<f32>,
    /// The weights that are validated and returned are an exponential average over the steps, of which a step keeps
    /// this share: what a lower learning rate would gain at the end is seen in every pass.
    pub averaging: f32,
    /// What becomes of the fitted flow's nets: [`crate::fitting::fit`] quantizes them.
    #[serde(default)]
    pub quantization: quantization::Options,
}

impl Options {
    /// Defaults for tables of `features` columns.
    pub fn for_features(features: usize) -> Self {
        Self {
            architecture: Architecture::for_features(features),
            numerics: Numerics::default(),
            seed: 0,
            batch_rows: 128,
            learning_rate: 5e-3,
            warm_up: 100,
            epochs: 1000,
            steps: 40_000,
            patience: 40,
            weight_decay: None,
            clip_norm: 5.0,
            noise: None,
            averaging: 0.99,
            quantization: quantization::Options::default(),
        }
    }

    /// The noise of a fit to `rows` rows.
    pub(super) fn noise(&self, rows: usize, features: usize) -> f32 {
        self.noise.unwrap_or_else(|| 0.1 * (rows as f32).powf(-2.0 / (features as f32 + 4.0)))
    }

    /// The most steps of a fit to `rows` rows.
    pub(super) fn total(&self, rows: usize) -> usize {
        self.epochs.saturating_mul(rows.div_ceil(self.batch_rows)).min(self.steps)
    }

    /// The weight decay of a fit to `rows` rows.
    pub(super) fn weight_decay(&self, rows: usize, parameters: usize) -> f32 {
        self.weight_decay.unwrap_or_else(|| (0.02 * parameters as f32 / rows as f32).min(0.2))
    }
}
