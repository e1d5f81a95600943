//! Nets of all kinds against plain matrices, and masked nets against dense ones.

extern crate std;
use std::string::String;
use std::vec;
use std::vec::Vec;

use zerocopy::{FromBytes, IntoBytes};

use super::float::FloatView;
use super::int8::Int8View;
use super::masked_float::MaskedFloatView;
use super::masked_int8::MaskedInt8View;
use super::{
    Activation, Autoregress, Body, Conditioner, Elu, Evaluate, Float, Gated, Int8, MaskedConditioner, MaskedFloat,
    MaskedInt8, MaskedShape, Plain, Relu, Residual, Shape, Tanh, masked_int8,
};
use crate::schema::{Field, Rule};

const BODIES: [Body; 3] = [Body::Plain, Body::Residual, Body::Gated];
const ACTIVATIONS: [Activation; 3] = [Activation::Relu, Activation::Elu, Activation::Tanh];

fn styles() -> impl Iterator<Item = (Body, Activation)> {
    BODIES.into_iter().flat_map(|body| ACTIVATIONS.map(|activation| (body, activation)))
}

/// Numbers that look random, from -1 to 1.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
    }

    fn integer(&mut self, limit: i32) -> i32 {
        (self.next() * f64::from(limit)) as i32
    }

    fn values(&mut self, count: usize, limit: f64) -> Vec<f32> {
        (0..count).map(|_| (self.next() * limit) as f32).collect()
    }
}

/// A matrix as it is written down: rows of weights, and biases; numbers of the format. Rows see the first columns.
#[derive(Clone)]
struct Matrix {
    weights: Vec<Vec<f64>>,
    bias: Vec<f64>,
    /// Of the quantized: what a sum is multiplied by. For hidden rows, (multiplier, shift).
    scale: Vec<Scale>,
}

#[derive(Clone, Copy)]
enum Scale {
    None,
    Hidden(i16, u16),
    Output(f32),
}

impl Scale {
    fn factor(self) -> f64 {
        match self {
            Scale::None => 1.0,
            Scale::Hidden(multiplier, shift) => f64::from(multiplier) / libm::exp2(16.0 + f64::from(shift)),
            Scale::Output(scale) => f64::from(scale),
        }
    }
}

/// A net: matrices first to last.
struct Net {
    quantized: bool,
    body: Body,
    activation: Activation,
    matrices: Vec<Matrix>,
}

const INVERSE_INPUT_SCALE: f32 = 5000.0;

/// A net of these widths, in values.
fn net(quantized: bool, (body, activation): (Body, Activation), widths: &[usize], noise: &mut Noise) -> Net {
    let last = widths.len() - 2;
    let matrices = widths
        .windows(2)
        .enumerate()
        .map(|(index, ends)| {
            let (inputs, outputs) = (ends[0], ends[1]);
            // tanh gives units of 2^-15, all else is of about 5,000.
            let large = activation == Activation::Tanh && index > 0 && !(index == last && body == Body::Residual);
            let small = u16::from(activation == Activation::Elu);
            let mut weight = || match quantized {
                true => f64::from(noise.integer(127)),
                false => f64::from((noise.next() * 2.0 / libm::sqrt(inputs.max(1) as f64)) as f32),
            };
            let weights = (0..outputs).map(|_| (0..inputs).map(|_| weight()).collect()).collect();
            let bias = (0..outputs).map(|_| match quantized {
                true => f64::from(noise.integer(500_000)),
                false => f64::from(noise.next() as f32),
            });
            let bias = bias.collect();
            let scale = (0..outputs).map(|_| match (quantized, index == last) {
                (false, _) => Scale::None,
                (true, true) => Scale::Output((2e-7 + 1e-7 * noise.next()) as f32 / if large { 4.0 } else { 1.0 }),
                (true, false) => {
                    Scale::Hidden(24_000 + noise.integer(7_000) as i16, 6 + small + if large { 2 } else { 0 })
                }
            });
            Matrix { weights, bias, scale: scale.collect() }
        })
        .collect();
    Net { quantized, body, activation, matrices }
}

/// Bytes at a multiple of four.
struct Image(Vec<u32>);

