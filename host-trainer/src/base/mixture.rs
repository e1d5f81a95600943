//! A mixture of normal distributions as a base, with trained weights, means and scales.

use flowlet::base::mixture::{self, MixtureView};
use flowlet::schema::Record;
use flowlet::{Fixed, Libm};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::{Base, BaseKind, BaseView, TrainableBase, TrainedBase};
use crate::image::Image;
use crate::layers::slice;
use crate::model::architecture::{Elementary, forever, with_functions};
use crate::train::{Batch, LN_2PI, Real};

/// The most components that a description may have.
const MOST_COMPONENTS: usize = 256;

/// `Mixture<D, M, E>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// D.
    pub features: usize,
    /// M.
    pub components: usize,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl BaseKind for Mixture {
    fn record(&self) -> &'static Record {
        let parameters = mixture::parameters(self.features, self.components, self.elementary.name());
        forever(mixture::record(forever(parameters), forever(mixture::fields(self.features, self.components))))
    }

    fn fits(&self, features: usize) -> bool {
        self.features == features && (1..=MOST_COMPONENTS).contains(&self.components)
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> Option<String> {
        Some(format!("Mixture<{}, {}{}>", self.features, self.components, self.elementary.suffix()))
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn BaseView + 'a>> {
        let count = self.features * self.components;
        let view = MixtureView {
            offset: slice(bytes, self.components)?,
            behind: slice(bytes, self.components)?,
            mean: slice(bytes, count)?,
            inverse_scale: slice(bytes, count)?,
        };
        Some(Box::new(Computed { view, features: self.features, elementary: self.elementary }))
    }
}

#[derive(Debug)]
struct Computed<'a> {
    view: MixtureView<'a>,
    features: usize,
    elementary: Elementary,
}

impl BaseView for Computed<'_> {
    fn log_prob(&self, z: &[f32]) -> f32 {
        with_functions!(self.elementary, E => self.view.log_prob::<f32, E>(z))
    }

    fn log_prob_f64(&self, z: &[f64]) -> f64 {
        self.view.log_prob::<f64, Libm>(z)
    }

    fn log_prob_fixed(&self, z: &[Fixed]) -> Fixed {
        self.view.log_prob::<Fixed, Libm>(z)
    }

    fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        let mut z = vec![0.0; self.features];
        with_functions!(self.elementary, E => self.view.sample::<f32, E, _>(rng, &mut z));
        z
    }
}

/// A mixture base. Its parameters: the components' weights before a softmax, then all means and all logarithms of inverse
/// scales, component after component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainedMixture {
    /// D.
    pub features: usize,
    /// M.
    pub components: usize,
}

impl TrainedMixture {
    /// Weights before the softmax, means, logarithms of inverse scales.
    fn split<'a, T>(&self, parameters: &'a [T]) -> (&'a [T], &'a [T], &'a [T]) {
        let (logits, rest) = parameters.split_at(self.components);
        let (means, log_scales) = rest.split_at(self.components * self.features);
        (logits, means, log_scales)
    }

    /// Logarithms of the weights.
    fn log_weights<T: Real>(&self, parameters: &[T]) -> Vec<f64> {
        let logits: Vec<f64> = self.split(parameters).0.iter().map(|logit| logit.wide()).collect();
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        logits.iter().map(|logit| logit - largest - sum.ln()).collect()
    }

    /// What a component adds to each of its terms: the logarithms of its weight and of its normal distribution's factor.
    fn offsets<T: Real>(&self, parameters: &[T]) -> Vec<f64> {
        let (_, _, log_scales) = self.split(parameters);
        let half = 0.5 * LN_2PI * self.features as f64;
        let factors = log_scales.chunks_exact(self.features).map(|of| of.iter().map(|log| log.wide()).sum::<f64>());
        self.log_weights(parameters).iter().zip(factors).map(|(weight, factor)| weight + factor - half).collect()
    }

    /// Turns into each component's share of the density of each row, component-major; gives the log-densities to `found`.
    fn shares<T: Real>(&self, parameters: &[T], batch: &Batch<T>, mut found: impl FnMut(usize, T)) -> Vec<T> {
        let (rows, half) = (batch.rows(), T::of(0.5));
        let (_, means, log_scales) = self.split(parameters);
        let mut terms = Vec::with_capacity(rows * self.components);
        for (component, offset) in self.offsets(parameters).into_iter().enumerate() {
            let start = terms.len();
            terms.resize(start + rows, T::of(offset));
            for feature in 0..self.features {
                let index = component * self.features + feature;
                let (mean, scale) = (means[index], log_scales[index].exp());
                for (term, z) in terms[start..].iter_mut().zip(batch.feature(feature)) {
                    let deviation = (*z - mean) * scale;
                    *term -= half * deviation * deviation;
                }
            }
        }
        for row in 0..rows {
            let of_row = || (0..self.components).map(|component| component * rows + row);
            let largest = of_row().map(|index| terms[index]).fold(T::neg_infinity(), T::max);
            let sum: T = of_row().map(|index| (terms[index] - largest).exp()).sum();
            let log_prob = largest + sum.ln();
            of_row().for_each(|index| terms[index] = (terms[index] - log_prob).exp());
            found(row, log_prob);
        }
        terms
    }
}

