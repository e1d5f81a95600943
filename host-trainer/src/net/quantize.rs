//! Quantization of nets: weights to int8 with a unit for each row, activations to int16.
//!
//! Each matrix is rounded on the activations that the quantized ones before it give, towards what the exact net
//! computes: its weights are first corrected for those activations by least squares, then rounded so that their errors
//! cancel in its sums (`quantize/rounding.rs`), the last matrix's weighed by what they cost. A row of a masked matrix
//! is rounded on what it sees.
//!
//! Activations have 16 bits. Behind a ReLU their range is calibrated ([`RangeMethod`]). The device's tables of tanh, ELU
//! and sigmoid have fixed ranges; far-off sums saturate. Biases are the last column of the weights, so the least squares
//! take up what the rounding of activations and weights moves in the mean of a sum.

use flowlet::conditioner::int8::Requantization;
use nalgebra::DMatrix;

use super::ranges::{ACTIVATION_LIMIT, RangeMethod, Ranges, grid};
use super::rounding::{Spread, corrected_by};
use super::train::Apply;
use super::{Activation, Band, Body, Matrix, Net};
use crate::train::{Fast, Real, Tape};

/// The largest quantized weight; -128 is not used, so that rows are symmetric.
const WEIGHT_LIMIT: f64 = 127.0;

/// The largest factor of a requantization.
const LARGEST_FACTOR: f64 = 32767.0 / 65536.0;

/// The unit of the sums that the table of the sigmoid takes, ±8.
const GATE_UNIT: f64 = 1.0 / 4096.0;

/// The unit of what the tables of tanh and the sigmoid give.
const TABLE_UNIT: f64 = 1.0 / 32768.0;

/// A quantized net.
#[derive(Clone, Debug)]
pub(super) struct Quantized {
    /// The value of one unit of the input activations.
    pub(super) input_unit: f64,
    /// First, inner, last.
    pub(super) matrices: Vec<Rounded>,
}

/// A quantized matrix.
#[derive(Clone, Debug)]
pub(super) struct Rounded {
    /// `weights[output * inputs + input]`.
    pub(super) weights: Vec<i8>,
    /// In units of the sums.
    pub(super) biases: Vec<i32>,
    /// The value of one unit of each row's sum.
    pub(super) units: Vec<f64>,
    /// From sums to activations; none in a last matrix.
    pub(super) factors: Vec<Requantization>,
    /// Of what went in.
    pub(super) ranges: Ranges,
}

/// Activations on their grid: a row for each reading, a column for each unit of the net.
#[derive(Clone, Debug)]
struct Given {
    values: DMatrix<f64>,
    /// The value of one unit.
    unit: f64,
    /// The largest in size, before the grid.
    largest: f64,
}

impl Given {
    fn new(values: &DMatrix<f64>, unit: f64) -> Self {
        Self { values: values.map(|value| grid(value, unit)), unit, largest: values.amax() }
    }

    /// The share that saturates.
    fn saturated(&self) -> f64 {
        let limit = (ACTIVATION_LIMIT - 0.5) * self.unit;
        let saturated = self.values.iter().filter(|value| value.abs() > limit).count();
        saturated as f64 / self.values.len().max(1) as f64
    }
}

/// Rows times their costs.
fn weighed(rows: &DMatrix<f64>, costs: &[f64]) -> DMatrix<f64> {
    let mut weighed = rows.clone();
    for mut column in weighed.column_iter_mut() {
        column.iter_mut().zip(costs).for_each(|(value, cost)| *value *= cost);
    }
    weighed
}

/// The unit of the sums that an activation's table takes: ±8 for tanh, ±16 for ELU. ReLU has no table, and any unit.
fn table_unit(activation: Activation) -> Option<f64> {
    match activation {
        Activation::Relu => None,
        Activation::Elu => Some(1.0 / 2048.0),
        Activation::Tanh => Some(1.0 / 4096.0),
    }
}

