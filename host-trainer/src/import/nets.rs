//! Nets of other libraries as ours: units in quads, dead ones where there are too few, and those of masked nets sorted by
//! what they see.

use flowlet::conditioner::{Masks, WIDEST};

use super::ImportError;
use super::steps::{Steps, single};
use super::weights::Weights;
use crate::layers::{Coupling, Kind, MaskedAutoregressive};
use crate::model::architecture::{Elementary, NumberFormat};
use crate::net::{Activation, Body, Hidden, Net};
use crate::univariate::{MapValues, TrainMap, stride};

/// A linear layer, what it masks at zero.
#[derive(Clone, Debug)]
pub struct Linear {
    pub inputs: usize,
    pub outputs: usize,
    /// `[outputs][inputs]`.
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
    /// Whether an output sees an input, `[outputs][inputs]`.
    pub mask: Vec<bool>,
}

impl Linear {
    /// `{prefix}weight`, `{prefix}bias` and, if there is one, `{prefix}mask`.
    pub fn read(weights: &Weights, prefix: &str) -> Result<Self, ImportError> {
        let weight = weights.get(&format!("{prefix}weight"))?;
        let (outputs, inputs) = weight.matrix()?;
        let bias = weights.vector(&format!("{prefix}bias"), outputs)?.to_vec();
        let mut masked =
            Self { inputs, outputs, weight: weight.values.clone(), bias, mask: vec![true; inputs * outputs] };
        let key = format!("{prefix}mask");
        if weights.has(&key) {
            let mask = weights.get(&key)?;
            if mask.shape != weight.shape {
                return Err(mask.misshapen(format!("that of the weights, {:?}", weight.shape)));
            }
            masked.mask = mask.bits()?;
            masked
                .weight
                .iter_mut()
                .zip(&masked.mask)
                .filter(|(_, seen)| !**seen)
                .for_each(|(weight, _)| *weight = 0.0);
        }
        Ok(masked)
    }

    /// A layer without inputs that count.
    fn constant(inputs: usize, bias: Vec<f64>) -> Self {
        let size = inputs * bias.len();
        Self { inputs, outputs: bias.len(), weight: vec![0.0; size], bias, mask: vec![false; size] }
    }

    /// What gives its inputs again.
    fn identity(inputs: usize) -> Self {
        let weight: Vec<f64> =
            (0..inputs * inputs).map(|at| f64::from(u8::from(at.is_multiple_of(inputs + 1)))).collect();
        let mask = weight.iter().map(|weight| *weight != 0.0).collect();
        Self { inputs, outputs: inputs, weight, bias: vec![0.0; inputs], mask }
    }

    /// This of what another gives.
    fn after(&self, first: &Self) -> Self {
        let (inputs, outputs) = (first.inputs, self.outputs);
        let (mut weight, mut mask) = (vec![0.0; inputs * outputs], vec![false; inputs * outputs]);
        let mut bias = self.bias.clone();
        for output in 0..outputs {
            for between in self.sees(output) {
                let factor = self.at(Some(output), Some(between));
                bias[output] += factor * first.bias[between];
                for input in first.sees(between) {
                    weight[output * inputs + input] += factor * first.at(Some(between), Some(input));
                    mask[output * inputs + input] = true;
                }
            }
        }
        Self { inputs, outputs, weight, bias, mask }
    }

    fn checked_after(&self, first: &Self, key: &str) -> Result<Self, ImportError> {
        if self.inputs != first.outputs {
            let problem = format!("a matrix of {} inputs is behind {} outputs", self.inputs, first.outputs);
            return Err(ImportError::contradiction(key.trim_end_matches('.'), problem));
        }
        Ok(self.after(first))
    }

    /// Its outputs, and behind them those of another with the same inputs.
    fn above(mut self, other: Self) -> Self {
        self.outputs += other.outputs;
        self.weight.extend(other.weight);
        self.bias.extend(other.bias);
        self.mask.extend(other.mask);
        self
    }

    /// The sum of it and another, whose inputs are behind its own.
    fn plus(&self, other: &Self) -> Self {
        fn joined<T: Copy>(one: &[T], width: usize, other: &[T], other_width: usize, rows: usize) -> Vec<T> {
            let row = |values: &[T], width: usize, row: usize| values[row * width..(row + 1) * width].to_vec();
            (0..rows).flat_map(|at| [row(one, width, at), row(other, other_width, at)].concat()).collect()
        }
        Self {
            inputs: self.inputs + other.inputs,
            outputs: self.outputs,
            weight: joined(&self.weight, self.inputs, &other.weight, other.inputs, self.outputs),
            bias: self.bias.iter().zip(&other.bias).map(|(one, other)| one + other).collect(),
            mask: joined(&self.mask, self.inputs, &other.mask, other.inputs, self.outputs),
        }
    }

