//! Batched forward and backward passes of nets, feature-major: `values[feature * rows + row]`.
//!
//! What a row of a masked matrix sees is a prefix of its inputs, so matrices are multiplied a few rows at a time with
//! the longest of their prefixes: most masked weights cost nothing. They are zero, and their gradient is kept zero.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Activation, Body, Matrix, Net, Place, Wiring};
use crate::train::gemm::{Left, Onto, Shape, multiply, sum_in_lanes, transpose};
use crate::train::{Real, Tape, vectorize};

/// The second matrix of a residual block starts within this, so that a block starts as the identity, nearly, and not at
/// a point where its first matrix has no gradient. As in nflows (Durkan, Bekasov, Murray, Papamakarios, 2020).
const RESIDUAL_LIMIT: f64 = 1e-3;

/// An activation's arithmetic.
pub(super) trait Apply: Copy {
    /// The activation of sums, in their place.
    fn apply<T: Real>(self, sums: &mut [T]);

    /// Takes the gradient through the activation whose values these are, back to the sums.
    fn pull_back<T: Real>(self, gradient: &mut [T], values: &[T]);
}

impl Apply for Activation {
    fn apply<T: Real>(self, sums: &mut [T]) {
        let (zero, one) = (T::zero(), T::one());
        // One loop for each, so that they are vectors, by e^-|x|, which cannot overflow. Close to zero the last two are as
        // accurate as their sums are, absolutely.
        vectorize(
            #[inline(always)]
            || match self {
                Self::Relu => sums.iter_mut().for_each(|sum| *sum = if *sum > zero { *sum } else { zero }),
                Self::Elu => sums.iter_mut().for_each(|sum| {
                    let below = (-sum.abs()).fast_exp() - one;
                    *sum = if *sum > zero { *sum } else { below };
                }),
                Self::Tanh => sums.iter_mut().for_each(|sum| {
                    let small = (-(*sum + *sum).abs()).fast_exp();
                    let magnitude = (one - small) / (one + small);
                    *sum = if *sum > zero { magnitude } else { -magnitude };
                }),
            },
        );
    }

    fn pull_back<T: Real>(self, gradient: &mut [T], values: &[T]) {
        let (zero, one) = (T::zero(), T::one());
        let pairs = gradient.iter_mut().zip(values);
        vectorize(
            #[inline(always)]
            || match self {
                Self::Relu => {
                    pairs.for_each(|(gradient, value)| *gradient = if *value > zero { *gradient } else { zero });
                }
                Self::Elu => {
                    pairs.for_each(|(gradient, value)| *gradient *= if *value > zero { one } else { one + *value });
                }
                Self::Tanh => pairs.for_each(|(gradient, value)| *gradient *= one - *value * *value),
            },
        );
    }
}

impl Net {
    /// Draws the hidden layers uniformly within 1 / √n, with n the inputs that a unit sees, and the second matrix of a
    /// residual block within 1e-3. The last layer is set to zero, so that what the net conditions starts as the same
    /// for all inputs; masked weights are zero.
    pub fn initialize<T: Real>(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        parameters.fill(T::zero());
        for (index, matrix) in self.matrices().enumerate() {
            if matrix.place == Place::Last {
                continue;
            }
            let second_of_block = index > 0 && index.is_multiple_of(2) && self.hidden.body == Body::Residual;
            for band in self.bands(matrix) {
                let limit = if second_of_block { RESIDUAL_LIMIT } else { 1.0 / (band.inputs.max(1) as f64).sqrt() };
                for output in band.outputs {
                    let weights = &mut parameters[matrix.start + output * matrix.inputs..][..band.inputs];
                    weights.fill_with(|| T::of(rng.random_range(-1.0..1.0) * limit));
                    parameters[matrix.biases()][output] = T::of(rng.random_range(-1.0..1.0) * limit);
                }
            }
        }
    }

    /// Marks the weights with `true`, leaving the biases and what is masked.
    pub fn mark_weights(&self, marks: &mut [bool]) {
        for matrix in self.matrices() {
            for band in self.bands(matrix) {
                for output in band.outputs {
                    marks[matrix.start + output * matrix.inputs..][..band.inputs].fill(true);
                }
            }
        }
    }

