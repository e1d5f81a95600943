//! Quantization of conditioners: f32 weights to int8 with a scale for each row, int16 activations.
//!
//! Couplings are quantized in the order in which a reading meets them, each on the activations that the quantized ones
//! before it give, so that later layers make up for the errors of earlier ones. Within a net the weights are rounded so
//! that their errors cancel in the outputs (`rounding.rs`), and the outputs' errors are weighed by what they cost in
//! log-density. Activations have 16 bits, so their ranges are twice what was seen, and far-off readings saturate.

pub(crate) mod rounding;

use flowlet::conditioner::int8::Requantization;
use nalgebra::DMatrix;

use self::rounding::{Spread, corrected};
use crate::train::{Dense, Mlp};

/// The largest quantized weight; -128 is not used, so that rows are symmetric.
const WEIGHT_LIMIT: f64 = 127.0;

/// The largest quantized activation.
const ACTIVATION_LIMIT: f64 = 32767.0;

/// How far ranges reach beyond what was seen.
const HEADROOM: f64 = 2.0;

/// A quantized layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedDense {
    /// Inputs.
    pub inputs: usize,
    /// Row-major, `weights[row * inputs + column]`.
    pub weights: Vec<i8>,
    /// In units of the accumulators.
    pub bias: Vec<i32>,
    /// The value of one unit of each row's accumulator.
    pub scale: Vec<f64>,
}

/// A quantized conditioner.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedMlp {
    /// The value of one unit of the input activations.
    pub input_scale: f64,
    /// Hidden layers, with each row's factor from its accumulators to its activations.
    pub hidden: Vec<(QuantizedDense, Vec<Requantization>)>,
    /// The last layer.
    pub last: QuantizedDense,
}

fn clip(raw: f64, bound: f32) -> f64 {
    raw / (1.0 + raw.abs() / f64::from(bound))
}

/// The net of an affine coupling with this bound of its log-scales, quantized by `inputs`, a row for each reading.
///
/// # Panics
/// If the net has no layers.
#[must_use]
pub fn quantize_coupling(net: &Mlp, bound: f32, inputs: &DMatrix<f64>) -> QuantizedMlp {
    quantized_with_outputs(net, bound, inputs).0
}

fn quantized_with_outputs(net: &Mlp, bound: f32, inputs: &DMatrix<f64>) -> (QuantizedMlp, DMatrix<f64>) {
    let (last, hidden) = net.layers.split_last().expect("a net has layers");
    let input_scale = activation_scale(inputs);
    // What the net computes with exact weights, and with what its quantized layers give.
    let mut exact = inputs.clone();
    let mut given = inputs.map(|value| grid(value, input_scale));
    let mut scale = input_scale;
    let mut layers = Vec::new();
    for dense in hidden {
        let targets = apply(dense, &exact);
        let mut quantized = Quantizing::new(dense, &given, &targets);
        let layer = quantized.round(scale, &Spread::new(&quantized.inputs, None));
        let outputs = layer.apply(&given, scale).map(|value| value.max(0.0));
        exact = targets.map(|value| value.max(0.0));
        // A requantization scales down by two at the least. Where accumulators are that coarse, so are activations.
        let coarsest = layer.scale.iter().copied().fold(0.0, f64::max);
        scale = activation_scale(&outputs).max(coarsest * 65536.0 / 32767.0);
        let factor = |unit: &f64| Requantization::nearest(unit / scale).expect("a positive factor below a half");
        let factors = layer.scale.iter().map(factor).collect();
        given = outputs.map(|value| grid(value, scale));
        layers.push((layer, factors));
    }
    let targets = apply(last, &exact);
    let mut quantized = Quantizing::new(last, &given, &targets);
    let layer = quantized.round_each(scale, |inputs, output| {
        let cost = |row: usize| cost(&targets, row, output, bound);
        Spread::new(inputs, Some(&(0..inputs.nrows()).map(cost).collect::<Vec<_>>()))
    });
    let outputs = layer.apply(&given, scale);
    (QuantizedMlp { input_scale, hidden: layers, last: layer }, outputs)
}

/// What a squared error of an output costs in nats, up to a factor that is the same for all rows: of a shift t,
/// e^(-2s); of a log-scale before its clip, the squared slope of the clip.
fn cost(outputs: &DMatrix<f64>, row: usize, output: usize, bound: f32) -> f64 {
    let raw = outputs[(row, output | 1)];
    if output.is_multiple_of(2) {
        (-2.0 * clip(raw, bound)).exp()
    } else {
        (1.0 + raw.abs() / f64::from(bound)).powi(-4)
    }
}

/// The value of one unit of activations like these. Those that are all zero still get a positive one.
fn activation_scale(values: &DMatrix<f64>) -> f64 {
    let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    (largest * HEADROOM).max(1e-3) / ACTIVATION_LIMIT
}

fn grid(value: f64, scale: f64) -> f64 {
    (value / scale).round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT) * scale
}

/// Weights as a matrix, a row for each output, with the bias as last column.
fn matrix(dense: &Dense) -> DMatrix<f64> {
    DMatrix::from_fn(dense.outputs, dense.inputs + 1, |row, column| {
        f64::from(if column < dense.inputs { dense.weights[row * dense.inputs + column] } else { dense.bias[row] })
    })
}