/// Activations of activations, as the device has them.
fn activate(activation: Activation, sums: Given) -> Given {
    let Given { mut values, unit, .. } = sums;
    activation.apply(values.as_mut_slice());
    match activation {
        Activation::Relu => Given::new(&values, unit),
        Activation::Elu => Given::new(&values, unit),
        Activation::Tanh => Given::new(&values, TABLE_UNIT),
    }
}

impl Net {
    /// The net with these parameters, quantized by readings; see [`Net::write_int8`].
    pub(super) fn quantize(
        &self,
        parameters: &[f64],
        inputs: &DMatrix<f64>,
        cost: impl Fn(usize, &[f64]) -> f64,
        method: RangeMethod,
    ) -> Quantized {
        assert!(inputs.ncols() == self.inputs() && inputs.nrows() > 0, "readings of {} inputs", self.inputs());
        let activation = self.hidden.activation;
        let mut work = Work { net: self, parameters, method, matrices: Vec::new() };
        let exact = self.exact(parameters, inputs);
        let input_unit = method.unit([inputs]);
        let input = Given::new(inputs, input_unit);
        let read = match self.hidden.body {
            Body::Plain => {
                (0..=self.hidden.deep).fold(input, |given, index| work.activated(index, &given, &exact[index]))
            }
            Body::Residual => {
                let streams = exact.iter().take(self.hidden.deep + 1).step_by(2);
                let unit = table_unit(activation).unwrap_or_else(|| method.unit(streams));
                let mut stream = work.linear(0, &input, &exact[0], unit);
                for index in (1..=self.hidden.deep).step_by(2) {
                    let active = activate(activation, stream.clone());
                    let inner = work.activated(index, &active, &exact[index]);
                    // What takes the stream, as it is here, to where the exact one is behind the block.
                    let change = work.linear(index + 1, &inner, &(&exact[index + 1] - &stream.values), unit);
                    stream = Given::new(&(stream.values + change.values), unit);
                }
                stream
            }
            Body::Gated => {
                let mut units = work.activated(0, &input, &exact[0]);
                for index in (1..=self.hidden.deep).step_by(2) {
                    let open = work.activated(index, &units, &exact[index]);
                    let gate = work.linear(index + 1, &units, &exact[index + 1], GATE_UNIT);
                    let gate = gate.values.map(|sum| grid(sum.fast_sigmoid(), TABLE_UNIT));
                    units = Given::new(&open.values.component_mul(&gate), open.unit);
                }
                units
            }
        };
        work.last(&read, &exact[self.hidden.deep + 1], cost);
        Quantized { input_unit, matrices: work.matrices }
    }

    /// What the exact net computes: the sums of each matrix; of the second ones of residual blocks the stream behind them.
    fn exact(&self, parameters: &[f64], inputs: &DMatrix<f64>) -> Vec<DMatrix<f64>> {
        let rows = inputs.nrows();
        let (activation, deep) = (self.hidden.activation, self.hidden.deep);
        let mut tape = Tape::default();
        let mut sums = |index: usize, input: &DMatrix<f64>| {
            let sums = self.affine(index, parameters, input.as_slice(), rows, &mut tape);
            DMatrix::from_vec(rows, self.matrix(index).outputs, sums)
        };
        let active = |mut values: DMatrix<f64>| {
            activation.apply(values.as_mut_slice());
            values
        };
        let mut exact = vec![sums(0, inputs)];
        let mut read = match self.hidden.body {
            Body::Residual => exact[0].clone(),
            Body::Plain | Body::Gated => active(exact[0].clone()),
        };
        match self.hidden.body {
            Body::Plain => {
                for index in 1..=deep {
                    exact.push(sums(index, &read));
                    read = active(exact[index].clone());
                }
            }
            Body::Residual => {
                for index in (1..=deep).step_by(2) {
                    exact.push(sums(index, &active(read.clone())));
                    read += sums(index + 1, &active(exact[index].clone()));
                    exact.push(read.clone());
                }
            }
            Body::Gated => {
                for index in (1..=deep).step_by(2) {
                    exact.push(sums(index, &read));
                    exact.push(sums(index + 1, &read));
                    read = active(exact[index].clone()).component_mul(&exact[index + 1].map(Fast::fast_sigmoid));
                }
            }
        }
        exact.push(sums(deep + 1, &read));
        exact
    }
}