    /// Outputs for a feature-major `input` of `rows` rows; keeps on the tape what [`Net::backward`] needs.
    pub fn forward<T: Real>(&self, parameters: &[T], input: Vec<T>, rows: usize, tape: &mut Tape<T>) -> Vec<T> {
        let activation = self.hidden.activation;
        let mut units = self.affine(0, parameters, &input, rows, tape);
        tape.push(input);
        match self.hidden.body {
            Body::Plain => {
                activation.apply(&mut units);
                for index in 1..=self.hidden.deep {
                    let mut next = self.affine(index, parameters, &units, rows, tape);
                    activation.apply(&mut next);
                    tape.push(units);
                    units = next;
                }
            }
            Body::Residual => {
                for index in (1..=self.hidden.deep).step_by(2) {
                    let mut active = tape.copy_of(&units);
                    activation.apply(&mut active);
                    let mut inner = self.affine(index, parameters, &active, rows, tape);
                    activation.apply(&mut inner);
                    self.add_affine(index + 1, parameters, &inner, rows, &mut units);
                    tape.push(active);
                    tape.push(inner);
                }
            }
            Body::Gated => {
                activation.apply(&mut units);
                for index in (1..=self.hidden.deep).step_by(2) {
                    let mut open = self.affine(index, parameters, &units, rows, tape);
                    activation.apply(&mut open);
                    let mut gate = self.affine(index + 1, parameters, &units, rows, tape);
                    vectorize(
                        #[inline(always)]
                        || gate.iter_mut().for_each(|gate| *gate = gate.fast_sigmoid()),
                    );
                    let mut next = tape.buffer(open.len());
                    for ((next, open), gate) in next.iter_mut().zip(&open).zip(&gate) {
                        *next = *open * *gate;
                    }
                    tape.push(units);
                    tape.push(open);
                    tape.push(gate);
                    units = next;
                }
            }
        }
        let outputs = self.affine(self.hidden.deep + 1, parameters, &units, rows, tape);
        tape.push(units);
        outputs
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
        let activation = self.hidden.activation;
        let mut pass = Backward { net: self, parameters, rows, parameter_gradient };
        let mut units = tape.pop();
        let mut gradient = pass.through(self.hidden.deep + 1, &units, &output_gradient, tape);
        tape.recycle(output_gradient);
        match self.hidden.body {
            Body::Plain => {
                for index in (1..=self.hidden.deep).rev() {
                    activation.pull_back(&mut gradient, &units);
                    tape.recycle(units);
                    units = tape.pop();
                    let next = pass.through(index, &units, &gradient, tape);
                    tape.recycle(std::mem::replace(&mut gradient, next));
                }
                activation.pull_back(&mut gradient, &units);
            }
            Body::Residual => {
                for index in (1..=self.hidden.deep).rev().step_by(2) {
                    let inner = tape.pop();
                    let active = tape.pop();
                    let mut by_inner = pass.through(index, &inner, &gradient, tape);
                    activation.pull_back(&mut by_inner, &inner);
                    let mut by_active = pass.through(index - 1, &active, &by_inner, tape);
                    activation.pull_back(&mut by_active, &active);
                    for (gradient, by_active) in gradient.iter_mut().zip(&by_active) {
                        *gradient += *by_active;
                    }
                    [inner, active, by_inner, by_active].into_iter().for_each(|buffer| tape.recycle(buffer));
                }
            }
            Body::Gated => {
                for index in (1..=self.hidden.deep).rev().step_by(2) {
                    let gate = tape.pop();
                    let open = tape.pop();
                    tape.recycle(units);
                    units = tape.pop();
                    let mut by_gate = tape.buffer(gate.len());
                    for (((by_gate, gradient), open), gate) in
                        by_gate.iter_mut().zip(&mut gradient).zip(&open).zip(&gate)
                    {
                        *by_gate = *gradient * *open * *gate * (T::one() - *gate);
                        *gradient *= *gate;
                    }
                    activation.pull_back(&mut gradient, &open);
                    let mut next = pass.through(index - 1, &units, &gradient, tape);
                    pass.add_through(index, &units, &by_gate, &mut next, tape);
                    tape.recycle(std::mem::replace(&mut gradient, next));
                    [gate, open, by_gate].into_iter().for_each(|buffer| tape.recycle(buffer));
                }
                activation.pull_back(&mut gradient, &units);
            }
        }
        tape.recycle(units);
        let input = tape.pop();
        let input_gradient = pass.through(0, &input, &gradient, tape);
        tape.recycle(input);
        tape.recycle(gradient);
        input_gradient
    }