    /// As many outputs that are zero.
    fn zeros(inputs: usize, outputs: usize) -> Self {
        Self::constant(inputs, vec![0.0; outputs])
    }

    /// Minus it.
    fn opposite(mut self) -> Self {
        self.weight.iter_mut().chain(&mut self.bias).for_each(|value| *value = -*value);
        self
    }

    /// Each on its own inputs.
    fn diagonal(self, other: Self) -> Self {
        let above = self.plus(&Self::zeros(other.inputs, self.outputs));
        let below = Self::zeros(self.inputs, other.outputs).plus(&other);
        above.above(below)
    }

    /// Of the inputs named, in that order; the others are not seen.
    fn of(&self, inputs: &[usize]) -> Self {
        let at = |output: usize| inputs.iter().map(move |input| output * self.inputs + input);
        Self {
            inputs: inputs.len(),
            outputs: self.outputs,
            weight: (0..self.outputs).flat_map(at).map(|at| self.weight[at]).collect(),
            bias: self.bias.clone(),
            mask: (0..self.outputs).flat_map(at).map(|at| self.mask[at]).collect(),
        }
    }

    fn at(&self, output: Option<usize>, input: Option<usize>) -> f64 {
        output.zip(input).map_or(0.0, |(output, input)| self.weight[output * self.inputs + input])
    }

    fn sees(&self, output: usize) -> impl Iterator<Item = usize> {
        (0..self.inputs).filter(move |input| self.mask[output * self.inputs + input])
    }

    /// The outputs named, in that order; zeros for `None`.
    fn arrange(&mut self, rows: &[Option<usize>]) {
        let inputs = 0..self.inputs;
        let weight = rows.iter().flat_map(|row| inputs.clone().map(|input| self.at(*row, Some(input)))).collect();
        let seen = |row: &Option<usize>, input| row.is_some_and(|row| self.mask[row * self.inputs + input]);
        let mask = rows.iter().flat_map(|row| inputs.clone().map(move |input| seen(row, input))).collect();
        let bias = rows.iter().map(|row| row.map_or(0.0, |row| self.bias[row])).collect();
        *self = Self { inputs: self.inputs, outputs: rows.len(), weight, bias, mask };
    }
}

/// A net: its first matrix, those between hidden layers, its last.
#[derive(Clone, Debug)]
pub struct Mlp {
    pub key: String,
    pub layers: Vec<Linear>,
    pub body: Body,
    pub activation: Activation,
}

impl Mlp {
    /// A net whose matrices follow each other.
    ///
    /// # Errors
    /// If a matrix has not as many inputs as the one before it has outputs, or there is no hidden layer.
    pub fn new(key: &str, layers: Vec<Linear>, body: Body, activation: Activation) -> Result<Self, ImportError> {
        let key = key.trim_end_matches('.').to_owned();
        if layers.len() < 2 {
            return Err(ImportError::unsupported(format!("`{key}`"), "a net without hidden layers"));
        }
        for (index, pair) in layers.windows(2).enumerate() {
            if pair[0].outputs != pair[1].inputs {
                let (outputs, inputs) = (pair[0].outputs, pair[1].inputs);
                let problem = format!("matrix {} has {inputs} inputs, the one before it {outputs} outputs", index + 1);
                return Err(ImportError::contradiction(key, problem));
            }
        }
        let hidden = &layers[..layers.len() - 1];
        if body.pairs() && hidden.iter().any(|layer| layer.outputs != hidden[0].outputs) {
            return Err(ImportError::contradiction(key, "hidden layers of residual blocks have different widths"));
        }
        Ok(Self { key, layers, body, activation })
    }

    /// Linear layers at `{prefix}0`, `{prefix}2`, .. with the activation between them.
    pub fn sequential(weights: &Weights, prefix: &str, activation: Activation) -> Result<Self, ImportError> {
        let indices = weights.indices(prefix);
        if let Some(index) =
            indices.iter().zip((0..).step_by(2)).find_map(|(index, even)| (*index != even).then_some(index))
        {
            let key = weights.keys(prefix).find(|key| key.starts_with(&format!("{index}."))).unwrap_or_default();
            let reason = "linear layers are at even places, with activations between them";
            return Err(ImportError::unsupported(format!("`{prefix}{key}`"), reason));
        }
        let read = |index: &usize| Linear::read(weights, &format!("{prefix}{index}."));
        let layers = indices.iter().map(read).collect::<Result<_, _>>()?;
        Self::new(prefix, layers, Body::Plain, activation)
    }

