//! Quantization of a conditioner: f32 weights to int8 with a scale for each row, int16 activations.
//!
//! Ranges of activations come from readings, weights from themselves. With 16 bits for activations there is room to
//! spare, so ranges are twice what was seen and far-off readings saturate instead of wrapping.

use flowlet::conditioner::int8::Requantization;

use crate::train::{Dense, Mlp};

/// The largest quantized weight; -128 is not used, so that rows are symmetric.
const WEIGHT_LIMIT: f64 = 127.0;

/// The largest quantized activation.
const ACTIVATION_LIMIT: f64 = 32767.0;

/// How far ranges reach beyond what was seen.
const HEADROOM: f64 = 2.0;

/// Ranges of a conditioner's activations: the largest absolute values seen, of the inputs and of each hidden layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranges(Vec<f64>);

impl Ranges {
    /// Of a net with so many layers.
    #[must_use]
    pub fn new(net: &Mlp) -> Self {
        Self(vec![0.0; net.layers.len()])
    }

    /// Evaluates the net and widens the ranges to what its layers see.
    pub fn observe(&mut self, net: &Mlp, input: &[f64]) -> Vec<f64> {
        let mut activations = input.to_vec();
        for (index, (dense, range)) in net.layers.iter().zip(&mut self.0).enumerate() {
            *range = activations.iter().fold(*range, |range, value| range.max(value.abs()));
            activations = dense.evaluate(&activations);
            if index + 1 < net.layers.len() {
                activations.iter_mut().for_each(|value| *value = value.max(0.0));
            }
        }
        activations
    }

    /// Scales of the activations. A layer that saw nothing but zeros still gets a positive one.
    fn scales(&self) -> Vec<f64> {
        self.0.iter().map(|range| (range * HEADROOM).max(1e-3) / ACTIVATION_LIMIT).collect()
    }
}

/// A quantized layer; rows and columns as in the [`Dense`] it was made from.
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

/// Quantizes a conditioner whose activations were seen in `ranges`.
///
/// # Panics
/// If `net` has no layers, or `ranges` are of another net.
#[must_use]
pub fn quantize(net: &Mlp, ranges: &Ranges) -> QuantizedMlp {
    let mut scales = ranges.scales();
    assert_eq!(scales.len(), net.layers.len(), "ranges of this net");
    let (last, hidden) = net.layers.split_last().expect("a net has layers");
    let mut quantized_hidden = Vec::new();
    for (index, dense) in hidden.iter().enumerate() {
        let quantized = QuantizedDense::new(dense, scales[index]);
        // A requantization scales down by two at the least. Where accumulators are that coarse, so are activations.
        let coarsest = quantized.scale.iter().copied().fold(0.0, f64::max);
        scales[index + 1] = scales[index + 1].max(coarsest * 65536.0 / 32767.0);
        let factors = quantized
            .scale
            .iter()
            .map(|scale| {
                Requantization::nearest(scale / scales[index + 1]).expect("the factor is positive and below a half")
            })
            .collect();
        quantized_hidden.push((quantized, factors));
    }
    let last = QuantizedDense::new(last, scales[hidden.len()]);
    QuantizedMlp { input_scale: scales[0], hidden: quantized_hidden, last }
}

impl QuantizedDense {
    fn new(dense: &Dense, input_scale: f64) -> Self {
        // The core's bound of a bias: what the products of a full row of quads leave of an int32.
        let fan_in = dense.inputs.div_ceil(4) * 4;
        let bias_limit = f64::from(i32::MAX) - fan_in as f64 * 128.0 * ACTIVATION_LIMIT;
        let mut quantized = Self { inputs: dense.inputs, weights: Vec::new(), bias: Vec::new(), scale: Vec::new() };
        for (row, bias) in dense.bias.iter().enumerate() {
            let weights = &dense.weights[row * dense.inputs..][..dense.inputs];
            let largest = weights.iter().fold(0.0, |largest: f64, weight| largest.max(f64::from(weight.abs())));
            let bias = f64::from(*bias);
            let weight_scale = (largest / WEIGHT_LIMIT).max(bias.abs() / (bias_limit * input_scale)).max(1e-9);
            let scale = weight_scale * input_scale;
            quantized.weights.extend(weights.iter().map(|weight| (f64::from(*weight) / weight_scale).round() as i8));
            quantized.bias.push((bias / scale).round().clamp(-bias_limit, bias_limit) as i32);
            quantized.scale.push(scale);
        }
        quantized
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn random_net(widths: &[usize], seed: u64) -> Mlp {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let layers = widths
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
    fn dequantized_weights_are_within_half_a_step() {
        let net = random_net(&[5, 8, 8, 6], 1);
        let mut ranges = Ranges::new(&net);
        ranges.observe(&net, &[1.0, -2.0, 0.5, 0.0, 3.0]);
        let quantized = quantize(&net, &ranges);
        let layers = quantized.hidden.iter().map(|(dense, _)| dense).chain([&quantized.last]);
        let mut input_scale = quantized.input_scale;
        for (index, (dense, quantized)) in net.layers.iter().zip(layers).enumerate() {
            for (row, scale) in quantized.scale.iter().enumerate() {
                let weight_scale = scale / input_scale;
                for column in 0..dense.inputs {
                    let weight = f64::from(dense.weights[row * dense.inputs + column]);
                    let back = f64::from(quantized.weights[row * dense.inputs + column]) * weight_scale;
                    assert!((weight - back).abs() <= weight_scale * 0.500_001, "{index} {row} {column}");
                }
                let bias = f64::from(quantized.bias[row]) * scale;
                assert!((bias - f64::from(dense.bias[row])).abs() <= *scale, "{index} {row}");
            }
            input_scale = ranges.scales().get(index + 1).copied().unwrap_or(1.0);
        }
    }

    #[test]
    fn dead_and_extreme_rows_stay_within_the_formats() {
        let mut net = random_net(&[4, 4, 4], 2);
        net.layers[0].weights[..4].fill(0.0);
        net.layers[0].bias = vec![0.0, 1e30, -1e30, 1e-30];
        net.layers[1].weights.fill(1e-30);
        let mut ranges = Ranges::new(&net);
        ranges.observe(&net, &[0.0; 4]);
        let quantized = quantize(&net, &ranges);
        for (dense, factors) in &quantized.hidden {
            assert!(factors.iter().all(|factor| factor.multiplier >= 0 && factor.shift <= 31));
            assert!(dense.scale.iter().all(|scale| scale.is_finite() && *scale > 0.0));
        }
    }
}
