//! The generalized Pareto distribution of excesses.

use rand::{Rng, RngExt};

/// Shape and scale of a distribution that begins at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pareto {
    pub(super) shape: f64,
    pub(super) scale: f64,
}

impl Pareto {
    /// The estimate of Zhang and Stephens (2009), of excesses above 0 in any order, which are sorted.
    ///
    /// With θ = -shape / scale the likelihood depends on θ alone once the shape is the best one for it, -mean ln(1 - θ x). θ is
    /// its mean over a fixed set of values, each weighed by its likelihood: no optimum is searched, and none can be missed.
    ///
    /// # Panics
    /// If there is no excess.
    pub(super) fn fit(excesses: &mut [f64]) -> Self {
        excesses.sort_unstable_by(f64::total_cmp);
        let count = excesses.len() as f64;
        let (largest, quartile) = (excesses[excesses.len() - 1], excesses[(count / 4.0 + 0.5) as usize - 1]);
        // What the paper calls k is minus the shape.
        let k = |theta: f64| -excesses.iter().map(|x| libm::log1p(-theta * x)).sum::<f64>() / count;
        let mean = excesses.iter().sum::<f64>() / count;
        // k / θ, which goes to the mean with θ.
        let scale = |theta: f64, k: f64| if (theta * mean).abs() < 1e-12 { mean } else { k / theta };
        let candidates = 20.0 + count.sqrt().floor();
        let thetas: Vec<f64> = (1..=candidates as usize)
            .map(|j| 1.0 / largest + (1.0 - (candidates / (j as f64 - 0.5)).sqrt()) / (3.0 * quartile))
            .collect();
        let likelihood = |theta: &f64| {
            let k = k(*theta);
            count * (-libm::log(scale(*theta, k)) + k - 1.0)
        };
        let likelihoods: Vec<f64> = thetas.iter().map(likelihood).collect();
        let most = likelihoods.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = likelihoods.iter().map(|likelihood| libm::exp(likelihood - most)).collect();
        let theta = thetas.iter().zip(&weights).map(|(theta, weight)| theta * weight).sum::<f64>()
            / weights.iter().sum::<f64>();
        let k = k(theta);
        Self { shape: -k, scale: scale(theta, k) }
    }

    /// The chance of more than `excess`, from 0 on.
    pub(super) fn survival(self, excess: f64) -> f64 {
        let relative = excess / self.scale;
        match self.shape * relative {
            small if small.abs() < 1e-12 => libm::exp(-relative),
            end if end <= -1.0 => 0.0,
            bent => libm::exp(-libm::log1p(bent) / self.shape),
        }
    }

    /// The excess that is exceeded with the chance `p`.
    pub(super) fn quantile(self, p: f64) -> f64 {
        let depth = -libm::log(p);
        match self.shape.abs() < 1e-12 {
            true => self.scale * depth,
            false => self.scale * libm::expm1(self.shape * depth) / self.shape,
        }
    }

    pub(super) fn sample(self, rng: &mut impl Rng) -> f64 {
        // Above 0, as a chance of 0 may be infinitely far.
        self.quantile(1.0 - rng.random::<f64>())
    }
}