    /// As [`Mlp::sequential`], or with zuko's residual blocks: s + W₂ act(W₁ s + b₁) + b₂, at `{prefix}1.0` and
    /// `{prefix}1.2`, with no activation outside of them.
    ///
    /// Those are no blocks of ours, but with ReLU they are a plain net whose units carry on what is added to: ReLU leaves
    /// positive units as they are, and the inputs are the differences of their positive and negative parts.
    pub fn zuko(weights: &Weights, prefix: &str, activation: Activation) -> Result<Self, ImportError> {
        let indices = weights.indices(prefix);
        let is_block = |index: &usize| weights.has(&format!("{prefix}{index}.0.weight"));
        let Some(block) = indices.iter().find(|index| is_block(index)) else {
            return Self::sequential(weights, prefix, activation);
        };
        if activation != Activation::Relu {
            let what = format!("the residual block `{prefix}{block}`");
            return Err(ImportError::unsupported(what, "those of zuko can with the activation `relu` only"));
        }
        let (mut layers, mut state): (Vec<Linear>, Option<Linear>) = (Vec::new(), None);
        for index in &indices {
            if !is_block(index) {
                let linear = Linear::read(weights, &format!("{prefix}{index}."))?;
                state = Some(match state {
                    Some(before) => linear.checked_after(&before, prefix)?,
                    None => linear,
                });
                continue;
            }
            let half = |half: usize| Linear::read(weights, &format!("{prefix}{index}.{half}."));
            let (first, second) = (half(0)?, half(2)?);
            let before = state.unwrap_or_else(|| Linear::identity(first.inputs));
            let units = first.checked_after(&before, prefix)?;
            let (carried, before) = if layers.is_empty() {
                let identity = Linear::identity(before.inputs);
                let mut negative = before.clone().opposite();
                negative.bias.fill(0.0);
                (identity.clone().above(identity.opposite()), before.plus(&negative))
            } else {
                (Linear::identity(before.inputs), before)
            };
            if (second.inputs, second.outputs) != (units.outputs, before.outputs) {
                let problem = "is no block that adds to what it reads";
                return Err(ImportError::contradiction(format!("{prefix}{index}"), problem));
            }
            layers.push(carried.above(units));
            state = Some(before.plus(&second));
        }
        layers.extend(state);
        Self::new(prefix, layers, Body::Plain, activation)
    }

    /// Its outputs, and behind them those of another net of the same inputs.
    pub fn beside(self, other: Self) -> Result<Self, ImportError> {
        if self.layers.len() != other.layers.len() {
            let reason = format!("it has not as many layers as `{}`", other.key);
            return Err(ImportError::unsupported(format!("`{}`", self.key), reason));
        }
        let join = |(index, (one, other)): (usize, (Linear, Linear))| {
            if index == 0 { one.above(other) } else { one.diagonal(other) }
        };
        let layers = self.layers.into_iter().zip(other.layers).enumerate().map(join).collect();
        Ok(Self { layers, ..self })
    }

    /// Its outputs, and behind them zeros.
    pub fn beside_zeros(mut self, outputs: usize) -> Self {
        let last = self.layers.pop();
        self.layers.extend(last.map(|last| {
            let inputs = last.inputs;
            last.above(Linear::zeros(inputs, outputs))
        }));
        self
    }

    /// The net for the inputs named, if the others are 0.
    pub fn select_inputs(mut self, inputs: &[usize]) -> Self {
        self.layers[0] = self.layers[0].of(inputs);
        self
    }

    /// A net that gives the same outputs whatever its inputs are.
    pub fn constant(key: &str, inputs: usize, outputs: Vec<f64>) -> Self {
        let layers = vec![Linear::constant(inputs, vec![0.0; 4]), Linear::constant(4, outputs)];
        Self { key: key.to_owned(), layers, body: Body::Plain, activation: Activation::Relu }
    }

    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    pub fn outputs(&self) -> usize {
        self.last().outputs
    }

    fn last(&self) -> &Linear {
        &self.layers[self.layers.len() - 1]
    }

    /// Multiplies the outputs by factors.
    pub fn scale_outputs(&mut self, factor: impl Fn(usize) -> f64) {
        let Some(last) = self.layers.last_mut() else { return };
        for output in 0..last.outputs {
            let row = &mut last.weight[output * last.inputs..(output + 1) * last.inputs];
            row.iter_mut().chain([&mut last.bias[output]]).for_each(|value| *value *= factor(output));
        }
    }