impl Image {
    fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Net {
    /// The image, where the matrix of an index stores as many columns of each quad of rows as `columns` says.
    fn image(&self, columns: impl Fn(usize, usize) -> usize) -> Image {
        let mut bytes = Vec::new();
        if self.quantized {
            bytes.extend(INVERSE_INPUT_SCALE.to_le_bytes());
        }
        for (index, matrix) in self.matrices.iter().enumerate() {
            let rows = matrix.bias.len().next_multiple_of(4);
            for quad in 0..rows / 4 {
                for column in (0..columns(index, quad)).step_by(4) {
                    for row in 4 * quad..4 * quad + 4 {
                        let at = |column: usize| matrix.weights.get(row).and_then(|row| row.get(column)).copied();
                        let four = [0, 1, 2, 3].map(|offset| at(column + offset).unwrap_or(0.0));
                        if self.quantized {
                            let [w0, w1, w2, w3] = four.map(|weight| (weight as i8).to_le_bytes()[0]);
                            bytes.extend([w0, w2, w1, w3]);
                        } else {
                            bytes.extend(four.iter().flat_map(|weight| (*weight as f32).to_le_bytes()));
                        }
                    }
                }
            }
            for row in 0..rows {
                let bias = matrix.bias.get(row).copied().unwrap_or(0.0);
                let bits = if self.quantized { (bias as i32).to_le_bytes() } else { (bias as f32).to_le_bytes() };
                bytes.extend(bits);
            }
            for scale in (0..rows).map(|row| matrix.scale.get(row).or(matrix.scale.first()).copied()) {
                match scale {
                    Some(Scale::Hidden(multiplier, shift)) => {
                        bytes.extend(multiplier.to_le_bytes());
                        bytes.extend(shift.to_le_bytes());
                    }
                    Some(Scale::Output(scale)) => bytes.extend(scale.to_le_bytes()),
                    _ => {}
                }
            }
        }
        let words = bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().expect("multiples of four")));
        Image(words.collect())
    }

    fn dense_image(&self) -> Image {
        self.image(|index, _| self.matrices[index].weights.first().map_or(0, Vec::len))
    }

    fn shape(&self) -> Shape {
        let outputs = |index: usize| self.matrices[index].bias.len().div_ceil(4);
        Shape {
            inputs: self.matrices[0].weights.first().map_or(0, Vec::len).div_ceil(4),
            hidden: outputs(0),
            deep: self.matrices.len() - 2,
            outputs: outputs(self.matrices.len() - 1),
            body: self.body,
            activation: self.activation,
        }
    }
}

/// What the net says in real numbers, in f64.
struct Reference<'a> {
    net: &'a Net,
    /// Of what the activation takes and gives, and of the inputs.
    units: [f64; 3],
}

impl<'a> Reference<'a> {
    fn new(net: &'a Net) -> Self {
        let units = match (net.quantized, net.activation) {
            (false, _) => [1.0; 3],
            // Any will do for ReLU.
            (true, Activation::Relu | Activation::Elu) => [1.0 / 2048.0, 1.0 / 2048.0, 1.0 / 5000.0],
            (true, Activation::Tanh) => [1.0 / 4096.0, 1.0 / 32768.0, 1.0 / 5000.0],
        };
        Self { net, units }
    }

    /// A matrix from values in one unit to values in another.
    fn matrix(&self, index: usize, from: f64, to: f64, input: &[f64]) -> Vec<f64> {
        let matrix = &self.net.matrices[index];
        let last = index + 1 == self.net.matrices.len();
        let row = |(weights, (bias, scale)): (&Vec<f64>, (&f64, &Scale))| {
            let sum = weights.iter().zip(input).fold(*bias, |sum, (weight, input)| sum + weight * input / from);
            let value = sum * scale.factor() * to;
            if last { value } else { self.saturate(value, to) }
        };
        matrix.weights.iter().zip(matrix.bias.iter().zip(&matrix.scale)).map(row).collect()
    }

    /// Within an int16.
    fn saturate(&self, value: f64, unit: f64) -> f64 {
        if self.net.quantized { value.clamp(-32767.0 * unit, 32767.0 * unit) } else { value }
    }

    fn activate(&self, values: &[f64]) -> Vec<f64> {
        let value = |value: f64| match self.net.activation {
            Activation::Relu => value.max(0.0),
            Activation::Elu if value > 0.0 => value,
            Activation::Elu => libm::expm1(value),
            Activation::Tanh => libm::tanh(value),
        };
        values.iter().map(|it| value(*it)).collect()
    }

