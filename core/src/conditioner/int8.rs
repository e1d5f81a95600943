//! The quantized conditioner: int8 weights with a scale for each row, int16 activations, int32 accumulators.
//!
//! A value v is stored as an integer q with v ≈ scale · q. With activations q_a of scale s_a, weights q_w of scale s_w
//! (its row's) and a bias already in units of s_a · s_w, a row's accumulator
//!
//! > acc = bias + Σ q_w · q_a
//!
//! is exact: [`WIDEST`] bounds the fan-in so that no int32 overflows. A hidden unit becomes the next activation by
//! [`Requantization`], in integers; an output is acc · (s_a · s_w), the first floating-point operation.
//!
//! **Scales of units.** ReLU keeps whatever scale its argument has. ELU takes and gives units of 2^-11, tanh takes units of
//! 2^-12 and gives units of 2^-15, gates take units of 2^-12: the requantizations of the rows before them have to lead
//! there. These functions are integer tables (largest errors: ELU 4e-4, tanh 2e-4, sigmoid 8e-5). A gated unit keeps the
//! scale that it has without its gate: `(unit · gate + 2^14) >> 15`, the gate in units of 2^-15. The stream of a residual
//! body has the scale that its activation takes; with ReLU, any one. What is added to it saturates.
//!
//! **Order of the weights.** Blocks of four rows by four columns, rows of blocks in order. Within a block a row's four
//! weights are stored [w0, w2, w1, w3]: a Cortex-M4's SXTB16 then unpacks the word to (w0, w1), and rotated by 8 to
//! (w2, w3), which meet the activations as they lie in memory.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::hidden::{self, Four, Hidden, Matrix, Outputs, Quad, Scratch, each, with_scratch};
use super::style::check_pairs;
use super::{Activation, Conditioner, Evaluate, Plain, Shape, Style, WIDEST, check_width, fill, kernel, table};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// Four rows by four columns of weights, each row in the order [w0, w2, w1, w3].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C, align(4))]
pub struct Block(pub [[i8; 4]; 4]);

impl Block {
    /// The block of a 4 x 4 matrix in natural order.
    #[must_use]
    pub fn pack(rows: [[i8; 4]; 4]) -> Self {
        Self(rows.map(|[w0, w1, w2, w3]| [w0, w2, w1, w3]))
    }
}

/// The factor from an accumulator to the next activation: multiplier / 2^(16 + shift).
///
/// In integers, and without a 64-bit product, so that a Cortex-M0 does it in a few instructions:
/// `((acc · multiplier) >> 16)`, rounded shift by `shift`, clamped to an int16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C, align(4))]
pub struct Requantization {
    /// Between 2^14 and 2^15 - 1, so that 15 bits of the factor count; or 0.
    pub multiplier: i16,
    /// 0 to 31.
    pub shift: u16,
}

impl Requantization {
    /// The nearest to a positive `factor`; `None` for one above 32767/65536, not finite, or not positive.
    #[must_use]
    pub fn nearest(factor: f64) -> Option<Self> {
        if !(factor > 0.0 && factor <= 32767.0 / 65536.0) {
            return None;
        }
        let mut scaled = factor * 65536.0;
        let mut shift = 0;
        while scaled < 16384.0 && shift < 31 {
            scaled *= 2.0;
            shift += 1;
        }
        // Rounding can only reach 32768 from below 32768, and then the next exponent holds it exactly.
        let rounded = libm::round(scaled);
        if rounded > 32767.0 {
            return Some(Self { multiplier: 16384, shift: shift - 1 });
        }
        Some(Self { multiplier: rounded as i16, shift })
    }

    /// The next activation, with ReLU: 0 to 32767.
    #[inline(always)]
    #[must_use]
    pub fn relu(self, accumulator: i32) -> i16 {
        self.scaled(accumulator).clamp(0, 32767) as i16
    }

    /// The value at the next scale, of either sign: -32767 to 32767.
    #[inline(always)]
    #[must_use]
    pub fn signed(self, accumulator: i32) -> i16 {
        self.scaled(accumulator).clamp(-32767, 32767) as i16
    }