    /// As many outputs as `map` takes for each of the features, at its stride: parameter p of feature b is `row(b, p)`.
    pub fn arrange(&mut self, features: usize, map: &MapValues, row: impl Fn(usize, usize) -> usize) {
        let outputs = TrainMap::<f32>::outputs(map);
        let stride = stride(outputs);
        let place = |place: usize| (place % stride < outputs).then(|| row(place / stride, place % stride));
        let rows: Vec<_> = (0..features * stride).map(place).collect();
        if let Some(last) = self.layers.last_mut() {
            last.arrange(&rows);
        }
    }

    /// Or an error that names the net, if its shape is none that the core has.
    fn check(&self, fits: bool) -> Result<(), ImportError> {
        let reason = "its layers are wider or more than a model's nets have";
        if fits { Ok(()) } else { Err(ImportError::unsupported(format!("`{}`", self.key), reason)) }
    }

    fn hidden(&self, units: usize) -> Result<Hidden, ImportError> {
        let most = 4 * WIDEST;
        let deep = self.layers.len() - 2;
        if units > most {
            let reason = format!("it takes {units} hidden units, a model's nets have at most {most}");
            return Err(ImportError::unsupported(format!("`{}`", self.key), reason));
        }
        Ok(Hidden { units, deep, body: self.body, activation: self.activation })
    }

    /// As a dense net, inputs in their order.
    fn dense(&self, context: usize) -> Result<(Net, Vec<f32>), ImportError> {
        let width = self.layers[..self.layers.len() - 1].iter().map(|layer| layer.outputs).max().unwrap_or(0);
        let hidden = self.hidden(width.max(1).next_multiple_of(4))?;
        let net = Net::dense(self.inputs() - context, context, self.outputs(), hidden);
        let place =
            |count: usize, of: usize| -> Vec<Option<usize>> { (0..of).map(|i| (i < count).then_some(i)).collect() };
        let last = self.layers.len() - 1;
        let parameters = self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let columns = place(layer.inputs, if index == 0 { layer.inputs } else { hidden.units });
            let rows = place(layer.outputs, if index == last { layer.outputs } else { hidden.units });
            parameters(layer, &rows, &columns)
        });
        Ok((net, parameters.collect()))
    }

    /// The hidden units among which a matrix's outputs are; residual blocks add to the units that they read.
    fn space_behind(&self, matrix: usize) -> usize {
        if self.body.pairs() && matrix.is_multiple_of(2) { 0 } else { matrix }
    }

    /// How many of the features in `order` each hidden unit sees, the first ones; for each space of units.
    fn degrees(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let hidden = &self.layers[..self.layers.len() - 1];
        let own = |index: usize| if self.space_behind(index) == index { hidden[index].outputs } else { 0 };
        let mut degrees: Vec<Vec<usize>> = (0..hidden.len()).map(|index| vec![0; own(index)]).collect();
        let mut position = vec![0; self.inputs()];
        order.iter().enumerate().for_each(|(at, feature)| position[*feature] = at + 1);
        loop {
            let before = degrees.clone();
            for (index, layer) in hidden.iter().enumerate() {
                let from = index.checked_sub(1).map_or(&position, |index| &before[self.space_behind(index)]).clone();
                let to = &mut degrees[self.space_behind(index)];
                for (output, degree) in to.iter_mut().enumerate() {
                    *degree = layer.sees(output).map(|input| from[input]).max().unwrap_or(0).max(*degree);
                }
            }
            if degrees == before {
                return degrees;
            }
        }
    }

    /// As a masked net for the features in `order`, with so many outputs for each. Inputs are the features, then the context.
    fn masked(&self, order: &[usize], context: usize, stride: usize) -> Result<(Net, Vec<f32>), ImportError> {
        let features = order.len();
        let degrees = self.degrees(order);
        let last = self.last();
        let behind = &degrees[self.space_behind(degrees.len() - 1)];
        for output in 0..last.outputs {
            let feature = output / stride;
            if last.sees(output).any(|unit| behind[unit] > feature) {
                let problem =
                    format!("the outputs of feature {} see others than those before it in its order", order[feature]);
                return Err(ImportError::contradiction(&self.key, problem));
            }
        }
        // Units beyond the last degree are seen by nobody.
        let used = degrees.iter().flatten().copied().filter(|degree| *degree < features);
        let lowest = used.min().unwrap_or(0);
        let needed = |degree: usize| {
            let count = |space: &Vec<usize>| space.iter().filter(|other| **other == degree).count().div_ceil(4);
            degrees.iter().map(count).max().unwrap_or(0)
        };
        let needed: Vec<usize> = (lowest..features).map(needed).collect();
        let quads = |masks: Masks, degree: usize| {
            let before = degree.checked_sub(1).map_or(0, |before| masks.quads(before));
            before..masks.quads(degree)
        };
        let spread = |hidden: &usize| {
            let masks = Masks { features, lowest, hidden: *hidden };
            needed.iter().enumerate().all(|(index, needed)| quads(masks, lowest + index).len() >= *needed)
        };
        let total = needed.iter().sum::<usize>().max(1);
        // So many for each degree are enough, whichever it is.
        let enough = needed.iter().max().map_or(1, |most| most.max(&1) * needed.len());
        let quads_of_all = (total..enough).find(spread).unwrap_or(enough);
        let masks = Masks { features, lowest, hidden: quads_of_all };
        let slots: Vec<Vec<Option<usize>>> = degrees
            .iter()
            .map(|space| {
                let mut slots = vec![None; 4 * quads_of_all];
                for degree in lowest..features {
                    let range = quads(masks, degree);
                    let units = (0..space.len()).filter(|unit| space[*unit] == degree);
                    (4 * range.start..4 * range.end).zip(units).for_each(|(slot, unit)| slots[slot] = Some(unit));
                }
                slots
            })
            .collect();
        let net = Net::masked(features, context, lowest, stride, self.hidden(4 * quads_of_all)?);
        let inputs: Vec<_> = (features..features + context).chain(order.iter().copied()).map(Some).collect();
        let outputs: Vec<_> = (0..last.outputs).map(Some).collect();
        let parameters = self.layers.iter().enumerate().flat_map(|(index, layer)| {
            let columns = index.checked_sub(1).map_or(&inputs, |index| &slots[self.space_behind(index)]);
            let rows = if index < slots.len() { &slots[self.space_behind(index)] } else { &outputs };
            parameters(layer, rows, columns)
        });
        Ok((net, parameters.collect()))
    }
}