    /// W input + b of one matrix.
    pub(super) fn affine<T: Real>(
        &self,
        index: usize,
        parameters: &[T],
        input: &[T],
        rows: usize,
        tape: &mut Tape<T>,
    ) -> Vec<T> {
        let matrix = self.matrix(index);
        let mut sums = tape.buffer(matrix.outputs * rows);
        self.add_products(matrix, parameters, Some(&parameters[matrix.biases()]), input, rows, &mut sums);
        sums
    }

    /// Adds W input + b of one matrix to `sums`.
    pub(super) fn add_affine<T: Real>(&self, index: usize, parameters: &[T], input: &[T], rows: usize, sums: &mut [T]) {
        let matrix = self.matrix(index);
        for (sums, bias) in sums.chunks_exact_mut(rows).zip(&parameters[matrix.biases()]) {
            sums.iter_mut().for_each(|sum| *sum += *bias);
        }
        self.add_products(matrix, parameters, None, input, rows, sums);
    }

    /// Adds W input of one matrix to the biases, or else to what `sums` holds.
    fn add_products<T: Real>(
        &self,
        matrix: Matrix,
        parameters: &[T],
        biases: Option<&[T]>,
        input: &[T],
        rows: usize,
        sums: &mut [T],
    ) {
        let weights = &parameters[matrix.weights()];
        for band in self.groups(matrix) {
            let left = Left::row_major(&weights[band.outputs.start * matrix.inputs..], matrix.inputs);
            let sums = &mut sums[band.outputs.start * rows..band.outputs.end * rows];
            let onto = biases.map_or(Onto::Result, |biases| Onto::Bias(&biases[band.outputs.clone()]));
            multiply(Shape::new(band.outputs.len(), band.inputs, rows), onto, left, input, sums);
        }
    }
}

/// What every step of a backward pass needs.
struct Backward<'a, T> {
    net: &'a Net,
    parameters: &'a [T],
    rows: usize,
    parameter_gradient: &'a mut [T],
}

impl<T: Real> Backward<'_, T> {
    /// The gradient of a matrix's inputs, from that of its outputs; adds that of its parameters.
    fn through(&mut self, index: usize, input: &[T], gradient: &[T], tape: &mut Tape<T>) -> Vec<T> {
        let mut input_gradient = tape.buffer(self.net.matrix(index).inputs * self.rows);
        // All outputs of a dense matrix see all inputs: one product, which need not find zeros.
        let onto = match self.net.wiring {
            Wiring::Dense { .. } => Onto::Zero,
            Wiring::Masked { .. } => {
                input_gradient.fill(T::zero());
                Onto::Result
            }
        };
        self.propagate(index, input, gradient, onto, &mut input_gradient, tape);
        input_gradient
    }

    /// As [`Self::through`], added to `input_gradient`.
    fn add_through(&mut self, index: usize, input: &[T], gradient: &[T], input_gradient: &mut [T], tape: &mut Tape<T>) {
        self.propagate(index, input, gradient, Onto::Result, input_gradient, tape);
    }

    fn propagate(
        &mut self,
        index: usize,
        input: &[T],
        gradient: &[T],
        onto: Onto<'_, T>,
        input_gradient: &mut [T],
        tape: &mut Tape<T>,
    ) {
        let (net, rows) = (self.net, self.rows);
        let matrix = net.matrix(index);
        let width = matrix.inputs;
        let sums = self.parameter_gradient[matrix.biases()].iter_mut().zip(gradient.chunks_exact(rows));
        vectorize(
            #[inline(always)]
            || sums.for_each(|(sum, gradient)| *sum += sum_in_lanes(gradient)),
        );
        let mut by_row = tape.buffer(width * rows);
        transpose(input, rows, &mut by_row);
        let weights = &self.parameters[matrix.weights()];
        let weight_gradient = &mut self.parameter_gradient[matrix.weights()];
        for band in net.groups(matrix) {
            let gradient = &gradient[band.outputs.start * rows..band.outputs.end * rows];
            let left = Left::row_major(gradient, rows);
            let shape = Shape { m: band.outputs.len(), k: rows, n: band.inputs, stride: width };
            multiply(shape, Onto::Result, left, &by_row, &mut weight_gradient[band.outputs.start * width..]);
            let left = Left::transposed(&weights[band.outputs.start * width..], width);
            multiply(Shape::new(band.inputs, band.outputs.len(), rows), onto, left, gradient, input_gradient);
        }
        for band in net.bands(matrix) {
            for output in band.outputs {
                weight_gradient[output * width + band.inputs..(output + 1) * width].fill(T::zero());
            }
        }
        tape.recycle(by_row);
    }
}