    #[inline(always)]
    fn scaled(self, accumulator: i32) -> i32 {
        let multiplier = i32::from(self.multiplier);
        let high = (accumulator >> 16).wrapping_mul(multiplier);
        let low = (accumulator & 0xFFFF).wrapping_mul(multiplier) as u32 >> 16;
        let product = high.wrapping_add(low as i32);
        let shift = u32::from(self.shift);
        let half = (1_u32.wrapping_shl(shift) >> 1) as i32;
        product.wrapping_add(half).wrapping_shr(shift)
    }
}

/// One fully connected layer of IN quads to OUT quads, with a scale of type `S` for each row.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Dense<S, const IN: usize, const OUT: usize> {
    /// Blocks, a row of blocks after the other.
    pub weights: [[Block; IN]; OUT],
    /// In units of the accumulators.
    pub bias: [[i32; 4]; OUT],
    /// From accumulators to the next activations, or to the outputs.
    pub scale: [[S; 4]; OUT],
}

/// Rows of a matrix, on slices: those that are still to be taken.
#[derive(Clone, Copy, Debug)]
pub struct DenseView<'a, S> {
    pub(super) weights: &'a [Block],
    pub(super) bias: &'a [[i32; 4]],
    pub(super) scale: &'a [[S; 4]],
}

impl<S, const IN: usize, const OUT: usize> Dense<S, IN, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_, S> {
        DenseView { weights: self.weights.as_flattened(), bias: &self.bias, scale: &self.scale }
    }
}

impl<const IN: usize, const OUT: usize> Dense<Requantization, IN, OUT> {
    /// This layer alone, with ReLU: the next activations.
    pub fn rectified(&self, input: &[Quad<i16>; IN], units: &mut [Quad<i16>; OUT]) {
        Hidden::<f32>::activated_rows(&mut self.view(), Activation::Relu, input, units);
    }
}