    fn outputs(&self, input: &[f32]) -> Vec<f64> {
        let (deep, [takes, gives, inputs]) = (self.net.matrices.len() - 2, self.units);
        let input: Vec<f64> = input.iter().map(|value| f64::from(*value)).collect();
        let first = self.matrix(0, inputs, takes, &input);
        match self.net.body {
            Body::Plain => {
                let mut h = self.activate(&first);
                for index in 1..=deep {
                    h = self.activate(&self.matrix(index, gives, takes, &h));
                }
                self.matrix(deep + 1, gives, 1.0, &h)
            }
            Body::Residual => {
                let mut stream = first;
                for index in (1..=deep).step_by(2) {
                    let a = self.activate(&self.matrix(index, gives, takes, &self.activate(&stream)));
                    for (stream, added) in stream.iter_mut().zip(self.matrix(index + 1, gives, takes, &a)) {
                        *stream = self.saturate(*stream + added, takes);
                    }
                }
                self.matrix(deep + 1, takes, 1.0, &stream)
            }
            Body::Gated => {
                let mut h = self.activate(&first);
                for index in (1..=deep).step_by(2) {
                    let units = self.activate(&self.matrix(index, gives, takes, &h));
                    let gates = self.matrix(index + 1, gives, if self.net.quantized { 1.0 / 4096.0 } else { 1.0 }, &h);
                    h = units.iter().zip(gates).map(|(unit, gate)| unit / (1.0 + libm::exp(-gate))).collect();
                }
                self.matrix(deep + 1, gives, 1.0, &h)
            }
        }
    }
}

fn outputs<T: crate::Real>(net: &impl Evaluate<T>, input: &[T], context: &[T]) -> Vec<T> {
    let mut found = Vec::new();
    net.evaluate(input, context, |quad| found.extend(quad));
    found
}

/// A dense net's outputs; typed and viewed are the same to the bit.
fn dense_outputs<N>(net: &Net, input: &[f32]) -> (Vec<f32>, Vec<f64>)
where
    N: Conditioner + Evaluate<f32> + Evaluate<f64> + FromBytes,
{
    let image = net.dense_image();
    let bytes = image.bytes();
    assert_eq!(N::RECORD.size(), bytes.len());
    let typed = N::read_from_bytes(bytes).expect("of this size");
    let single = outputs(&typed, input, &[]);
    let double: Vec<f64> = input.iter().map(|value| f64::from(*value)).collect();
    let double = outputs(&typed, &double, &[]);
    let viewed = if net.quantized {
        let (view, rest) = Int8View::from_prefix(bytes, net.shape()).expect("large enough");
        assert!(rest.is_empty());
        outputs(&view, input, &[])
    } else {
        let (view, rest) = FloatView::from_prefix(bytes, net.shape()).expect("large enough");
        assert!(rest.is_empty());
        outputs(&view, input, &[])
    };
    assert_eq!(single, viewed);
    (single, double)
}

macro_rules! dense {
    ($($style:ty, $deep:literal);* $(;)?) => {
        [$((
            <$style as super::Style>::BODY,
            <$style as super::Style>::ACTIVATION,
            $deep,
            [
                dense_outputs::<Float<2, 3, $deep, 2, $style>> as fn(&Net, &[f32]) -> (Vec<f32>, Vec<f64>),
                dense_outputs::<Int8<2, 3, $deep, 2, $style>>,
            ],
        )),*]
    };
}

