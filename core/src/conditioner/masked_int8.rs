//! The quantized masked net: see [`masked`] for its shapes, [`int8`](super::int8) for its numbers.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::hidden::{Quad, Scratch, walk, with_scratch};
use super::int8::{Block, DenseView, PACKING, REQUANTIZATION, Requantization, block_fields, input, net_fields};
use super::masked::{self, Derived};
use super::{Autoregress, MaskedConditioner, MaskedShape, Masks, Plain, Style};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record};

/// A matrix to OUT quads, each of whose rows of blocks is as long as what it sees, with a scale of type `S` for each row.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Ragged<S, const BLOCKS: usize, const OUT: usize> {
    /// Blocks, a row of blocks after the other.
    pub weights: [Block; BLOCKS],
    /// In units of the accumulators.
    pub bias: [[i32; 4]; OUT],
    /// From accumulators to the next activations, or to the outputs.
    pub scale: [[S; 4]; OUT],
}

impl<S, const BLOCKS: usize, const OUT: usize> Ragged<S, BLOCKS, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_, S> {
        DenseView { weights: &self.weights, bias: &self.bias, scale: &self.scale }
    }
}

/// A quantized masked net (see [`masked`] for its numbers).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct MaskedInt8<
    const D: usize,
    const C: usize,
    const LOWEST: usize,
    const STRIDE: usize,
    const IN: usize,
    const HIDDEN: usize,
    const DEEP: usize,
    const OUT: usize,
    const FIRST: usize,
    const INNER: usize,
    const LAST: usize,
    S = Plain,
> {
    /// 1 / scale of the input activations; positive.
    pub inverse_input_scale: f32,
    /// Inputs to the first hidden layer.
    pub first: Ragged<Requantization, FIRST, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Ragged<Requantization, INNER, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Ragged<f32, LAST, OUT>,
    style: PhantomData<S>,
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: MaskedShape) -> [Parameter; 10] {
    let [features, context, lowest, hidden, deep, stride, activation, body] = masked::parameters(shape);
    [features, context, lowest, hidden, deep, stride, activation, body, PACKING, REQUANTIZATION]
}

/// What the net stores.
#[must_use]
pub const fn fields(
    shape: MaskedShape,
    first: &'static Record,
    inner: &'static Record,
    last: &'static Record,
) -> [Field; 4] {
    net_fields(shape.deep, first, inner, last)
}

/// What the first, each inner and the last matrix store.
#[must_use]
pub const fn matrix_fields(shape: MaskedShape) -> [[Field; 3]; 3] {
    [
        block_fields(shape.first_blocks(), shape.inputs(), shape.hidden, Format::Requantization),
        block_fields(shape.inner_blocks(), shape.hidden, shape.hidden, Format::Requantization),
        block_fields(shape.last_blocks(), shape.hidden, shape.outputs(), Format::F32),
    ]
}

/// The net's record.
#[must_use]
pub const fn record(shape: MaskedShape, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record {
        macs: shape.macs(),
        scratch: size_of::<Quad<i16>>() * shape.scratch() + size_of::<f32>() * shape.stride,
        ..Record::stored("MaskedInt8", parameters, fields)
    }
}

impl<
    const D: usize,
    const C: usize,
    const LOWEST: usize,
    const STRIDE: usize,
    const IN: usize,
    const HIDDEN: usize,
    const DEEP: usize,
    const OUT: usize,
    const FIRST: usize,
    const INNER: usize,
    const LAST: usize,
    S,
> MaskedInt8<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
{
    /// A net with these weights.
    #[must_use]
    pub const fn new(
        inverse_input_scale: f32,
        first: Ragged<Requantization, FIRST, HIDDEN>,
        deep: [Ragged<Requantization, INNER, HIDDEN>; DEEP],
        last: Ragged<f32, LAST, OUT>,
    ) -> Self {
        Self { inverse_input_scale, first, deep, last, style: PhantomData }
    }

    const FIRST: Record =
        Record::stored("Ragged", &[], &const { block_fields(FIRST, IN, HIDDEN, Format::Requantization) });
    const INNER: Record =
        Record::stored("Ragged", &[], &const { block_fields(INNER, HIDDEN, HIDDEN, Format::Requantization) });
    const LAST: Record = Record::stored("Ragged", &[], &const { block_fields(LAST, HIDDEN, OUT, Format::F32) });
}

