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
//! **Order of the weights.** Blocks of four rows by four columns, rows of blocks in order. Within a block a row's four
//! weights are stored [w0, w2, w1, w3]: a Cortex-M4's SXTB16 then unpacks the word to (w0, w1), and rotated by 8 to
//! (w2, w3), which meet the activations as they lie in memory.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Conditioner, Evaluate, Scratch, Shape, WIDEST, check_width, fill};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// Four activations.
pub type Quad = [i16; 4];

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
#[repr(C)]
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
        let multiplier = i32::from(self.multiplier);
        let high = (accumulator >> 16).wrapping_mul(multiplier);
        let low = (accumulator & 0xFFFF).wrapping_mul(multiplier) as u32 >> 16;
        let product = high.wrapping_add(low as i32);
        let shift = u32::from(self.shift);
        let half = (1_u32.wrapping_shl(shift) >> 1) as i32;
        product.wrapping_add(half).wrapping_shr(shift).clamp(0, 32767) as i16
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

/// The mathematics of a [`Dense`] layer, on slices.
#[derive(Clone, Copy, Debug)]
pub struct DenseView<'a, S> {
    weights: &'a [Block],
    bias: &'a [[i32; 4]],
    scale: &'a [[S; 4]],
}

impl<S, const IN: usize, const OUT: usize> Dense<S, IN, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_, S> {
        DenseView { weights: self.weights.as_flattened(), bias: &self.bias, scale: &self.scale }
    }
}

impl<'a, S: FromBytes + Immutable> DenseView<'a, S> {
    /// The layer at the start of `bytes`, and the bytes behind it; `None` when they are too few or not 4-aligned.
    fn from_prefix(bytes: &'a [u8], inputs: usize, outputs: usize) -> Option<(Self, &'a [u8])> {
        let (weights, bytes) = <[Block]>::ref_from_prefix_with_elems(bytes, inputs * outputs).ok()?;
        let (bias, bytes) = <[[i32; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        let (scale, bytes) = <[[S; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        Some((Self { weights, bias, scale }, bytes))
    }
}

impl<S: Copy> DenseView<'_, S> {
    /// Gives the four accumulators and scales of each quad of rows to `row`, in order.
    #[inline(always)]
    fn accumulate(&self, input: &[Quad], mut row: impl FnMut([i32; 4], [S; 4])) {
        let mut weights = self.weights;
        for (bias, scale) in self.bias.iter().zip(self.scale) {
            let Some((blocks, rest)) = weights.split_at_checked(input.len()) else { return };
            weights = rest;
            let mut accumulators = *bias;
            for (Block(rows), [a0, a1, a2, a3]) in blocks.iter().zip(input) {
                for (accumulator, [w0, w2, w1, w3]) in accumulators.iter_mut().zip(rows) {
                    // Cannot overflow (see `WIDEST`); wrapping says so to the compiler in debug builds too.
                    *accumulator = accumulator
                        .wrapping_add(i32::from(*w0).wrapping_mul(i32::from(*a0)))
                        .wrapping_add(i32::from(*w1).wrapping_mul(i32::from(*a1)))
                        .wrapping_add(i32::from(*w2).wrapping_mul(i32::from(*a2)))
                        .wrapping_add(i32::from(*w3).wrapping_mul(i32::from(*a3)));
                }
            }
            row(accumulators, *scale);
        }
    }
}

impl DenseView<'_, Requantization> {
    #[inline(always)]
    fn hidden(&self, input: &[Quad], output: &mut [Quad]) {
        let mut output = output.iter_mut();
        self.accumulate(input, |accumulators, requantizations| {
            if let Some(output) = output.next() {
                for ((output, accumulator), requantization) in output.iter_mut().zip(accumulators).zip(requantizations)
                {
                    *output = requantization.relu(accumulator);
                }
            }
        });
    }
}

impl DenseView<'_, f32> {
    #[inline(always)]
    fn last<T: Real>(&self, input: &[Quad], mut output: impl FnMut([T; 4])) {
        self.accumulate(input, |[a0, a1, a2, a3], [s0, s1, s2, s3]| {
            let value = |accumulator, scale| T::from_i32(accumulator) * T::from_f32(scale);
            output([value(a0, s0), value(a1, s1), value(a2, s2), value(a3, s3)]);
        });
    }
}

/// A quantized net; widths in quads (see [the module above](crate::conditioner)).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Int8<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> {
    /// 1 / scale of the input activations; positive.
    pub inverse_input_scale: f32,
    /// Inputs to the first hidden layer.
    pub first: Dense<Requantization, IN, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Dense<Requantization, HIDDEN, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Dense<f32, HIDDEN, OUT>,
}