#[test]
fn every_body_and_activation_computes_what_its_matrices_say() {
    let cases = dense![
        Plain, 0; Plain<Elu>, 0; Plain<Tanh>, 0; Plain, 1; Plain<Elu>, 1; Plain<Tanh>, 1; Plain<Relu>, 3;
        Residual, 0; Residual, 2; Residual<Elu>, 2; Residual<Tanh>, 2; Residual, 4; Residual<Tanh>, 4;
        Gated<Tanh>, 0; Gated, 2; Gated<Elu>, 2; Gated<Tanh>, 2; Gated<Relu>, 4; Gated<Elu>, 4;
    ];
    let mut noise = Noise(1);
    for (body, activation, deep, [float, int8]) in cases {
        let widths: Vec<usize> = [7].into_iter().chain(vec![12; deep + 1]).chain([8]).collect();
        for (quantized, evaluate) in [(false, float), (true, int8)] {
            let name = std::format!("{body:?} {activation:?} {deep} {quantized}");
            let (mut largest, mut worst) = (0.0_f64, 0.0_f64);
            for _ in 0..40 {
                let net = net(quantized, (body, activation), &widths, &mut noise);
                let input = noise.values(7, 1.5);
                let (single, double) = evaluate(&net, &input);
                for ((single, double), expected) in single.iter().zip(double).zip(Reference::new(&net).outputs(&input))
                {
                    assert!((f64::from(*single) - double).abs() <= 1e-5 * (1.0 + expected.abs()), "{name}: {single}");
                    largest = largest.max(expected.abs());
                    worst = worst.max((double - expected).abs());
                }
            }
            // Of its largest outputs, a quantized net is off by less than a thousandth.
            let bound = if quantized { 1e-3 } else { 1e-14 };
            assert!(largest > 0.1 && worst < bound * largest, "{name}: off by {worst} of {largest}");
        }
    }
}

#[test]
fn descriptions_name_body_and_activation() {
    let describe = |record: &crate::schema::Record| -> String {
        let mut buffer = [0; 300];
        let mut text = crate::text::Text::new(&mut buffer);
        record.describe(&mut text);
        text.as_str().into()
    };
    assert_eq!(
        describe(&Float::<1, 2, 4, 3, Residual<Elu>>::RECORD),
        "Float(inputs:1,hidden:2,deep:4,outputs:3,activation:Elu,body:Residual)"
    );
    assert_eq!(
        describe(&<Int8<1, 2, 0, 3> as Conditioner>::RECORD),
        "Int8(inputs:1,hidden:2,deep:0,outputs:3,activation:Relu,body:Plain,packing:Block0213,requantization:Multiply16Shift)"
    );
    assert_eq!(
        describe(&<MaskedInt8<8, 0, 1, 2, 2, 8, 1, 4, 11, 37, 20> as MaskedConditioner>::RECORD),
        "MaskedInt8(features:8,context:0,lowest:1,hidden:8,deep:1,stride:2,activation:Relu,body:Plain,packing:Block0213,requantization:Multiply16Shift)"
    );
    assert_eq!(<Int8<2, 3, 1, 2> as Conditioner>::RECORD.scratch, 8 * (2 + 2 * 3));
    assert_eq!(<Float<2, 3, 2, 2, Gated> as Conditioner>::RECORD.scratch, 16 * (2 + 3 * 3));
}

/// The masked net of a shape, twice: as dense matrices with zeros where the masks have them, and as an image whose
/// padding is `hostile`.
fn masked(quantized: bool, shape: MaskedShape, hostile: f64, noise: &mut Noise) -> (Net, Image) {
    let MaskedShape { features, context, hidden, deep, stride, body, activation, .. } = shape;
    let masks = shape.masks();
    // All features are inputs of the dense one: no row sees the last.
    let widths: Vec<usize> = [(context + features).next_multiple_of(4)]
        .into_iter()
        .chain(vec![4 * hidden; deep + 1])
        .chain([features * stride])
        .collect();
    let mut net = net(quantized, (body, activation), &widths, noise);
    let degree = |unit: usize| masks.degree(unit / 4);
    let (last, mut padded) = (deep + 1, Vec::new());
    for (index, matrix) in net.matrices.iter_mut().enumerate() {
        let mut with_padding = matrix.clone();
        for (row, (weights, padded)) in matrix.weights.iter_mut().zip(&mut with_padding.weights).enumerate() {
            for (column, (weight, padded)) in weights.iter_mut().zip(padded).enumerate() {
                let sees = match index {
                    0 => column < context || column - context < degree(row),
                    _ if index == last => degree(column) <= row / stride,
                    _ => degree(column) <= degree(row),
                };
                if !sees {
                    (*weight, *padded) = (0.0, hostile);
                }
            }
        }
        padded.push(with_padding);
    }
    let columns = |index: usize, quad: usize| match index {
        0 => context + masks.degree(quad),
        _ if index == last => 4 * masks.quads(((4 * quad + 3) / stride).min(features - 1)),
        _ => 4 * masks.quads(masks.degree(quad)),
    };
    let padded = Net { quantized, body, activation, matrices: padded };
    let image = padded.image(columns);
    (net, image)
}