/// Weights and biases of a matrix in the order of [`Net`]'s parameters.
fn parameters(layer: &Linear, rows: &[Option<usize>], columns: &[Option<usize>]) -> Vec<f32> {
    let weights = rows.iter().flat_map(|row| columns.iter().map(|column| layer.at(*row, *column)));
    let biases = rows.iter().map(|row| row.map_or(0.0, |row| layer.bias[row]));
    single(&weights.chain(biases).collect::<Vec<_>>())
}

/// Adds a coupling: `net` sees the features `kept` and the context and gives the parameters of `map` for each of the
/// features `transformed`.
pub fn couple(
    steps: &mut Steps,
    kept: &[usize],
    transformed: &[usize],
    context: usize,
    map: MapValues,
    net: &Mlp,
) -> Result<(), ImportError> {
    let order: Vec<usize> = kept.iter().chain(transformed).copied().collect();
    steps.permute(order.clone());
    let theirs = net;
    let (net, parameters) = theirs.dense(context)?;
    let layer = Coupling {
        kept: kept.len(),
        transformed: transformed.len(),
        map: map.map(),
        net: net.net_type(NumberFormat::Float),
        elementary: Elementary::Libm,
    };
    theirs.check(layer.fits(steps.features, context))?;
    steps.layer(layer, |image| {
        map.write(image);
        net.write_float(&parameters, image);
    });
    steps.permute_back(&order);
    Ok(())
}

/// Adds a masked autoregressive layer: the parameters of `map` for each of the features in `order` come from the context and
/// the features before it.
pub fn autoregress(
    steps: &mut Steps,
    order: &[usize],
    context: usize,
    map: MapValues,
    net: &Mlp,
) -> Result<(), ImportError> {
    steps.permute(order.to_vec());
    let theirs = net;
    let (net, parameters) = theirs.masked(order, context, stride(TrainMap::<f32>::outputs(&map)))?;
    let layer = MaskedAutoregressive {
        features: order.len(),
        map: map.map(),
        net: net.net_type(NumberFormat::Float),
        elementary: Elementary::Libm,
    };
    theirs.check(layer.fits(steps.features, context))?;
    steps.layer(layer, |image| {
        map.write(image);
        net.write_float(&parameters, image);
    });
    steps.permute_back(order);
    Ok(())
}