impl<'a, S: FromBytes + Immutable> DenseView<'a, S> {
    /// The matrix of as many blocks at the start of `bytes`, and the bytes behind it; `None` when they are too few or not
    /// 4-aligned.
    pub(super) fn from_prefix(bytes: &'a [u8], blocks: usize, outputs: usize) -> Option<(Self, &'a [u8])> {
        let (weights, bytes) = <[Block]>::ref_from_prefix_with_elems(bytes, blocks).ok()?;
        let (bias, bytes) = <[[i32; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        let (scale, bytes) = <[[S; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        Some((Self { weights, bias, scale }, bytes))
    }

    /// `times` matrices of as many blocks at the start of `bytes`, not yet told apart, and the bytes behind them.
    pub(super) fn several(
        bytes: &'a [u8],
        times: usize,
        blocks: usize,
        outputs: usize,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let row = size_of::<[i32; 4]>() + size_of::<[S; 4]>();
        bytes.split_at_checked(times * (blocks * size_of::<Block>() + outputs * row))
    }

    /// The matrices in `bytes`, in order.
    pub(super) fn split(bytes: &'a [u8], blocks: usize, outputs: usize) -> impl Iterator<Item = Self> {
        let mut rest = bytes;
        core::iter::from_fn(move || {
            let (matrix, behind) = Self::from_prefix(rest, blocks, outputs).filter(|_| !rest.is_empty())?;
            rest = behind;
            Some(matrix)
        })
    }
}

impl<T, S: Copy> Matrix<T> for DenseView<'_, S> {
    type Unit = i16;
    type Sum = i32;
    type Scale = S;

    #[inline(always)]
    fn skip(&mut self, quads: usize, blocks: usize) {
        self.bias = self.bias.get(quads..).unwrap_or_default();
        self.scale = self.scale.get(quads..).unwrap_or_default();
        self.weights = self.weights.get(blocks..).unwrap_or_default();
    }

    #[inline(always)]
    fn take(&mut self) -> Option<(Four<i32>, Four<S>)> {
        let ((bias, biases), (scale, scales)) = (self.bias.split_first()?, self.scale.split_first()?);
        (self.bias, self.scale) = (biases, scales);
        Some((*bias, *scale))
    }

    #[inline(always)]
    fn add(&mut self, sums: &mut Four<i32>, input: &[Quad<i16>]) {
        let Some((blocks, rest)) = self.weights.split_at_checked(input.len()) else { return };
        self.weights = rest;
        kernel::add(sums, blocks, input);
    }
}

impl<T> Hidden<T> for DenseView<'_, Requantization> {
    #[inline(always)]
    fn linear(sums: Four<i32>, scales: Four<Requantization>) -> Four<i16> {
        each(sums, scales, |sum, scale| scale.signed(sum))
    }

    #[inline(always)]
    fn activate(activation: Activation, units: Four<i16>) -> Four<i16> {
        match activation {
            Activation::Relu => units.map(|unit| unit.max(0)),
            Activation::Elu => units.map(table::elu),
            Activation::Tanh => units.map(table::tanh),
        }
    }

    #[inline(always)]
    fn activated(activation: Activation, sums: Four<i32>, scales: Four<Requantization>) -> Four<i16> {
        match activation {
            Activation::Relu => each(sums, scales, |sum, scale| scale.relu(sum)),
            _ => <Self as Hidden<T>>::activate(activation, <Self as Hidden<T>>::linear(sums, scales)),
        }
    }

    #[cfg(flowlet_assembly)]
    #[inline(always)]
    fn activated_rows(&mut self, activation: Activation, input: &[Quad<i16>], units: &mut [Quad<i16>]) {
        if activation == Activation::Relu && !input.is_empty() {
            kernel::relu(self.weights, self.bias, self.scale, input, units);
            Matrix::<T>::skip(self, units.len(), units.len() * input.len());
        } else {
            hidden::rows::<T, Self>(self, input, units, |_, sums, scales| {
                <Self as Hidden<T>>::activated(activation, sums, scales)
            });
        }
    }

    #[inline(always)]
    fn plus(units: Four<i16>, others: Four<i16>) -> Four<i16> {
        each(units, others, |unit, other| (i32::from(unit) + i32::from(other)).clamp(-32767, 32767) as i16)
    }

    #[inline(always)]
    fn gate(units: Four<i16>, gates: Four<i16>) -> Four<i16> {
        each(units, gates, |unit, gate| ((i32::from(unit) * i32::from(table::sigmoid(gate)) + (1 << 14)) >> 15) as i16)
    }
}

impl<T: Real> Outputs<T> for DenseView<'_, f32> {
    #[inline(always)]
    fn outputs(sums: Four<i32>, scales: Four<f32>) -> Four<T> {
        each(sums, scales, T::scaled)
    }
}

/// The activation of an input.
#[inline(always)]
pub(super) fn input<T: Real>(value: T, inverse_input_scale: f32) -> i16 {
    value.quantized(inverse_input_scale)
}

/// A quantized net; widths in quads (see [the module above](crate::conditioner)).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Int8<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S = Plain> {
    /// 1 / scale of the input activations; positive.
    pub inverse_input_scale: f32,
    /// Inputs to the first hidden layer.
    pub first: Dense<Requantization, IN, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Dense<Requantization, HIDDEN, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Dense<f32, HIDDEN, OUT>,
    style: PhantomData<S>,
}

/// What one layer stores.
#[must_use]
pub const fn dense_fields(inputs: usize, outputs: usize, scale: Format) -> [Field; 3] {
    block_fields(inputs * outputs, inputs, outputs, scale)
}

/// What a matrix of as many blocks stores, whose rows see `inputs` quads at the most.
#[must_use]
pub const fn block_fields(blocks: usize, inputs: usize, outputs: usize, scale: Format) -> [Field; 3] {
    // What the products of a full row leave of an int32.
    let limit = i32::MAX as u32 - 4 * 128 * 32767 * if inputs < WIDEST { inputs } else { WIDEST } as u32;
    let rule = if matches!(scale, Format::F32) { Rule::Positive } else { Rule::Requantization };
    [
        Field::Data { name: "weights", format: Format::I8, count: 16 * blocks, rule: Rule::Any },
        Field::Data { name: "bias", format: Format::I32, count: 4 * outputs, rule: Rule::Within(limit) },
        Field::Data { name: "scale", format: scale, count: 4 * outputs, rule },
    ]
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: Shape) -> [Parameter; 8] {
    [
        ("inputs", Value::Number(shape.inputs)),
        ("hidden", Value::Number(shape.hidden)),
        ("deep", Value::Number(shape.deep)),
        ("outputs", Value::Number(shape.outputs)),
        ("activation", Value::Word(shape.activation.name())),
        ("body", Value::Word(shape.body.name())),
        PACKING,
        REQUANTIZATION,
    ]
}