/// What a masked net gives for each feature of x.
fn walked<T: crate::Real>(net: &impl Autoregress<T>, context: &[T], x: &[T]) -> Vec<Vec<T>> {
    let mut found = Vec::new();
    net.walk(context, |feature, parameters| {
        assert_eq!(feature, found.len());
        found.push(parameters.to_vec());
        x[feature]
    });
    found
}

fn masked_outputs(quantized: bool, shape: MaskedShape, image: &Image, context: &[f32], x: &[f32]) -> Vec<Vec<f32>> {
    if quantized {
        let (net, rest) = MaskedInt8View::from_prefix(image.bytes(), shape).expect("large enough");
        assert!(rest.is_empty());
        walked(&net, context, x)
    } else {
        let (net, rest) = MaskedFloatView::from_prefix(image.bytes(), shape).expect("large enough");
        assert!(rest.is_empty());
        walked(&net, context, x)
    }
}

/// Masked nets of many shapes, both number formats, all bodies and activations.
fn shapes() -> Vec<(bool, MaskedShape)> {
    let mut shapes = Vec::new();
    for (features, context, lowest, stride, hidden) in [
        (1, 0, 0, 1, 1),
        (1, 0, 0, 2, 0),
        (1, 3, 0, 4, 2),
        (2, 0, 1, 2, 1),
        (3, 0, 1, 1, 2),
        (3, 2, 0, 2, 3),
        (4, 1, 0, 12, 5),
        (5, 0, 1, 2, 4),
        (5, 5, 0, 1, 6),
        (6, 0, 1, 1, 9),
        (7, 4, 0, 2, 7),
        // Fewer units than degrees.
        (9, 0, 1, 2, 3),
        (9, 0, 0, 8, 9),
        (16, 0, 1, 2, 8),
    ] {
        for (body, activation) in styles() {
            for deep in if body == Body::Plain { [0, 1, 3] } else { [0, 2, 4] } {
                let shape = MaskedShape { features, context, lowest, stride, hidden, deep, body, activation };
                shapes.extend([(false, shape), (true, shape)]);
            }
        }
    }
    shapes
}

#[test]
fn masked_nets_are_dense_nets_with_zeros() {
    let mut noise = Noise(2);
    let (mut live, mut all) = (0, 0);
    for (quantized, shape) in shapes() {
        // Zeros leave a sum's bits as they are.
        let hostile = if quantized { -128.0 } else { 1e30 };
        let (net, image) = masked(quantized, shape, hostile, &mut noise);
        let dense_image = net.dense_image();
        for _ in 0..4 {
            let (context, x) = (noise.values(shape.context, 2.0), noise.values(shape.features, 2.0));
            let found = masked_outputs(quantized, shape, &image, &context, &x);
            let expected = if quantized {
                let (dense, _) = Int8View::from_prefix(dense_image.bytes(), net.shape()).expect("large enough");
                outputs(&dense, &context, &x)
            } else {
                let (dense, _) = FloatView::from_prefix(dense_image.bytes(), net.shape()).expect("large enough");
                outputs(&dense, &context, &x)
            };
            assert_eq!(found.len(), shape.features);
            assert!(found.iter().all(|parameters| parameters.len() == shape.stride));
            assert_eq!(found.concat(), expected[..shape.features * shape.stride], "{shape:?} {quantized}");
            live += found.concat().iter().filter(|output| output.abs() > 0.05).count();
            all += shape.features * shape.stride;
        }
    }
    assert!(live > all * 3 / 4, "dead units would test nothing: {live} of {all}");
}