fn apply(dense: &Dense, inputs: &DMatrix<f64>) -> DMatrix<f64> {
    inputs.clone().insert_column(dense.inputs, 1.0) * matrix(dense).transpose()
}

/// A layer that is being quantized.
struct Quantizing {
    /// A row for each reading, the constant of the bias as last column.
    inputs: DMatrix<f64>,
    /// A row for each output, the bias as last column.
    weights: DMatrix<f64>,
}

impl Quantizing {
    fn new(dense: &Dense, inputs: &DMatrix<f64>, targets: &DMatrix<f64>) -> Self {
        let inputs = inputs.clone().insert_column(dense.inputs, 1.0);
        let weights = corrected(&matrix(dense), &inputs, targets);
        Self { inputs, weights }
    }

    fn round(&mut self, input_scale: f64, spread: &Spread) -> QuantizedDense {
        self.round_each(input_scale, |_, _| spread.clone())
    }

    fn round_each(
        &mut self,
        input_scale: f64,
        mut spread: impl FnMut(&DMatrix<f64>, usize) -> Spread,
    ) -> QuantizedDense {
        let inputs = self.weights.ncols() - 1;
        // The core's bound of a bias: what the products of a full row of quads leave of an int32.
        let fan_in = inputs.div_ceil(4) * 4;
        let bias_limit = f64::from(i32::MAX) - fan_in as f64 * 128.0 * ACTIVATION_LIMIT;
        let mut layer = QuantizedDense { inputs, weights: Vec::new(), bias: Vec::new(), scale: Vec::new() };
        for output in 0..self.weights.nrows() {
            let mut row: Vec<f64> = self.weights.row(output).iter().copied().collect();
            let largest = row[..inputs].iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
            let smallest_for_bias = 2.0 * row[inputs].abs() / (bias_limit * input_scale);
            let step = (largest / WEIGHT_LIMIT).max(smallest_for_bias).max(1e-9);
            let scale = step * input_scale;
            layer.weights.extend(spread(&self.inputs, output).round(&mut row, step, WEIGHT_LIMIT));
            layer.bias.push((row[inputs] / scale).round().clamp(-bias_limit, bias_limit) as i32);
            layer.scale.push(scale);
        }
        layer
    }
}

impl QuantizedDense {
    /// The layer's outputs for inputs of a scale, a row for each reading.
    fn apply(&self, inputs: &DMatrix<f64>, input_scale: f64) -> DMatrix<f64> {
        let weights = DMatrix::from_fn(self.inputs, self.scale.len(), |column, row| {
            f64::from(self.weights[row * self.inputs + column]) * self.scale[row] / input_scale
        });
        let mut outputs = inputs * weights;
        for (row, mut outputs) in outputs.column_iter_mut().enumerate() {
            outputs.add_scalar_mut(f64::from(self.bias[row]) * self.scale[row]);
        }
        outputs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random_net(a: usize, b: usize, hidden: usize, seed: u64) -> Mlp {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = [a, hidden, hidden, 2 * b]
            .windows(2)
            .map(|pair| Dense {
                inputs: pair[0],
                outputs: pair[1],
                weights: (0..pair[0] * pair[1]).map(|_| rng.random_range(-1.0..1.0)).collect(),
                bias: (0..pair[1]).map(|_| rng.random_range(-1.0..1.0)).collect(),
            })
            .collect();
        Mlp { layers }
    }

    #[test]
    fn quantized_outputs_follow_the_exact_ones() {
        let net = random_net(3, 3, 16, 1);
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let inputs = DMatrix::from_fn(500, 3, |_, _| rng.random_range(-2.0..2.0));
        let (_, outputs) = quantized_with_outputs(&net, 2.0, &inputs);
        let (mut error, mut size) = (0.0, 0.0);
        for row in 0..inputs.nrows() {
            let exact = net.evaluate(&inputs.row(row).iter().copied().collect::<Vec<_>>());
            for (output, exact) in exact.iter().enumerate() {
                error += (outputs[(row, output)] - exact).powi(2);
                size += exact.powi(2);
            }
        }
        assert!(error / size < 1e-5, "{}", error / size);
    }

    #[test]
    fn dead_and_extreme_rows_stay_within_the_formats() {
        let mut net = random_net(4, 2, 4, 2);
        net.layers[0].weights[..4].fill(0.0);
        net.layers[0].bias = vec![0.0, 1e30, -1e30, 1e-30];
        net.layers[2].weights.fill(1e-30);
        let (quantized, outputs) = quantized_with_outputs(&net, 2.0, &DMatrix::zeros(5, 4));
        for (dense, factors) in &quantized.hidden {
            assert!(factors.iter().all(|factor| factor.multiplier >= 0 && factor.shift <= 31));
            assert!(dense.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0));
        }
        assert!(outputs.iter().all(|output| output.is_finite()));
    }

    #[test]
    fn a_net_without_inputs_is_its_biases() {
        let net = random_net(0, 1, 4, 3);
        let (quantized, outputs) = quantized_with_outputs(&net, 2.0, &DMatrix::zeros(7, 0));
        let exact = net.evaluate(&[]);
        assert!(quantized.input_scale > 0.0);
        for (output, exact) in exact.iter().enumerate() {
            assert!((outputs[(3, output)] - exact).abs() < 1e-3, "{} {exact}", outputs[(3, output)]);
        }
    }
}