/// The order of the weights, which a description names.
pub(super) const PACKING: Parameter = ("packing", Value::Word("Block0213"));
/// How sums become activations, which a description names.
pub(super) const REQUANTIZATION: Parameter = ("requantization", Value::Word("Multiply16Shift"));

/// What the net stores.
#[must_use]
pub const fn fields(shape: Shape, first: &'static Record, inner: &'static Record, last: &'static Record) -> [Field; 4] {
    net_fields(shape.deep, first, inner, last)
}

/// What a net with `deep` inner matrices stores, dense or masked.
pub(super) const fn net_fields(
    deep: usize,
    first: &'static Record,
    inner: &'static Record,
    last: &'static Record,
) -> [Field; 4] {
    [
        Field::Data { name: "inverse_input_scale", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Nested { times: 1, record: first },
        Field::Nested { times: deep, record: inner },
        Field::Nested { times: 1, record: last },
    ]
}

/// The net's record.
#[must_use]
pub const fn record(shape: Shape, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record {
        macs: shape.macs(),
        scratch: size_of::<Quad<i16>>() * shape.scratch(),
        ..Record::stored("Int8", parameters, fields)
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S> Int8<IN, HIDDEN, DEEP, OUT, S> {
    /// A net with these weights.
    #[must_use]
    pub const fn new(
        inverse_input_scale: f32,
        first: Dense<Requantization, IN, HIDDEN>,
        deep: [Dense<Requantization, HIDDEN, HIDDEN>; DEEP],
        last: Dense<f32, HIDDEN, OUT>,
    ) -> Self {
        Self { inverse_input_scale, first, deep, last, style: PhantomData }
    }

    const FIRST: Record = Record::stored("Dense", &[], &const { dense_fields(IN, HIDDEN, Format::Requantization) });
    const INNER: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, HIDDEN, Format::Requantization) });
    const LAST: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, OUT, Format::F32) });
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style>
    Int8<IN, HIDDEN, DEEP, OUT, S>
{
    const SHAPE: Shape =
        Shape { inputs: IN, hidden: HIDDEN, deep: DEEP, outputs: OUT, body: S::BODY, activation: S::ACTIVATION };
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style> Conditioner
    for Int8<IN, HIDDEN, DEEP, OUT, S>
{
    const RECORD: Record = record(
        Self::SHAPE,
        &const { parameters(Self::SHAPE) },
        &const { fields(Self::SHAPE, &Self::FIRST, &Self::INNER, &Self::LAST) },
    );
    const INPUTS: usize = IN;
    const OUTPUTS: usize = OUT;
}

impl<T: Real, const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style> Evaluate<T>
    for Int8<IN, HIDDEN, DEEP, OUT, S>
{
    #[inline(always)]
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        const {
            check_width(IN);
            check_width(HIDDEN);
            check_pairs(S::BODY, DEEP);
        }
        let zero = Quad([0; 4]);
        let mut deep = [[zero; HIDDEN]; DEEP];
        let scratch = Scratch { input: &mut [zero; IN][..], first: &mut [zero; HIDDEN], deep: deep.as_flattened_mut() };
        let matrices = (self.first.view(), self.deep.iter().map(Dense::view), self.last.view());
        evaluate(Self::SHAPE, self.inverse_input_scale, matrices, input, context, scratch, output);
    }
}

/// A quantized net whose shape is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct Int8View<'a> {
    shape: Shape,
    inverse_input_scale: f32,
    first: DenseView<'a, Requantization>,
    deep: &'a [u8],
    last: DenseView<'a, f32>,
}

impl<'a> Int8View<'a> {
    /// The net at the start of `bytes`, and the bytes behind it. `None` when they are too few or not 4-aligned, or when
    /// there is no net of this shape ([`Shape::is_possible`]).
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: Shape) -> Option<(Self, &'a [u8])> {
        let Shape { inputs, hidden, deep, outputs, .. } = shape;
        if !shape.is_possible() {
            return None;
        }
        let (scale, bytes) = f32::ref_from_prefix(bytes).ok()?;
        let (first, bytes) = DenseView::from_prefix(bytes, inputs * hidden, hidden)?;
        let (deep, bytes) = DenseView::<Requantization>::several(bytes, deep, hidden * hidden, hidden)?;
        let (last, bytes) = DenseView::from_prefix(bytes, hidden.checked_mul(outputs)?, outputs)?;
        Some((Self { shape, inverse_input_scale: *scale, first, deep, last }, bytes))
    }
}