impl<T: Real> TrainableBase<T> for TrainedMixture {
    fn parameters(&self) -> usize {
        self.components * (1 + 2 * self.features)
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        parameters.fill(T::zero());
        let count = self.components * self.features;
        // One component is the standard normal distribution; several have to differ to become different.
        if self.components > 1 {
            for mean in &mut parameters[self.components..][..count] {
                *mean = T::of(rng.sample(StandardNormal));
            }
        }
    }

    fn log_prob(&self, parameters: &[T], batch: &Batch<T>, log_prob: &mut [T]) {
        self.shares(parameters, batch, |row, found| log_prob[row] += found);
    }

    fn backward(&self, parameters: &[T], batch: &mut Batch<T>, weight: T, parameter_gradient: &mut [T]) {
        let rows = batch.rows();
        let shares = self.shares(parameters, batch, |_, _| {});
        let log_weights = self.log_weights(parameters);
        let (_, means, log_scales) = self.split(parameters);
        let (logits, rest) = parameter_gradient.split_at_mut(self.components);
        let (by_means, by_log_scales) = rest.split_at_mut(self.components * self.features);
        for ((gradient, log_weight), shares) in logits.iter_mut().zip(log_weights).zip(shares.chunks_exact(rows.max(1)))
        {
            let total: T = shares.iter().copied().sum();
            *gradient += weight * (total - T::of(rows as f64 * log_weight.exp()));
        }
        let mut by_z = vec![T::zero(); rows];
        for feature in 0..self.features {
            by_z.fill(T::zero());
            for (component, shares) in shares.chunks_exact(rows.max(1)).enumerate() {
                let index = component * self.features + feature;
                let (mean, scale) = (means[index], log_scales[index].exp());
                for ((by_z, z), share) in by_z.iter_mut().zip(batch.feature(feature)).zip(shares) {
                    let (share, deviation) = (weight * *share, (*z - mean) * scale);
                    let pull = share * deviation * scale;
                    *by_z -= pull;
                    by_means[index] += pull;
                    by_log_scales[index] += share * (T::one() - deviation * deviation);
                }
            }
            batch.feature_mut(feature).copy_from_slice(&by_z);
        }
    }
}

impl TrainedBase for TrainedMixture {
    fn base(&self) -> Base {
        Mixture { features: self.features, components: self.components, elementary: Elementary::Libm }.into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let (_, means, log_scales) = self.split(parameters);
        self.offsets(parameters).iter().for_each(|offset| image.f32(*offset as f32));
        let weights: Vec<f64> = self.log_weights(parameters).iter().map(|log| log.exp()).collect();
        for component in 0..self.components {
            // Rounded down, and below 2^32 as a number of an u32 is.
            let behind: f64 = weights[component + 1..].iter().sum();
            image.u32((behind * 4_294_967_296.0) as u32);
        }
        image.f32s(means);
        log_scales.iter().for_each(|log| image.f32(log.exp()));
    }
}
