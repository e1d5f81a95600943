//! The unquantized conditioner: f32 weights, for cores with an FPU and for comparison.
//!
//! Every row is summed in one documented order, bias first, then its products column by column, each multiplication and
//! each addition rounded on its own. Four rows go side by side, so a host puts them in the lanes of a vector and keeps
//! the order, and with it the bits.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Conditioner, Evaluate, Scratch, Shape, Smooth, WIDEST, check_width, fill};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// Four rows by four columns of weights, in natural order: `[row][column]`.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Block(pub [[f32; 4]; 4]);

/// Inputs are clamped to this many standard deviations, so that no far-off reading reaches an infinity, whose product
/// with a zero weight is a NaN. A flow stays exact whatever its conditioner computes.
pub const INPUT_LIMIT: f32 = 1e4;

/// One fully connected layer of IN quads to OUT quads.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Dense<const IN: usize, const OUT: usize> {
    /// Blocks, a row of blocks after the other.
    pub weights: [[Block; IN]; OUT],
    /// One for each row.
    pub bias: [[f32; 4]; OUT],
}

/// The mathematics of a [`Dense`] layer, on slices.
#[derive(Clone, Copy, Debug)]
pub struct DenseView<'a> {
    weights: &'a [Block],
    bias: &'a [[f32; 4]],
}

impl<const IN: usize, const OUT: usize> Dense<IN, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_> {
        DenseView { weights: self.weights.as_flattened(), bias: &self.bias }
    }
}

impl<'a> DenseView<'a> {
    /// The layer at the start of `bytes`, and the bytes behind it; `None` when they are too few or not 4-aligned.
    fn from_prefix(bytes: &'a [u8], inputs: usize, outputs: usize) -> Option<(Self, &'a [u8])> {
        let (weights, bytes) = <[Block]>::ref_from_prefix_with_elems(bytes, inputs * outputs).ok()?;
        let (bias, bytes) = <[[f32; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        Some((Self { weights, bias }, bytes))
    }

    /// Gives the sums of each quad of rows to `row`, in order.
    #[inline(always)]
    fn sum<T: Real>(&self, input: &[[T; 4]], mut row: impl FnMut([T; 4])) {
        let mut weights = self.weights;
        for bias in self.bias {
            let Some((blocks, rest)) = weights.split_at_checked(input.len()) else { return };
            weights = rest;
            let mut sums = bias.map(T::from_f32);
            for (Block(rows), [x0, x1, x2, x3]) in blocks.iter().zip(input) {
                for (sum, [w0, w1, w2, w3]) in sums.iter_mut().zip(rows) {
                    *sum = *sum + x0.scale(*w0);
                    *sum = *sum + x1.scale(*w1);
                    *sum = *sum + x2.scale(*w2);
                    *sum = *sum + x3.scale(*w3);
                }
            }
            row(sums);
        }
    }

    #[inline(always)]
    fn hidden<T: Real>(&self, input: &[[T; 4]], output: &mut [[T; 4]]) {
        let mut output = output.iter_mut();
        self.sum(input, |sums| {
            if let Some(output) = output.next() {
                *output = sums.map(|sum| if sum > T::ZERO { sum } else { T::ZERO });
            }
        });
    }
}

/// An unquantized net; widths in quads (see [the module above](crate::conditioner)).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Float<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> {
    /// Inputs to the first hidden layer.
    pub first: Dense<IN, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Dense<HIDDEN, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Dense<HIDDEN, OUT>,
}

/// What one layer stores.
#[must_use]
pub const fn dense_fields(inputs: usize, outputs: usize) -> [Field; 2] {
    [
        Field::Data { name: "weights", format: Format::F32, count: 16 * inputs * outputs, rule: Rule::Finite },
        Field::Data { name: "bias", format: Format::F32, count: 4 * outputs, rule: Rule::Finite },
    ]
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: Shape) -> [Parameter; 5] {
    [
        ("inputs", Value::Number(shape.inputs)),
        ("hidden", Value::Number(shape.hidden)),
        ("deep", Value::Number(shape.deep)),
        ("outputs", Value::Number(shape.outputs)),
        ("activation", Value::Word("Relu")),
    ]
}

/// What the net stores.
#[must_use]
pub const fn fields(shape: Shape, first: &'static Record, inner: &'static Record, last: &'static Record) -> [Field; 3] {
    [
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
        scratch: size_of::<[f32; 4]>() * (inputs + 2 * hidden),
        ..Record::stored("Float", parameters, fields)
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Float<IN, HIDDEN, DEEP, OUT> {
    const SHAPE: Shape = Shape { inputs: IN, hidden: HIDDEN, deep: DEEP, outputs: OUT };
    const FIRST: Record = Record::stored("Dense", &[], &const { dense_fields(IN, HIDDEN) });
    const INNER: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, HIDDEN) });
    const LAST: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, OUT) });
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Conditioner
    for Float<IN, HIDDEN, DEEP, OUT>
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
    for Float<IN, HIDDEN, DEEP, OUT>
{
    #[inline(always)]
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        const {
            check_width(IN);
            check_width(HIDDEN);
        }
        let deep = self.deep.iter().map(Dense::view);
        let zero = [T::ZERO; 4];
        let scratch = Scratch { input: &mut [zero; IN][..], from: &mut [zero; HIDDEN], to: &mut [zero; HIDDEN] };
        evaluate((self.first.view(), deep, self.last.view()), input, context, scratch, output);
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize> Smooth
    for Float<IN, HIDDEN, DEEP, OUT>
{
}

/// An unquantized net whose shape is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct FloatView<'a> {
    shape: Shape,
    first: DenseView<'a>,
    deep: &'a [u8],
    last: DenseView<'a>,
}