#[test]
fn outputs_depend_on_the_features_before_them_and_on_no_others() {
    let mut noise = Noise(3);
    let (mut moved, mut kept) = (0, 0);
    for (quantized, shape) in shapes() {
        let hostile = if quantized { 127.0 } else { -1e30 };
        let (_, image) = masked(quantized, shape, hostile, &mut noise);
        let context = noise.values(shape.context, 2.0);
        let x = noise.values(shape.features, 2.0);
        let here = masked_outputs(quantized, shape, &image, &context, &x);
        for changed in 0..shape.features {
            for value in [x[changed] + 1.0, f32::MAX, f32::NEG_INFINITY, f32::NAN] {
                let mut other = x.clone();
                other[changed] = value;
                let there = masked_outputs(quantized, shape, &image, &context, &other);
                assert_eq!(here[..=changed], there[..=changed], "{shape:?} {quantized}: {changed}");
                for (feature, (here, there)) in here.iter().zip(&there).enumerate().skip(changed + 1) {
                    let sees = changed < shape.masks().visible(feature);
                    assert!(sees || here == there, "{shape:?} {quantized}: {feature} of {changed}");
                    *if here == there { &mut kept } else { &mut moved } += usize::from(sees);
                }
            }
        }
        for value in 0..shape.context {
            let mut other = context.clone();
            other[value] += 1.0;
            moved += usize::from(here != masked_outputs(quantized, shape, &image, &other, &x));
        }
    }
    std::println!("{moved} outputs moved, {kept} did not");
    assert!(moved > 8 * kept, "{moved} outputs moved, {kept} did not");
}

#[test]
fn both_directions_of_a_walk_give_the_same_bits() {
    fn check(net: &impl Autoregress<f32>, context: &[f32], base: &[f32]) {
        let (mut made, mut outputs) = (Vec::new(), Vec::new());
        net.walk(context, |feature, parameters| {
            let x = base[feature] + parameters.iter().sum::<f32>();
            made.push(x);
            outputs.push(parameters.to_vec());
            x
        });
        assert_eq!(walked(net, context, &made), outputs);
    }

    let mut noise = Noise(4);
    for (quantized, shape) in shapes() {
        let (_, image) = masked(quantized, shape, 1.0, &mut noise);
        let (context, base) = (noise.values(shape.context, 2.0), noise.values(shape.features, 2.0));
        if quantized {
            let (net, _) = MaskedInt8View::from_prefix(image.bytes(), shape).expect("large enough");
            check(&net, &context, &base);
        } else {
            let (net, _) = MaskedFloatView::from_prefix(image.bytes(), shape).expect("large enough");
            check(&net, &context, &base);
        }
    }
}

/// The typed net gives the bits of the view, and costs what its record says.
fn check_typed<N>(quantized: bool, shape: MaskedShape, noise: &mut Noise)
where
    N: MaskedConditioner + Autoregress<f32> + FromBytes,
{
    let (_, image) = masked(quantized, shape, 3.0, noise);
    assert_eq!(N::RECORD.size(), image.bytes().len(), "{shape:?}");
    assert_eq!((N::FEATURES, N::CONTEXT, N::STRIDE), (shape.features, shape.context, shape.stride));
    assert_eq!(N::MASKS, shape.masks());
    assert_eq!(N::RECORD.macs, shape.macs());
    let stored: usize = N::RECORD.fields.iter().map(weights).sum();
    assert_eq!(N::RECORD.macs, stored, "every stored weight is multiplied once");
    let typed = N::read_from_bytes(image.bytes()).expect("of this size");
    for far in [2.0, 1e6] {
        let (context, x) = (noise.values(shape.context, far), noise.values(shape.features, far));
        let viewed = masked_outputs(quantized, shape, &image, &context, &x);
        assert_eq!(walked(&typed, &context, &x), viewed, "{shape:?} {quantized}");
        // Missing context is 0, more of it is ignored.
        let longer: Vec<f32> = context.iter().copied().chain([5.0; 3]).collect();
        assert_eq!(walked(&typed, &longer, &x), viewed, "{shape:?} {quantized}");
        assert_eq!(walked(&typed, &[], &x), walked(&typed, &vec![0.0; shape.context], &x));
    }
}

fn weights(field: &Field) -> usize {
    match field {
        Field::Nested { times, record } => times * record.fields.iter().map(weights).sum::<usize>(),
        Field::Data { name: "weights", count, .. } => *count,
        Field::Data { .. } | Field::Flows { .. } => 0,
    }
}

