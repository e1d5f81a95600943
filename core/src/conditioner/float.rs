//! The unquantized conditioner: f32 weights, for cores with an FPU and for comparison.
//!
//! Every row is summed in one documented order, bias first, then its products column by column, each multiplication and
//! each addition rounded on its own. Four rows go side by side, so a host puts them in the lanes of a vector and keeps
//! the order, and with it the bits. Activations other than ReLU, and gates, are [`Libm`]'s.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::hidden::{self, Four, Hidden, Matrix, Outputs, Quad, Scratch, each, with_scratch};
use super::style::check_pairs;
use super::{Activation, Conditioner, Evaluate, Plain, Shape, Smooth, Style, check_width, fill};
use crate::elementary::{Elementary, Libm};
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

/// Rows of a matrix, on slices: those that are still to be taken.
#[derive(Clone, Copy, Debug)]
pub struct DenseView<'a> {
    pub(super) weights: &'a [Block],
    pub(super) bias: &'a [[f32; 4]],
}

impl<const IN: usize, const OUT: usize> Dense<IN, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_> {
        DenseView { weights: self.weights.as_flattened(), bias: &self.bias }
    }
}

impl<'a> DenseView<'a> {
    /// The matrix of as many blocks at the start of `bytes`, and the bytes behind it; `None` when they are too few or not
    /// 4-aligned.
    pub(super) fn from_prefix(bytes: &'a [u8], blocks: usize, outputs: usize) -> Option<(Self, &'a [u8])> {
        let (weights, bytes) = <[Block]>::ref_from_prefix_with_elems(bytes, blocks).ok()?;
        let (bias, bytes) = <[[f32; 4]]>::ref_from_prefix_with_elems(bytes, outputs).ok()?;
        Some((Self { weights, bias }, bytes))
    }

    /// `times` matrices of as many blocks at the start of `bytes`, not yet told apart, and the bytes behind them.
    pub(super) fn several(
        bytes: &'a [u8],
        times: usize,
        blocks: usize,
        outputs: usize,
    ) -> Option<(&'a [u8], &'a [u8])> {
        bytes.split_at_checked(times * (blocks * size_of::<Block>() + outputs * size_of::<[f32; 4]>()))
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

impl<T: Real> Matrix<T> for DenseView<'_> {
    type Unit = T;
    type Sum = T;
    type Scale = ();

    #[inline(always)]
    fn skip(&mut self, quads: usize, blocks: usize) {
        self.bias = self.bias.get(quads..).unwrap_or_default();
        self.weights = self.weights.get(blocks..).unwrap_or_default();
    }

    #[inline(always)]
    fn take(&mut self) -> Option<(Four<T>, Four<()>)> {
        let (bias, rest) = self.bias.split_first()?;
        self.bias = rest;
        Some((bias.map(T::from_f32), [(); 4]))
    }

    #[inline(always)]
    fn add(&mut self, sums: &mut Four<T>, input: &[Quad<T>]) {
        let Some((blocks, rest)) = self.weights.split_at_checked(input.len()) else { return };
        self.weights = rest;
        for (Block(rows), Quad([x0, x1, x2, x3])) in blocks.iter().zip(input) {
            for (sum, [w0, w1, w2, w3]) in sums.iter_mut().zip(rows) {
                *sum = *sum + x0.scale(*w0);
                *sum = *sum + x1.scale(*w1);
                *sum = *sum + x2.scale(*w2);
                *sum = *sum + x3.scale(*w3);
            }
        }
    }
}

impl<T: Real> Hidden<T> for DenseView<'_>
where
    Libm: Elementary<T>,
{
    #[inline(always)]
    fn linear(sums: Four<T>, _: Four<()>) -> Four<T> {
        sums
    }

    #[inline(always)]
    fn activate(activation: Activation, units: Four<T>) -> Four<T> {
        match activation {
            Activation::Relu => units.map(|unit| if unit > T::ZERO { unit } else { T::ZERO }),
            Activation::Elu => units.map(|unit| if unit > T::ZERO { unit } else { Libm::exp_m1(unit) }),
            Activation::Tanh => units.map(Libm::tanh),
        }
    }

    #[inline(always)]
    fn plus(units: Four<T>, others: Four<T>) -> Four<T> {
        each(units, others, |unit, other| unit + other)
    }

    #[inline(always)]
    fn gate(units: Four<T>, gates: Four<T>) -> Four<T> {
        each(units, gates, |unit, gate| unit * Libm::sigmoid(gate))
    }
}

impl<T: Real> Outputs<T> for DenseView<'_> {
    #[inline(always)]
    fn outputs(sums: Four<T>, _: Four<()>) -> Four<T> {
        sums
    }
}

/// The value of an input.
#[inline(always)]
pub(super) fn input<T: Real>(value: T) -> T {
    value.clamp_abs(T::from_f32(INPUT_LIMIT))
}

/// An unquantized net; widths in quads (see [the module above](crate::conditioner)).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Float<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S = Plain> {
    /// Inputs to the first hidden layer.
    pub first: Dense<IN, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Dense<HIDDEN, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Dense<HIDDEN, OUT>,
    style: PhantomData<S>,
}