impl<
    const D: usize,
    const C: usize,
    const LOWEST: usize,
    const STRIDE: usize,
    const IN: usize,
    const HIDDEN: usize,
    const DEEP: usize,
    const OUT: usize,
    const FIRST: usize,
    const INNER: usize,
    const LAST: usize,
    S: Style,
> MaskedInt8<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
{
    const SHAPE: MaskedShape = MaskedShape {
        features: D,
        context: C,
        lowest: LOWEST,
        stride: STRIDE,
        hidden: HIDDEN,
        deep: DEEP,
        body: S::BODY,
        activation: S::ACTIVATION,
    };
}

impl<
    const D: usize,
    const C: usize,
    const LOWEST: usize,
    const STRIDE: usize,
    const IN: usize,
    const HIDDEN: usize,
    const DEEP: usize,
    const OUT: usize,
    const FIRST: usize,
    const INNER: usize,
    const LAST: usize,
    S: Style,
> MaskedConditioner for MaskedInt8<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
{
    const RECORD: Record = record(
        Self::SHAPE,
        &const { parameters(Self::SHAPE) },
        &const { fields(Self::SHAPE, &Self::FIRST, &Self::INNER, &Self::LAST) },
    );
    const FEATURES: usize = D;
    const CONTEXT: usize = C;
    const STRIDE: usize = STRIDE;
    const MASKS: Masks = Self::SHAPE.masks();
}

impl<
    T: Real,
    const D: usize,
    const C: usize,
    const LOWEST: usize,
    const STRIDE: usize,
    const IN: usize,
    const HIDDEN: usize,
    const DEEP: usize,
    const OUT: usize,
    const FIRST: usize,
    const INNER: usize,
    const LAST: usize,
    S: Style,
> Autoregress<T> for MaskedInt8<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
{
    #[inline(always)]
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        const {
            let derived = Derived { inputs: IN, outputs: OUT, first: FIRST, inner: INNER, last: LAST };
            masked::check(Self::SHAPE, &derived);
        }
        let zero = Quad([0; 4]);
        let mut deep = [[zero; HIDDEN]; DEEP];
        let scratch = Scratch { input: &mut [zero; IN][..], first: &mut [zero; HIDDEN], deep: deep.as_flattened_mut() };
        let unit = |value| input(value, self.inverse_input_scale);
        let matrices = (self.first.view(), || self.deep.iter().map(Ragged::view), self.last.view());
        walk(Self::SHAPE, matrices, scratch, &mut [T::ZERO; STRIDE], unit, context, step);
    }
}

/// A quantized masked net whose shape is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct MaskedInt8View<'a> {
    shape: MaskedShape,
    inverse_input_scale: f32,
    first: DenseView<'a, Requantization>,
    deep: &'a [u8],
    last: DenseView<'a, f32>,
}

impl<'a> MaskedInt8View<'a> {
    /// The net at the start of `bytes`, and the bytes behind it. `None` when they are too few or not 4-aligned, or when
    /// there is no net of this shape ([`MaskedShape::is_possible`]).
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: MaskedShape) -> Option<(Self, &'a [u8])> {
        if !shape.is_possible() {
            return None;
        }
        let (scale, bytes) = f32::ref_from_prefix(bytes).ok()?;
        let (first, bytes) = DenseView::from_prefix(bytes, shape.first_blocks(), shape.hidden)?;
        let (deep, bytes) =
            DenseView::<Requantization>::several(bytes, shape.deep, shape.inner_blocks(), shape.hidden)?;
        let (last, bytes) = DenseView::from_prefix(bytes, shape.last_blocks(), shape.outputs())?;
        Some((Self { shape, inverse_input_scale: *scale, first, deep, last }, bytes))
    }
}

impl<T: Real> Autoregress<T> for MaskedInt8View<'_> {
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        let MaskedShape { hidden, deep, stride, .. } = self.shape;
        let inner_blocks = self.shape.inner_blocks();
        with_scratch((self.shape.inputs(), hidden, deep), 0, |scratch| {
            let deep = || DenseView::split(self.deep, inner_blocks, hidden);
            let matrices = (self.first, deep, self.last);
            let unit = |value| input(value, self.inverse_input_scale);
            masked::with_parameters(stride, |parameters| {
                walk(self.shape, matrices, scratch, parameters, unit, context, step);
            });
        });
    }
}