/// A net that is being quantized, a matrix after the other.
struct Work<'a> {
    net: &'a Net,
    parameters: &'a [f64],
    method: RangeMethod,
    matrices: Vec<Rounded>,
}

impl Work<'_> {
    /// Quantizes a matrix towards `targets`; returns its sums' activations.
    fn activated(&mut self, index: usize, given: &Given, targets: &DMatrix<f64>) -> Given {
        let activation = self.net.hidden.activation;
        if let Some(unit) = table_unit(activation) {
            return activate(activation, self.linear(index, given, targets, unit));
        }
        let mut rounded = self.round(index, given, f64::INFINITY, targets, |_| None);
        let mut sums = rounded.sums(given);
        activation.apply(sums.as_mut_slice());
        // A requantization scales down by two at the least. Where sums are that coarse, so are activations.
        let coarsest = rounded.units.iter().copied().fold(0.0, f64::max);
        let unit = self.method.unit([&sums]).max(coarsest / LARGEST_FACTOR);
        rounded.requantize(unit);
        self.matrices.push(rounded);
        Given::new(&sums, unit)
    }

    /// Quantizes a matrix towards `targets`; returns its sums in this unit.
    fn linear(&mut self, index: usize, given: &Given, targets: &DMatrix<f64>, unit: f64) -> Given {
        let mut rounded = self.round(index, given, unit * LARGEST_FACTOR, targets, |_| None);
        rounded.requantize(unit);
        let sums = Given::new(&rounded.sums(given), unit);
        self.matrices.push(rounded);
        sums
    }

    /// Quantizes the last matrix towards `targets`, where errors have a cost.
    fn last(&mut self, given: &Given, targets: &DMatrix<f64>, cost: impl Fn(usize, &[f64]) -> f64) {
        let rows: Vec<Vec<f64>> = targets.row_iter().map(|row| row.iter().copied().collect()).collect();
        let costs = |output: usize| {
            let costs: Vec<f64> = rows.iter().map(|row| cost(output, row)).collect();
            // Those that are all the same weigh nothing.
            costs.iter().any(|cost| *cost != costs[0]).then_some(costs)
        };
        let rounded = self.round(self.net.hidden.deep + 1, given, f64::INFINITY, targets, costs);
        self.matrices.push(rounded);
    }

    /// The weights and biases of a matrix, rounded. No unit of a sum is above `coarsest`.
    fn round(
        &self,
        index: usize,
        given: &Given,
        coarsest: f64,
        targets: &DMatrix<f64>,
        costs: impl Fn(usize) -> Option<Vec<f64>>,
    ) -> Rounded {
        let matrix = self.net.matrix(index);
        // The core's bound of a bias: what the products of a full row of quads leave of an int32.
        let bias_limit = f64::from(i32::MAX) - matrix.inputs.next_multiple_of(4) as f64 * 128.0 * ACTIVATION_LIMIT;
        let mut rounded = Rounded {
            weights: vec![0; matrix.inputs * matrix.outputs],
            biases: Vec::new(),
            units: Vec::new(),
            factors: Vec::new(),
            ranges: Ranges {
                largest_activation: given.largest,
                unit: given.unit,
                saturated: given.saturated(),
                largest_weight: 0.0,
            },
        };
        for band in self.net.bands(matrix) {
            let inputs = given.values.columns(0, band.inputs).into_owned().insert_column(band.inputs, 1.0);
            let targets = targets.columns(band.outputs.start, band.outputs.len()).into_owned();
            // Products with the transpose, which nalgebra multiplies in blocks.
            let transposed = inputs.transpose();
            let moments = &transposed * &inputs;
            let weights = self.weights(matrix, &band);
            let residual = &transposed * (targets - &inputs * weights.transpose());
            let weights = corrected_by(&weights, moments.clone(), &residual);
            let even = Spread::of_moments(moments);
            // Outputs of one feature often have the same costs.
            let mut weighted: Option<(Vec<f64>, Spread)> = None;
            for (output, row) in band.outputs.clone().zip(weights.row_iter()) {
                let row: Vec<f64> = row.iter().copied().collect();
                let largest = row[..band.inputs].iter().fold(0.0, |largest: f64, weight| largest.max(weight.abs()));
                rounded.ranges.largest_weight = rounded.ranges.largest_weight.max(largest);
                let smallest_for_bias = 2.0 * row[band.inputs].abs() / (bias_limit * given.unit);
                let (finest, coarsest) = (smallest_for_bias.max(1e-9), coarsest / given.unit);
                let allowed = finest.min(coarsest)..=coarsest;
                let spread = match costs(output) {
                    None => &even,
                    Some(costs) => {
                        let known = weighted.take().filter(|(known, _)| *known == costs);
                        &weighted
                            .insert(known.unwrap_or_else(|| {
                                let spread = Spread::of_moments(&transposed * weighed(&inputs, &costs));
                                (costs, spread)
                            }))
                            .1
                    }
                };
                let row = spread.best(&row, largest / WEIGHT_LIMIT, allowed, WEIGHT_LIMIT);
                let unit = row.step * given.unit;
                rounded.weights[output * matrix.inputs..][..band.inputs].copy_from_slice(&row.weights);
                rounded.biases.push((row.bias / unit).round().clamp(-bias_limit, bias_limit) as i32);
                rounded.units.push(unit);
            }
        }
        rounded
    }

    /// What the rows of a band are multiplied with, a row for each output, the bias as last column.
    fn weights(&self, matrix: Matrix, band: &Band) -> DMatrix<f64> {
        let (weights, biases) = (&self.parameters[matrix.weights()], &self.parameters[matrix.biases()]);
        DMatrix::from_fn(band.outputs.len(), band.inputs + 1, |row, column| {
            let output = band.outputs.start + row;
            if column < band.inputs { weights[output * matrix.inputs + column] } else { biases[output] }
        })
    }
}