impl<'a> FloatView<'a> {
    /// The net at the start of `bytes`, and the bytes behind it. `None` when they are too few or not 4-aligned, or when
    /// the shape is wider than [`WIDEST`].
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: Shape) -> Option<(Self, &'a [u8])> {
        let Shape { inputs, hidden, deep, outputs } = shape;
        if inputs > WIDEST || hidden > WIDEST {
            return None;
        }
        let (first, bytes) = DenseView::from_prefix(bytes, inputs, hidden)?;
        let (deep, bytes) =
            bytes.split_at_checked(deep * hidden * (hidden * size_of::<Block>() + size_of::<[f32; 4]>()))?;
        let (last, bytes) = DenseView::from_prefix(bytes, hidden, outputs)?;
        Some((Self { shape, first, deep, last }, bytes))
    }
}

impl Smooth for FloatView<'_> {}

impl<T: Real> Evaluate<T> for FloatView<'_> {
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        let Shape { inputs, hidden, .. } = self.shape;
        let mut rest = self.deep;
        let deep = core::iter::from_fn(move || {
            let (layer, behind) = DenseView::from_prefix(rest, hidden, hidden).filter(|_| !rest.is_empty())?;
            rest = behind;
            Some(layer)
        });
        let zero = [T::ZERO; 4];
        let (mut a, mut b, mut c) = ([zero; WIDEST], [zero; WIDEST], [zero; WIDEST]);
        let (Some(a), Some(from), Some(to)) = (a.get_mut(..inputs), b.get_mut(..hidden), c.get_mut(..hidden)) else {
            return;
        };
        evaluate((self.first, deep, self.last), input, context, Scratch { input: a, from, to }, output);
    }
}

/// The whole net: clamp the inputs, run the layers between two buffers.
#[inline(always)]
fn evaluate<'a, T: Real>(
    (first, deep, last): (DenseView<'a>, impl Iterator<Item = DenseView<'a>>, DenseView<'a>),
    input: &[T],
    context: &[T],
    Scratch { input: clamped, mut from, mut to }: Scratch<'_, [T; 4]>,
    output: impl FnMut([T; 4]),
) {
    let limit = T::from_f32(INPUT_LIMIT);
    fill(clamped, input.iter().chain(context), T::ZERO, |value| value.clamp_abs(limit));
    first.hidden(clamped, from);
    for layer in deep {
        layer.hidden(from, to);
        (from, to) = (to, from);
    }
    last.sum(from, output);
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Block, Dense, Evaluate, Float, INPUT_LIMIT};

    fn dense<const IN: usize, const OUT: usize>(seed: f32) -> (Vec<Vec<f32>>, Dense<IN, OUT>) {
        let value = |row: usize, column: usize| libm::sinf(seed * (1 + 7 * row + 31 * column) as f32);
        let matrix = (0..4 * OUT).map(|row| (0..4 * IN).map(|column| value(row, column)).collect()).collect();
        let block = |i: usize, j: usize| {
            Block(core::array::from_fn(|row| core::array::from_fn(|column| value(4 * i + row, 4 * j + column))))
        };
        let weights = core::array::from_fn(|i| core::array::from_fn(|j| block(i, j)));
        let bias = core::array::from_fn(|i| core::array::from_fn(|row| value(4 * i + row, 100)));
        (matrix, Dense { weights, bias })
    }

    /// Bias first, then column by column, every operation rounded.
    fn by_definition(matrix: &[Vec<f32>], bias: &[f32], input: &[f32]) -> Vec<f32> {
        let row = |(row, bias): (&Vec<f32>, &f32)| row.iter().zip(input).fold(*bias, |sum, (w, x)| sum + w * x);
        matrix.iter().zip(bias).map(row).collect()
    }

    #[test]
    fn nets_sum_in_the_documented_order() {
        let ((a, first), (b, inner), (c, last)) = (dense::<2, 3>(1.0), dense::<3, 3>(0.7), dense::<3, 2>(1.3));
        let relu = |sums: Vec<f32>| -> Vec<f32> { sums.into_iter().map(|sum| sum.max(0.0)).collect() };
        let net = Float::<2, 3, 1, 2> { first, deep: [inner], last };
        for input in [[0.0, 1.0, -2.0, 3.5, 0.1], [1e30, -f32::MAX, 0.0, 1e-40, -0.0]] {
            let padded: Vec<f32> =
                input.iter().chain(&[0.0; 3]).map(|x: &f32| x.clamp(-INPUT_LIMIT, INPUT_LIMIT)).collect();
            let hidden = relu(by_definition(&a, first.bias.as_flattened(), &padded));
            let hidden = relu(by_definition(&b, inner.bias.as_flattened(), &hidden));
            let expected = by_definition(&c, last.bias.as_flattened(), &hidden);
            let mut found = Vec::new();
            net.evaluate(&input, &[], |quad: [f32; 4]| found.extend(quad));
            assert_eq!(found, expected);
            assert!(found.iter().all(|value| value.is_finite()));
        }
    }
}