/// What one layer stores.
#[must_use]
pub const fn dense_fields(inputs: usize, outputs: usize) -> [Field; 2] {
    block_fields(inputs * outputs, outputs)
}

/// What a matrix of as many blocks stores.
#[must_use]
pub const fn block_fields(blocks: usize, outputs: usize) -> [Field; 2] {
    [
        Field::Data { name: "weights", format: Format::F32, count: 16 * blocks, rule: Rule::Finite },
        Field::Data { name: "bias", format: Format::F32, count: 4 * outputs, rule: Rule::Finite },
    ]
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: Shape) -> [Parameter; 6] {
    [
        ("inputs", Value::Number(shape.inputs)),
        ("hidden", Value::Number(shape.hidden)),
        ("deep", Value::Number(shape.deep)),
        ("outputs", Value::Number(shape.outputs)),
        ("activation", Value::Word(shape.activation.name())),
        ("body", Value::Word(shape.body.name())),
    ]
}

/// What the net stores.
#[must_use]
pub const fn fields(shape: Shape, first: &'static Record, inner: &'static Record, last: &'static Record) -> [Field; 3] {
    net_fields(shape.deep, first, inner, last)
}

/// What a net with `deep` inner matrices stores, dense or masked.
pub(super) const fn net_fields(
    deep: usize,
    first: &'static Record,
    inner: &'static Record,
    last: &'static Record,
) -> [Field; 3] {
    [
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
        scratch: size_of::<[f32; 4]>() * shape.scratch(),
        ..Record::stored("Float", parameters, fields)
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S> Float<IN, HIDDEN, DEEP, OUT, S> {
    /// A net with these weights.
    #[must_use]
    pub const fn new(first: Dense<IN, HIDDEN>, deep: [Dense<HIDDEN, HIDDEN>; DEEP], last: Dense<HIDDEN, OUT>) -> Self {
        Self { first, deep, last, style: PhantomData }
    }

    const FIRST: Record = Record::stored("Dense", &[], &const { dense_fields(IN, HIDDEN) });
    const INNER: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, HIDDEN) });
    const LAST: Record = Record::stored("Dense", &[], &const { dense_fields(HIDDEN, OUT) });
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style>
    Float<IN, HIDDEN, DEEP, OUT, S>
{
    const SHAPE: Shape =
        Shape { inputs: IN, hidden: HIDDEN, deep: DEEP, outputs: OUT, body: S::BODY, activation: S::ACTIVATION };
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style> Conditioner
    for Float<IN, HIDDEN, DEEP, OUT, S>
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
    for Float<IN, HIDDEN, DEEP, OUT, S>
where
    Libm: Elementary<T>,
{
    #[inline(always)]
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        const {
            check_width(IN);
            check_width(HIDDEN);
            check_pairs(S::BODY, DEEP);
        }
        let zero = Quad([T::ZERO; 4]);
        let mut deep = [[zero; HIDDEN]; DEEP];
        let scratch = Scratch { input: &mut [zero; IN][..], first: &mut [zero; HIDDEN], deep: deep.as_flattened_mut() };
        let matrices = (self.first.view(), self.deep.iter().map(Dense::view), self.last.view());
        evaluate(Self::SHAPE, matrices, input, context, scratch, output);
    }
}

impl<const IN: usize, const HIDDEN: usize, const DEEP: usize, const OUT: usize, S: Style> Smooth
    for Float<IN, HIDDEN, DEEP, OUT, S>
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
    /// there is no net of this shape ([`Shape::is_possible`]).
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: Shape) -> Option<(Self, &'a [u8])> {
        let Shape { inputs, hidden, deep, outputs, .. } = shape;
        if !shape.is_possible() {
            return None;
        }
        let (first, bytes) = DenseView::from_prefix(bytes, inputs * hidden, hidden)?;
        let (deep, bytes) = DenseView::several(bytes, deep, hidden * hidden, hidden)?;
        let (last, bytes) = DenseView::from_prefix(bytes, hidden.checked_mul(outputs)?, outputs)?;
        Some((Self { shape, first, deep, last }, bytes))
    }
}

impl Smooth for FloatView<'_> {}

impl<T: Real> Evaluate<T> for FloatView<'_>
where
    Libm: Elementary<T>,
{
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        let Shape { inputs, hidden, deep, .. } = self.shape;
        with_scratch((inputs, hidden, deep), T::ZERO, |scratch| {
            let deep = DenseView::split(self.deep, hidden * hidden, hidden);
            evaluate(self.shape, (self.first, deep, self.last), input, context, scratch, output);
        });
    }
}

/// The whole net: clamp the inputs, then its layers.
#[inline(always)]
fn evaluate<'a, T: Real>(
    shape: Shape,
    matrices: (DenseView<'a>, impl Iterator<Item = DenseView<'a>>, DenseView<'a>),
    values: &[T],
    context: &[T],
    scratch: Scratch<'_, T>,
    output: impl FnMut([T; 4]),
) where
    Libm: Elementary<T>,
{
    fill(scratch.input, values.iter().chain(context), T::ZERO, |value| input(*value));
    hidden::evaluate(shape, matrices, scratch, output);
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
        let net: Float<2, 3, 1, 2> = Float::new(first, [inner], last);
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
