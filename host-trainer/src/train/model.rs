//! A fitted RealNVP as plain numbers, for whoever quantizes, writes or scores it.

use super::batch::Batch;
use super::conditioner::Mlp as MlpShape;
use super::layers::{AffineCoupling, Permute, Sequence};
use super::objective::log_probs;
use super::real::Real;
use crate::data::Matrix;

/// ln(2 pi).
pub(super) const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// A fitted RealNVP; a reading goes through the fields in order, data -> base.
#[derive(Clone, Debug, PartialEq)]
pub struct RealNvp {
    /// Per feature, in raw units.
    pub mean: Vec<f32>,
    /// Per feature, in 1 / raw units: `z = (x - mean) * inverse_scale`.
    pub inverse_scale: Vec<f32>,
    /// In the order in which a reading meets them.
    pub blocks: Vec<Block>,
}

/// A permutation, then a coupling.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// `y[i] = x[permutation[i]]`.
    pub permutation: Vec<usize>,
    /// What follows.
    pub coupling: Coupling,
}

/// An affine coupling: `y_b = (x_b - shift) * exp(-log_scale)`, `log_scale = raw / (1 + |raw| / bound)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Coupling {
    /// Features that pass, the first ones: D / 2.
    pub a: usize,
    /// Features that are transformed, the last ones: D - D / 2.
    pub b: usize,
    /// Limit of |log_scale|.
    pub bound: f32,
    /// From `a` inputs to `2 b` outputs: output `2 i` is the shift, `2 i + 1` the raw log-scale of feature `a + i`.
    pub net: Mlp,
}

/// A multilayer perceptron; ReLU follows every layer but the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    /// From the input to the output.
    pub layers: Vec<Dense>,
}

/// `output = weights * input + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Numbers in.
    pub inputs: usize,
    /// Numbers out.
    pub outputs: usize,
    /// Row-major, `weights[output * inputs + input]`.
    pub weights: Vec<f32>,
    /// One per output.
    pub bias: Vec<f32>,
}

impl Dense {
    /// The outputs for one input, in f64, without an activation.
    ///
    /// # Panics
    /// If the input is longer or shorter than the layer's.
    pub fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        assert_eq!(input.len(), self.inputs, "one number per input");
        (0..self.outputs)
            .map(|output| {
                let weights = &self.weights[output * self.inputs..(output + 1) * self.inputs];
                let sum: f64 = weights.iter().zip(input).map(|(weight, input)| f64::from(*weight) * input).sum();
                sum + f64::from(self.bias[output])
            })
            .collect()
    }
}

