//! What samples of a flow say about it and its target.

use super::Approximation;

/// A number known from samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard deviation over repetitions; infinite where samples do not tell.
    pub standard_error: f64,
}

/// What fresh samples x of a flow q say by their weights w = e^-U(x) / q(x), whose mean is Z. All in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimates {
    /// Samples.
    pub samples: usize,
    /// E_q\[log q + U\] = KL(q || p) - ln Z.
    pub bound: Estimate,
    /// ln Z by the mean weight ("importance weighted"), which the bound is below of on the same samples. It errs low as
    /// long as samples miss the large weights; its standard error is that of the mean weight, relative.
    pub log_normalization: Estimate,
    /// (Σw)² / Σw² as a share of the samples: how many independent samples of the target they are worth. 1 for a flow
    /// that is the target.
    pub effective: f64,
}

impl Estimates {
    /// By log w of every sample. One that is no finite number counts as no weight at all.
    pub(super) fn new(mut log_weights: Vec<f64>) -> Self {
        for log_weight in &mut log_weights {
            if !log_weight.is_finite() {
                *log_weight = f64::NEG_INFINITY;
            }
        }
        let samples = log_weights.len();
        let elbo = mean(&log_weights);
        let bound = Estimate { value: -elbo.value, ..elbo };
        let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            let log_normalization = Estimate { value: f64::NEG_INFINITY, standard_error: f64::INFINITY };
            return Self { samples, bound, log_normalization, effective: 0.0 };
        }
        let weights: Vec<f64> = log_weights.iter().map(|log_weight| (log_weight - largest).exp()).collect();
        let Estimate { value, standard_error } = mean(&weights);
        let log_normalization = Estimate { value: largest + value.ln(), standard_error: standard_error / value };
        let squares = weights.iter().map(|weight| weight * weight).sum::<f64>() / samples as f64;
        Self { samples, bound, log_normalization, effective: value * value / squares }
    }

    /// The evidence lower bound, at most ln Z.
    #[must_use]
    pub fn elbo(&self) -> Estimate {
        Estimate { value: -self.bound.value, ..self.bound }
    }

    /// KL(q || p), where ln Z is known.
    #[must_use]
    pub fn divergence(&self, log_normalization: f64) -> Estimate {
        Estimate { value: self.bound.value + log_normalization, ..self.bound }
    }
}

fn mean(values: &[f64]) -> Estimate {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 || !mean.is_finite() {
        // Of no samples nothing is known.
        let value = if mean.is_nan() { f64::NEG_INFINITY } else { mean };
        return Estimate { value, standard_error: f64::INFINITY };
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    Estimate { value: mean, standard_error: (variance / count).sqrt() }
}

impl Approximation {
    /// Draws fresh samples and weighs them by the energy's value alone. Computed in f64.
    #[must_use]
    pub fn estimate(&self, energy: impl Fn(&[f64]) -> f64 + Sync, samples: usize, seed: u64) -> Estimates {
        let log_weights = self.over_chunks(samples, seed, |worker, parameters| {
            worker.evaluate(&self.sequence, parameters, &energy).into_iter().map(|negative| -negative).collect()
        });
        Estimates::new(log_weights)
    }
}