/// What one layer stores.
#[must_use]
pub const fn dense_fields(inputs: usize, outputs: usize, scale: Format) -> [Field; 3] {
    // What the products of a full row leave of an int32.
    let limit = i32::MAX as u32 - 4 * 128 * 32767 * if inputs < WIDEST { inputs } else { WIDEST } as u32;
    let rule = if matches!(scale, Format::F32) { Rule::Positive } else { Rule::Requantization };
    [
        Field::Data { name: "weights", format: Format::I8, count: 16 * inputs * outputs, rule: Rule::Any },
        Field::Data { name: "bias", format: Format::I32, count: 4 * outputs, rule: Rule::Within(limit) },
        Field::Data { name: "scale", format: scale, count: 4 * outputs, rule },
    ]
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: Shape) -> [Parameter; 7] {
    [
        ("inputs", Value::Number(shape.inputs)),
        ("hidden", Value::Number(shape.hidden)),
        ("deep", Value::Number(shape.deep)),
        ("outputs", Value::Number(shape.outputs)),
        ("activation", Value::Word("Relu")),
        ("packing", Value::Word("Block0213")),
        ("requantization", Value::Word("Multiply16Shift")),
    ]
}

/// What the net stores.
#[must_use]
pub const fn fields(shape: Shape, first: &'static Record, inner: &'static Record, last: &'static Record) -> [Field; 4] {
    [
        Field::Data { name: "inverse_input_scale", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Nested { times: 1, record: first },
        Field::Nested { times: shape.deep, record: inner },
        Field::Nested { times: 1, record: last },
    ]
}

/// The net's record.
#[must_use]
pub const fn record(shape: Shape, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    let Shape { inputs, hidden, .. } = shape;
    Record {
        macs: shape.macs(),
        scratch: size_of::<Quad>() * (inputs + 2 * hidden),
        ..Record::stored("Int8", parameters, fields)
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Int8<IN, HIDDEN, DEEP, OUT> {
    const SHAPE: Shape = Shape { inputs: IN, hidden: HIDDEN, deep: DEEP, outputs: OUT };
    const FIRST: Record = Record::stored("Dense", &[], &const { dense_fields(IN, HIDDEN, Format::Requantization) });
    const INNER: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, HIDDEN, Format::Requantization) });
    const LAST: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, OUT, Format::F32) });
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Conditioner
    for Int8<IN, HIDDEN, DEEP, OUT>
{
    const RECORD: Record = record(
        Self::SHAPE,
        &const { parameters(Self::SHAPE) },
        &const { fields(Self::SHAPE, &Self::FIRST, &Self::INNER, &Self::LAST) },
    );
    const INPUTS: usize = IN;
    const OUTPUTS: usize = OUT;
}