impl<T: Real> Evaluate<T> for Int8View<'_> {
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        let Shape { inputs, hidden, deep, .. } = self.shape;
        with_scratch((inputs, hidden, deep), 0, |scratch| {
            let deep = DenseView::split(self.deep, hidden * hidden, hidden);
            let matrices = (self.first, deep, self.last);
            evaluate(self.shape, self.inverse_input_scale, matrices, input, context, scratch, output);
        });
    }
}

/// The whole net: quantize the inputs, then its layers.
#[inline(always)]
fn evaluate<'a, T: Real>(
    shape: Shape,
    inverse_input_scale: f32,
    matrices: (DenseView<'a, Requantization>, impl Iterator<Item = DenseView<'a, Requantization>>, DenseView<'a, f32>),
    values: &[T],
    context: &[T],
    scratch: Scratch<'_, i16>,
    output: impl FnMut([T; 4]),
) {
    fill(scratch.input, values.iter().chain(context), 0, |value| input(*value, inverse_input_scale));
    hidden::evaluate(shape, matrices, scratch, output);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Block, Dense, Evaluate, Int8, Requantization};

    /// As the format document says it, in 64 bits.
    fn relu_by_definition(factor: Requantization, accumulator: i32) -> i16 {
        let product = (i64::from(accumulator) * i64::from(factor.multiplier)) >> 16;
        ((product + (1_i64 << factor.shift >> 1)) >> factor.shift).clamp(0, 32767) as i16
    }

    #[test]
    fn requantization_in_32_bits_is_exact() {
        let accumulators = [0, 1, -1, 0xFFFF, 0x1_0000, -0x1_0000, 1_234_567, -7_654_321, i32::MAX, i32::MIN];
        for multiplier in [0, 1, 2, 16384, 20_000, 32766, 32767] {
            for shift in 0..32 {
                let factor = Requantization { multiplier, shift };
                for near in accumulators {
                    for step in -300..300_i32 {
                        let accumulator = near.wrapping_add(step * 97);
                        let expected = relu_by_definition(factor, accumulator);
                        assert_eq!(factor.relu(accumulator), expected, "{factor:?} of {accumulator}");
                    }
                }
            }
        }
    }

    #[test]
    fn nearest_factors_have_fifteen_bits() {
        for n in 1..3000 {
            let factor = 32767.0 / 65536.0 / f64::from(n).powf(2.3);
            let Requantization { multiplier, shift } = Requantization::nearest(factor).expect("in range");
            let value = f64::from(multiplier) / libm::exp2(16.0 + f64::from(shift));
            assert!((value / factor - 1.0).abs() < 1.0 / 32768.0, "{factor}: {multiplier} >> {shift}");
            assert!(multiplier >= 16384);
        }
        // 32767.6 / 2^17 is nearer to 2^15 / 2^17 than to 32767 / 2^17.
        let up = Requantization::nearest(32767.6 / 131_072.0).expect("in range");
        assert_eq!(up, Requantization { multiplier: 16384, shift: 0 });
        for out_of_range in [0.0, -0.1, 0.5, f64::NAN, f64::INFINITY] {
            assert_eq!(Requantization::nearest(out_of_range), None);
        }
        // Too small for 15 bits: what is left of it.
        assert_eq!(Requantization::nearest(1e-30), Some(Requantization { multiplier: 0, shift: 31 }));
    }

    /// Numbers that look random.
    fn noise(seed: u32) -> impl FnMut(i32) -> i32 {
        let mut state = seed;
        move |limit| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32 % (2 * limit + 1) - limit
        }
    }

    /// A layer's weights as a matrix in natural order, and packed.
    fn weights<const IN: usize, const OUT: usize>(mut next: impl FnMut() -> i8) -> (Vec<Vec<i8>>, [[Block; IN]; OUT]) {
        let matrix: Vec<Vec<i8>> = (0..4 * OUT).map(|_| (0..4 * IN).map(|_| next()).collect()).collect();
        let at = |row: usize, column: usize| -> [i8; 4] { core::array::from_fn(|k| matrix[row][4 * column + k]) };
        let block = |row: usize, column| Block::pack(core::array::from_fn(|k| at(4 * row + k, column)));
        let packed = core::array::from_fn(|row| core::array::from_fn(|column| block(row, column)));
        (matrix, packed)
    }

    #[test]
    fn nets_compute_what_their_matrices_say() {
        let mut noise = noise(1);
        let (first, first_packed) = weights::<2, 3>(|| noise(127) as i8);
        let (inner, inner_packed) = weights::<3, 3>(|| noise(127) as i8);
        let (last, last_packed) = weights::<3, 2>(|| noise(127) as i8);
        let mut bias = || [noise(90_000), noise(90_000), noise(90_000), noise(90_000)];
        let factor = Requantization { multiplier: 25_000, shift: 5 };
        let net: Int8<2, 3, 1, 2> = Int8::new(
            1000.0,
            Dense { weights: first_packed, bias: [bias(), bias(), bias()], scale: [[factor; 4]; 3] },
            [Dense { weights: inner_packed, bias: [bias(), bias(), bias()], scale: [[factor; 4]; 3] }],
            Dense { weights: last_packed, bias: [bias(), bias()], scale: [[0.5; 4]; 2] },
        );
        let dense = |matrix: &[Vec<i8>], bias: &[i32], input: &[i64]| -> Vec<i64> {
            let sum = |row: &Vec<i8>| row.iter().zip(input).map(|(w, a)| i64::from(*w) * a).sum::<i64>();
            matrix.iter().zip(bias).map(|(row, bias)| sum(row) + i64::from(*bias)).collect()
        };
        let hidden = |sums: Vec<i64>| -> Vec<i64> {
            sums.into_iter().map(|sum| i64::from(relu_by_definition(factor, sum as i32))).collect()
        };
        for _ in 0..100 {
            // Five inputs and two of context; the eighth is padding.
            let input: [f32; 5] = core::array::from_fn(|_| noise(5_000) as f32 / 1000.0);
            let context: [f32; 2] = core::array::from_fn(|_| noise(40_000) as f32 / 1000.0);
            let quantized: Vec<i64> =
                input.iter().chain(&context).map(|x| libm::rint(f64::from(x * 1000.0)) as i64).collect();
            let quantized: Vec<i64> = quantized.into_iter().map(|q| q.clamp(-32767, 32767)).chain([0]).collect();
            let a = hidden(dense(&first, net.first.bias.as_flattened(), &quantized));
            let b = hidden(dense(&inner, net.deep[0].bias.as_flattened(), &a));
            assert!(a.iter().chain(&b).any(|a| *a > 100), "dead units would test nothing");
            let expected = dense(&last, net.last.bias.as_flattened(), &b);
            let mut found = Vec::new();
            net.evaluate(&input, &context, |quad: [f32; 4]| found.extend(quad));
            let expected: Vec<f32> = expected.into_iter().map(|sum| sum as i32 as f32 * 0.5).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_widest_layers_do_not_overflow() {
        const LIMIT: i32 = i32::MAX - 4 * 128 * 32767 * 128;
        let keep = Requantization { multiplier: i16::MAX, shift: 0 };
        for (weight, bias) in [(-128_i8, -LIMIT), (127, LIMIT)] {
            let block = Block([[weight; 4]; 4]);
            let net: Int8<1, 128, 0, 1> = Int8::new(
                1e6,
                Dense { weights: [[Block([[127; 4]; 4])]; 128], bias: [[0; 4]; 128], scale: [[keep; 4]; 128] },
                [],
                Dense { weights: [[block; 128]], bias: [[bias; 4]], scale: [[1.0; 4]] },
            );
            let mut found = [0.0; 4];
            net.evaluate(&[1.0_f32; 4], &[], |quad: [f32; 4]| found = quad);
            let expected = i64::from(bias) + 512 * 32767 * i64::from(weight);
            assert_eq!(found, [expected as f32; 4]);
        }
    }
}