#[test]
fn typed_masked_nets_are_their_views() {
    let mut noise = Noise(5);
    macro_rules! check {
        ($($d:literal, $c:literal, $lowest:literal, $stride:literal, $hidden:literal, $deep:literal, $style:ty;)*) => {$({
            const SHAPE: MaskedShape = MaskedShape {
                features: $d,
                context: $c,
                lowest: $lowest,
                stride: $stride,
                hidden: $hidden,
                deep: $deep,
                body: <$style as super::Style>::BODY,
                activation: <$style as super::Style>::ACTIVATION,
            };
            const INPUTS: usize = SHAPE.inputs();
            const OUTPUTS: usize = SHAPE.outputs();
            const BLOCKS: [usize; 3] = [SHAPE.first_blocks(), SHAPE.inner_blocks(), SHAPE.last_blocks()];
            check_typed::<MaskedFloat<
                $d, $c, $lowest, $stride, INPUTS, $hidden, $deep, OUTPUTS, { BLOCKS[0] }, { BLOCKS[1] }, { BLOCKS[2] }, $style,
            >>(false, SHAPE, &mut noise);
            check_typed::<MaskedInt8<
                $d, $c, $lowest, $stride, INPUTS, $hidden, $deep, OUTPUTS, { BLOCKS[0] }, { BLOCKS[1] }, { BLOCKS[2] }, $style,
            >>(true, SHAPE, &mut noise);
        })*};
    }
    check! {
        1, 0, 0, 2, 1, 0, Plain;
        1, 4, 0, 8, 2, 2, Gated;
        2, 0, 1, 1, 1, 1, Plain<Tanh>;
        3, 2, 0, 2, 4, 2, Residual<Elu>;
        5, 0, 1, 2, 6, 1, Plain<Relu>;
        5, 3, 0, 12, 6, 4, Residual;
        8, 0, 1, 2, 8, 2, Gated<Tanh>;
        9, 1, 0, 1, 5, 2, Residual<Tanh>;
    }
}

#[test]
fn accumulators_of_masked_nets_do_not_overflow() {
    let shape = MaskedShape {
        features: 2,
        context: 511,
        lowest: 0,
        stride: 4,
        hidden: 128,
        deep: 2,
        body: Body::Residual,
        activation: Activation::Relu,
    };
    assert!(shape.is_possible() && !MaskedShape { context: 512, ..shape }.is_possible());
    for (fields, inputs) in masked_int8::matrix_fields(shape).iter().zip([shape.inputs(), 128, 128]) {
        let [_, Field::Data { name: "bias", rule: Rule::Within(limit), .. }, _] = fields else { panic!("{fields:?}") };
        assert!(i64::from(*limit) + 4 * 128 * 32767 * inputs as i64 <= i64::from(i32::MAX), "{limit} for {inputs}");
    }
}

#[test]
fn impossible_shapes_are_refused() {
    let dense = Shape { inputs: 1, hidden: 1, deep: 2, outputs: 1, body: Body::Gated, activation: Activation::Elu };
    let masked = MaskedShape {
        features: 3,
        context: 1,
        lowest: 1,
        stride: 2,
        hidden: 2,
        deep: 2,
        body: Body::Residual,
        activation: Activation::Relu,
    };
    assert!(dense.is_possible() && masked.is_possible());
    for shape in [
        Shape { deep: 3, ..dense },
        Shape { deep: 66, ..dense },
        Shape { inputs: 129, ..dense },
        Shape { hidden: 129, ..dense },
        Shape { hidden: usize::MAX, ..dense },
    ] {
        assert!(FloatView::from_prefix(&[], shape).is_none() && !shape.is_possible(), "{shape:?}");
        assert!(Int8View::from_prefix(&[], shape).is_none());
    }
    for shape in [
        MaskedShape { lowest: 3, ..masked },
        MaskedShape { features: 0, lowest: 0, ..masked },
        MaskedShape { features: usize::MAX, ..masked },
        MaskedShape { context: usize::MAX, ..masked },
        MaskedShape { stride: 0, ..masked },
        MaskedShape { stride: 3, ..masked },
        MaskedShape { stride: 6, ..masked },
        MaskedShape { stride: usize::MAX - 3, ..masked },
        MaskedShape { deep: 1, ..masked },
        MaskedShape { hidden: 129, ..masked },
    ] {
        assert!(MaskedFloatView::from_prefix(&[], shape).is_none() && !shape.is_possible(), "{shape:?}");
        assert!(MaskedInt8View::from_prefix(&[], shape).is_none());
    }
}
