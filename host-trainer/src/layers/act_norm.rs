//! Activation normalization: Kingma, Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", 2018, section 3.1.
//!
//! z = (x - mean) · e^r with a mean and an r for each feature, which start at what gives the rows that reach the layer zero
//! mean and unit variance, and are then trained like all others. On the device it is a [`Standardize`] layer, unless it
//! [folds](super::fold) into a neighbour; so is a batch normalization as it is evaluated.

use rand_chacha::ChaCha8Rng;

use super::{Layer, Standardize, Trainable, Trained};
use crate::image::Image;
use crate::model::architecture::NumberFormat;
use crate::train::{Batch, Real, Tape};

/// A deviation below which a feature counts as constant, and keeps its scale.
const SMALLEST_DEVIATION: f64 = 1e-6;

/// Shifts and scales every feature by trained numbers: the means, then the logarithms r of the scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainedActNorm {
    /// D.
    pub features: usize,
}

impl<T: Real> Trainable<T> for TrainedActNorm {
    fn parameters(&self) -> usize {
        2 * self.features
    }

    fn initialize(&self, parameters: &mut [T], _: &mut ChaCha8Rng) {
        parameters.fill(T::zero());
    }

    fn initialize_by(&self, parameters: &mut [T], batch: &Batch<T>) {
        let count = batch.rows() as f64;
        if count == 0.0 {
            return;
        }
        let (means, log_scales) = parameters.split_at_mut(self.features);
        for (feature, (mean, log_scale)) in means.iter_mut().zip(log_scales).enumerate() {
            let values = || batch.feature(feature).iter().map(|value| value.wide());
            let center = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - center).powi(2)).sum::<f64>() / count).sqrt();
            *mean = T::of(center);
            *log_scale = T::of(if deviation > SMALLEST_DEVIATION { -deviation.ln() } else { 0.0 });
        }
    }

    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let (means, log_scales) = parameters.split_at(self.features);
        for (feature, (mean, log_scale)) in means.iter().zip(log_scales).enumerate() {
            let scale = log_scale.exp();
            batch.feature_mut(feature).iter_mut().for_each(|x| *x = (*x - *mean) * scale);
        }
        let total: T = log_scales.iter().copied().sum();
        log_det.iter_mut().for_each(|log_det| *log_det += total);
        let outputs = tape.copy_of(batch.values());
        tape.push(outputs);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let outputs = tape.pop();
        let rows = gradient.rows().max(1);
        let total: T = log_det_gradient.iter().copied().sum();
        let (means, log_scales) = parameter_gradient.split_at_mut(self.features);
        let by_parameters = means.iter_mut().zip(log_scales).zip(&parameters[self.features..]);
        for (feature, (((mean, log_scale), value), outputs)) in
            by_parameters.zip(outputs.chunks_exact(rows)).enumerate()
        {
            let scale = value.exp();
            for (gradient, z) in gradient.feature_mut(feature).iter_mut().zip(outputs) {
                *log_scale += *gradient * *z;
                *gradient *= scale;
                *mean -= *gradient;
            }
            *log_scale += total;
        }
        tape.recycle(outputs);
    }
}

impl Trained for TrainedActNorm {
    fn layer(&self, _: NumberFormat) -> Layer {
        Standardize { features: self.features }.into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let (means, log_scales) = parameters.split_at(self.features);
        let scales: Vec<f32> = log_scales.iter().map(|log_scale| log_scale.exp()).collect();
        Standardize::write(means, &scales, image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_come_out_with_zero_mean_and_unit_variance() {
        let layer = TrainedActNorm { features: 3 };
        let mut batch = Batch::<f64>::zeros(3, 50);
        for row in 0..50 {
            let x = row as f64;
            batch.feature_mut(0)[row] = 100.0 + 7.0 * (1.7 * x).sin();
            batch.feature_mut(1)[row] = 1e-3 * x;
            batch.feature_mut(2)[row] = 4.0;
        }
        let mut parameters = [0.0; 6];
        layer.initialize_by(&mut parameters, &batch);
        let mut log_det = [0.0; 50];
        layer.inverse(&parameters, &mut batch, &[], &mut log_det, &mut Tape::default());
        for (feature, expected) in [(0, 1.0), (1, 1.0), (2, 0.0)] {
            let values = batch.feature(feature);
            let mean = values.iter().sum::<f64>() / 50.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 50.0;
            assert!(mean.abs() < 1e-12 && (variance - expected).abs() < 1e-12, "{feature}: {mean}, {variance}");
        }
        assert!((log_det[7] - parameters[3..].iter().sum::<f64>()).abs() < 1e-12);
    }
}