impl<T: Real, const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Evaluate<T>
    for Int8<IN, HIDDEN, DEEP, OUT>
{
    #[inline(always)]
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        const {
            check_width(IN);
            check_width(HIDDEN);
        }
        let deep = self.deep.iter().map(Dense::view);
        let scratch = Scratch { input: &mut [[0; 4]; IN][..], from: &mut [[0; 4]; HIDDEN], to: &mut [[0; 4]; HIDDEN] };
        let layers = (self.first.view(), deep, self.last.view());
        evaluate(self.inverse_input_scale, layers, input, context, scratch, output);
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
    /// the shape is wider than [`WIDEST`].
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: Shape) -> Option<(Self, &'a [u8])> {
        let Shape { inputs, hidden, deep, outputs } = shape;
        if inputs > WIDEST || hidden > WIDEST {
            return None;
        }
        let (scale, bytes) = f32::ref_from_prefix(bytes).ok()?;
        let (first, bytes) = DenseView::from_prefix(bytes, inputs, hidden)?;
        let (deep, bytes) = bytes.split_at_checked(deep * hidden * (hidden + 2) * size_of::<Block>())?;
        let (last, bytes) = DenseView::from_prefix(bytes, hidden, outputs)?;
        Some((Self { shape, inverse_input_scale: *scale, first, deep, last }, bytes))
    }
}

impl<T: Real> Evaluate<T> for Int8View<'_> {
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        let Shape { inputs, hidden, .. } = self.shape;
        let mut rest = self.deep;
        let deep = core::iter::from_fn(move || {
            let (layer, behind) = DenseView::from_prefix(rest, hidden, hidden).filter(|_| !rest.is_empty())?;
            rest = behind;
            Some(layer)
        });
        let (mut a, mut b, mut c) = ([[0; 4]; WIDEST], [[0; 4]; WIDEST], [[0; 4]; WIDEST]);
        let (Some(a), Some(from), Some(to)) = (a.get_mut(..inputs), b.get_mut(..hidden), c.get_mut(..hidden)) else {
            return;
        };
        evaluate(
            self.inverse_input_scale,
            (self.first, deep, self.last),
            input,
            context,
            Scratch { input: a, from, to },
            output,
        );
    }
}

/// The whole net: quantize the inputs, run the layers between two buffers, scale the outputs.
#[inline(always)]
fn evaluate<'a, T: Real>(
    inverse_input_scale: f32,
    (first, deep, last): (
        DenseView<'a, Requantization>,
        impl Iterator<Item = DenseView<'a, Requantization>>,
        DenseView<'a, f32>,
    ),
    input: &[T],
    context: &[T],
    Scratch { input: quantized, mut from, mut to }: Scratch<'_, Quad>,
    output: impl FnMut([T; 4]),
) {
    let scale = T::from_f32(inverse_input_scale);
    fill(quantized, input.iter().chain(context), 0, |value| (*value * scale).round_i16());
    first.hidden(quantized, from);
    for layer in deep {
        layer.hidden(from, to);
        (from, to) = (to, from);
    }
    last.last(from, output);
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
        let net = Int8::<2, 3, 1, 2> {
            inverse_input_scale: 1000.0,
            first: Dense { weights: first_packed, bias: [bias(), bias(), bias()], scale: [[factor; 4]; 3] },
            deep: [Dense { weights: inner_packed, bias: [bias(), bias(), bias()], scale: [[factor; 4]; 3] }],
            last: Dense { weights: last_packed, bias: [bias(), bias()], scale: [[0.5; 4]; 2] },
        };
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
            let net = Int8::<1, 128, 0, 1> {
                inverse_input_scale: 1e6,
                first: Dense { weights: [[Block([[127; 4]; 4])]; 128], bias: [[0; 4]; 128], scale: [[keep; 4]; 128] },
                deep: [],
                last: Dense { weights: [[block; 128]], bias: [[bias; 4]], scale: [[1.0; 4]] },
            };
            let mut found = [0.0; 4];
            net.evaluate(&[1.0_f32; 4], &[], |quad: [f32; 4]| found = quad);
            let expected = i64::from(bias) + 512 * 32767 * i64::from(weight);
            assert_eq!(found, [expected as f32; 4]);
        }
    }
}