impl Net {
    /// Rounds the weights to the nearest that int8 can hold with a unit for each row, the one that its largest weight
    /// needs.
    pub fn fake_quantize<T: Real>(&self, parameters: &mut [T]) {
        let limit = T::of(WEIGHT_LIMIT);
        for matrix in self.matrices() {
            for row in parameters[matrix.weights()].chunks_exact_mut(matrix.inputs.max(1)) {
                let largest = row.iter().fold(T::zero(), |largest, weight| largest.max(weight.abs()));
                let step = (largest / limit).max(T::min_positive_value());
                row.iter_mut().for_each(|weight| *weight = (*weight / step).round() * step);
            }
        }
    }
}

impl Rounded {
    fn requantize(&mut self, unit: f64) {
        let factor = |own: &f64| (own / unit).min(LARGEST_FACTOR);
        let factor = |own| Requantization::nearest(factor(own)).expect("a positive factor below a half");
        self.factors = self.units.iter().map(factor).collect();
    }

    /// Exact sums of quantized numbers.
    fn sums(&self, given: &Given) -> DMatrix<f64> {
        let inputs = given.values.ncols();
        let weights = DMatrix::from_fn(inputs, self.units.len(), |input, output| {
            f64::from(self.weights[output * inputs + input]) * self.units[output] / given.unit
        });
        let mut sums = &given.values * weights;
        for (output, mut sums) in sums.column_iter_mut().enumerate() {
            sums.add_scalar_mut(f64::from(self.biases[output]) * self.units[output]);
        }
        sums
    }
}