impl Mlp {
    /// The outputs for one input, in f64.
    ///
    /// # Panics
    /// If the input is longer or shorter than the first layer's.
    pub fn evaluate(&self, input: &[f64]) -> Vec<f64> {
        let mut activations = input.to_vec();
        for (index, dense) in self.layers.iter().enumerate() {
            activations = dense.evaluate(&activations);
            if index + 1 < self.layers.len() {
                activations.iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
        activations
    }
}

impl RealNvp {
    /// The number of features.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// The number of weights and biases of all conditioners.
    pub fn parameters(&self) -> usize {
        self.dense_layers().map(|dense| dense.weights.len() + dense.bias.len()).sum()
    }

    /// Log-density of one reading, in nats, in raw units: the definition, in f64, for checking faster code against.
    ///
    /// # Panics
    /// If `row` has not as many numbers as the model has features.
    pub fn log_prob(&self, row: &[f32]) -> f64 {
        assert_eq!(row.len(), self.features(), "a reading has one number per feature");
        let mut log_det = 0.0;
        let mut x: Vec<f64> = Vec::with_capacity(row.len());
        for ((value, mean), inverse_scale) in row.iter().zip(&self.mean).zip(&self.inverse_scale) {
            x.push((f64::from(*value) - f64::from(*mean)) * f64::from(*inverse_scale));
            log_det += f64::from(*inverse_scale).ln();
        }
        for Block { permutation, coupling } in &self.blocks {
            x = permutation.iter().map(|from| x[*from]).collect();
            let output = coupling.net.evaluate(&x[..coupling.a]);
            for (value, pair) in x[coupling.a..].iter_mut().zip(output.chunks_exact(2)) {
                let log_scale = pair[1] / (1.0 + pair[1].abs() / f64::from(coupling.bound));
                *value = (*value - pair[0]) * (-log_scale).exp();
                log_det -= log_scale;
            }
        }
        log_det - 0.5 * x.iter().map(|z| z * z + LN_2PI).sum::<f64>()
    }

    /// Log-densities of many readings, in nats, in raw units, in f32 by the trainer's batched arithmetic.
    ///
    /// # Panics
    /// If the rows have not as many numbers as the model has features.
    pub fn log_probs(&self, rows: &Matrix) -> Vec<f32> {
        let offset: f64 = self.inverse_scale.iter().map(|scale| f64::from(*scale).ln()).sum();
        let mut result = log_probs(&self.sequence(), &self.to_parameters(), &self.standardized(rows));
        result.iter_mut().for_each(|value| *value += offset as f32);
        result
    }

    /// The rows after the standardization, computed as the device does.
    pub(super) fn standardized(&self, rows: &Matrix) -> Matrix {
        assert_eq!(rows.columns(), self.features(), "a reading has one number per feature");
        let mut result = rows.clone();
        for row in result.values_mut().chunks_exact_mut(self.features()) {
            for ((value, mean), inverse_scale) in row.iter_mut().zip(&self.mean).zip(&self.inverse_scale) {
                *value = (*value - mean) * inverse_scale;
            }
        }
        result
    }

    /// All weights and biases in the order of the trainer's layers.
    pub(super) fn to_parameters(&self) -> Vec<f32> {
        self.dense_layers().flat_map(|dense| dense.weights.iter().chain(&dense.bias)).copied().collect()
    }

    /// Replaces all weights and biases, in the order of [`Self::to_parameters`].
    pub(super) fn set_parameters(&mut self, mut parameters: &[f32]) {
        for dense in self.blocks.iter_mut().flat_map(|block| &mut block.coupling.net.layers) {
            for values in [&mut dense.weights, &mut dense.bias] {
                let (own, rest) = parameters.split_at(values.len());
                values.copy_from_slice(own);
                parameters = rest;
            }
        }
    }

    /// The layers after the standardization, for the trainer's arithmetic in either float.
    pub(super) fn sequence<T: Real>(&self) -> Sequence<T> {
        self.blocks.iter().fold(Sequence::new(), |sequence, Block { permutation, coupling }| {
            let hidden: Vec<usize> = coupling.net.layers.iter().skip(1).map(|dense| dense.inputs).collect();
            sequence.then(Permute::new(permutation.clone())).then(AffineCoupling::new(
                coupling.a,
                coupling.b,
                &hidden,
                coupling.bound,
            ))
        })
    }

    /// An identity of the given shape, weights all zero.
    pub(super) fn zeroed(
        mean: Vec<f32>,
        inverse_scale: Vec<f32>,
        orders: Vec<Vec<usize>>,
        hidden: &[usize],
        bound: f32,
    ) -> Self {
        let a = mean.len() / 2;
        let b = mean.len() - a;
        let dense = |(inputs, outputs)| Dense {
            inputs,
            outputs,
            weights: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
        };
        let blocks = orders
            .into_iter()
            .map(|permutation| {
                let layers = MlpShape::new(a, hidden, 2 * b).shapes().map(dense).collect();
                Block { permutation, coupling: Coupling { a, b, bound, net: Mlp { layers } } }
            })
            .collect();
        Self { mean, inverse_scale, blocks }
    }

    fn dense_layers(&self) -> impl Iterator<Item = &Dense> {
        self.blocks.iter().flat_map(|block| &block.coupling.net.layers)
    }
}

/// Fills a feature-major batch from rows.
pub(super) fn gather<'a>(batch: &mut Batch<f32>, rows: impl ExactSizeIterator<Item = &'a [f32]>, features: usize) {
    let count = rows.len();
    batch.reshape(features, count);
    let values = batch.values_mut();
    for (index, row) in rows.enumerate() {
        for (feature, value) in row.iter().enumerate() {
            values[feature * count + index] = *value;
        }
    }
}
