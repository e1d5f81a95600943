//! The net inside a coupling: a multilayer perceptron with ReLU between its dense layers.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use flowlet::conditioner::{Activation, Body, Shape, WIDEST};

use super::gemm::{Left, multiply_add, sum_in_lanes, transpose};
use super::model::{Dense, Mlp as Weights};
use super::real::Real;
use super::tape::Tape;
use crate::model::architecture::{Net, NumberFormat};

/// Shape of a multilayer perceptron; its parameters are a slice, per dense layer the weights `[output][input]`, then
/// the biases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    /// Widths from the input to the output: `[inputs, hidden.., outputs]`.
    widths: Vec<usize>,
}

impl Mlp {
    /// A net with the given hidden widths.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> Self {
        let mut widths = vec![inputs];
        widths.extend_from_slice(hidden);
        widths.push(outputs);
        Self { widths }
    }

    /// Inputs and outputs of each dense layer.
    pub fn shapes(&self) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator + '_ {
        self.widths.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// The number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.shapes().map(|(inputs, outputs)| (inputs + 1) * outputs).sum()
    }

    /// The core's shape, in quads.
    ///
    /// # Panics
    /// If the hidden widths are not equal multiples of four that the core allows.
    pub fn shape(&self) -> Shape {
        let (hidden, layers) = (self.widths[1], self.widths.len() - 1);
        let (inputs, outputs) = (self.widths[0], self.widths[layers]);
        assert!(self.widths[1..layers].iter().all(|width| *width == hidden), "hidden layers are of one width");
        assert!(hidden.is_multiple_of(4) && hidden <= 4 * WIDEST, "hidden widths are multiples of four");
        Shape {
            inputs: inputs.div_ceil(4),
            hidden: hidden / 4,
            deep: layers - 2,
            outputs: outputs.div_ceil(4),
            body: Body::Plain,
            activation: Activation::Relu,
        }
    }

    /// What the core calls it.
    pub fn description(&self, format: NumberFormat) -> Net {
        match format {
            NumberFormat::Float => Net::float(self.shape()),
            NumberFormat::Int8 => Net::int8(self.shape()),
        }
    }

    /// The net with these parameters, as plain numbers.
    pub fn with(&self, mut parameters: &[f32]) -> Weights {
        let mut take = |count: usize| {
            let (own, rest) = parameters.split_at(count);
            parameters = rest;
            own.to_vec()
        };
        let layers = self
            .shapes()
            .map(|(inputs, outputs)| Dense { inputs, outputs, weights: take(inputs * outputs), bias: take(outputs) })
            .collect();
        Weights { layers }
    }

    /// Draws the hidden layers uniformly within 1 / sqrt(inputs) and sets the last layer to zero, so that what the net
    /// conditions starts as the identity.
    pub fn initialize<T: Real>(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        let last = self.widths.len() - 2;
        let mut rest = parameters;
        for (index, (inputs, outputs)) in self.shapes().enumerate() {
            let (dense, tail) = rest.split_at_mut((inputs + 1) * outputs);
            let limit = if index == last { 0.0 } else { 1.0 / (inputs.max(1) as f64).sqrt() };
            dense.fill_with(|| T::of(rng.random_range(-1.0..1.0) * limit));
            rest = tail;
        }
    }

    /// Marks the weights with `true`, leaving the biases.
    pub fn mark_weights(&self, marks: &mut [bool]) {
        let mut rest = marks;
        for (inputs, outputs) in self.shapes() {
            let (weights, tail) = rest.split_at_mut(inputs * outputs);
            weights.fill(true);
            rest = &mut tail[outputs..];
        }
    }

    /// Outputs for a feature-major `input` of `rows` rows; keeps the input of every dense layer.
    pub fn forward<T: Real>(&self, parameters: &[T], input: Vec<T>, rows: usize, tape: &mut Tape<T>) -> Vec<T> {
        let mut activations = input;
        let mut rest = parameters;
        let layers = self.shapes().len();
        for (index, (inputs, outputs)) in self.shapes().enumerate() {
            let (weights, tail) = rest.split_at(inputs * outputs);
            let (biases, tail) = tail.split_at(outputs);
            rest = tail;
            let mut sums = tape.buffer(outputs * rows);
            for (sums, bias) in sums.chunks_exact_mut(rows).zip(biases) {
                sums.fill(*bias);
            }
            multiply_add([outputs, inputs, rows], Left::row_major(weights, inputs), &activations, &mut sums);
            if index + 1 < layers {
                for sum in &mut sums {
                    *sum = if *sum > T::zero() { *sum } else { T::zero() };
                }
            }
            tape.push(activations);
            activations = sums;
        }
        activations
    }

    /// Turns the gradient of the outputs into that of the inputs, adding the parameters' to `parameter_gradient`.
    pub fn backward<T: Real>(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        output_gradient: Vec<T>,
        rows: usize,
        parameter_gradient: &mut [T],
    ) -> Vec<T> {
        let mut gradient = output_gradient;
        let mut end = self.parameters();
        for (index, (inputs, outputs)) in self.shapes().enumerate().rev() {
            let start = end - (inputs + 1) * outputs;
            let weights = &parameters[start..start + inputs * outputs];
            let (weight_gradient, bias_gradient) = parameter_gradient[start..end].split_at_mut(inputs * outputs);
            end = start;
            for (sum, gradient) in bias_gradient.iter_mut().zip(gradient.chunks_exact(rows)) {
                *sum += sum_in_lanes(gradient);
            }
            let activations = tape.pop();
            let mut by_row = tape.buffer(inputs * rows);
            transpose(&activations, rows, &mut by_row);
            multiply_add([outputs, rows, inputs], Left::row_major(&gradient, rows), &by_row, weight_gradient);
            let mut input_gradient = by_row;
            input_gradient.fill(T::zero());
            multiply_add([inputs, outputs, rows], Left::transposed(weights, inputs), &gradient, &mut input_gradient);
            if index > 0 {
                for (gradient, activation) in input_gradient.iter_mut().zip(&activations) {
                    *gradient = if *activation > T::zero() { *gradient } else { T::zero() };
                }
            }
            tape.recycle(activations);
            tape.recycle(std::mem::replace(&mut gradient, input_gradient));
        }
        gradient
    }
}
