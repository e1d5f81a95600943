//! The unquantized masked net: see [`masked`] for its shapes, [`float`](super::float) for its numbers.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::float::{Block, DenseView, block_fields, input, net_fields};
use super::hidden::{Quad, Scratch, walk, with_scratch};
use super::masked::{self, Derived};
use super::{Autoregress, MaskedConditioner, MaskedShape, Masks, Plain, Style};
use crate::elementary::{Elementary, Libm};
use crate::real::Real;
use crate::schema::{Field, Parameter, Record};

/// A matrix to OUT quads, each of whose rows of blocks is as long as what it sees.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Ragged<const BLOCKS: usize, const OUT: usize> {
    /// Blocks, a row of blocks after the other.
    pub weights: [Block; BLOCKS],
    /// One for each row.
    pub bias: [[f32; 4]; OUT],
}

impl<const BLOCKS: usize, const OUT: usize> Ragged<BLOCKS, OUT> {
    #[inline(always)]
    fn view(&self) -> DenseView<'_> {
        DenseView { weights: &self.weights, bias: &self.bias }
    }
}

/// An unquantized masked net (see [`masked`] for its numbers).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct MaskedFloat<
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
    /// Inputs to the first hidden layer.
    pub first: Ragged<FIRST, HIDDEN>,
    /// Hidden layer to hidden layer.
    pub deep: [Ragged<INNER, HIDDEN>; DEEP],
    /// Last hidden layer to outputs.
    pub last: Ragged<LAST, OUT>,
    style: PhantomData<S>,
}

/// What describes the net.
#[must_use]
pub const fn parameters(shape: MaskedShape) -> [Parameter; 8] {
    masked::parameters(shape)
}

/// What the net stores.
#[must_use]
pub const fn fields(
    shape: MaskedShape,
    first: &'static Record,
    inner: &'static Record,
    last: &'static Record,
) -> [Field; 3] {
    net_fields(shape.deep, first, inner, last)
}

/// What the first, each inner and the last matrix store.
#[must_use]
pub const fn matrix_fields(shape: MaskedShape) -> [[Field; 2]; 3] {
    [
        block_fields(shape.first_blocks(), shape.hidden),
        block_fields(shape.inner_blocks(), shape.hidden),
        block_fields(shape.last_blocks(), shape.outputs()),
    ]
}

/// The net's record.
#[must_use]
pub const fn record(shape: MaskedShape, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record {
        macs: shape.macs(),
        scratch: size_of::<[f32; 4]>() * shape.scratch() + size_of::<f32>() * shape.stride,
        ..Record::stored("MaskedFloat", parameters, fields)
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
> MaskedFloat<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
{
    /// A net with these weights.
    #[must_use]
    pub const fn new(
        first: Ragged<FIRST, HIDDEN>,
        deep: [Ragged<INNER, HIDDEN>; DEEP],
        last: Ragged<LAST, OUT>,
    ) -> Self {
        Self { first, deep, last, style: PhantomData }
    }

    const FIRST: Record = Record::stored("Ragged", &[], &const { block_fields(FIRST, HIDDEN) });
    const INNER: Record = Record::stored("Ragged", &[], &const { block_fields(INNER, HIDDEN) });
    const LAST: Record = Record::stored("Ragged", &[], &const { block_fields(LAST, OUT) });
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
> MaskedFloat<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
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
> MaskedConditioner for MaskedFloat<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
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
> Autoregress<T> for MaskedFloat<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>
where
    Libm: Elementary<T>,
{
    #[inline(always)]
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        const {
            let derived = Derived { inputs: IN, outputs: OUT, first: FIRST, inner: INNER, last: LAST };
            masked::check(Self::SHAPE, &derived);
        }
        let zero = Quad([T::ZERO; 4]);
        let mut deep = [[zero; HIDDEN]; DEEP];
        let scratch = Scratch { input: &mut [zero; IN][..], first: &mut [zero; HIDDEN], deep: deep.as_flattened_mut() };
        let matrices = (self.first.view(), || self.deep.iter().map(Ragged::view), self.last.view());
        walk(Self::SHAPE, matrices, scratch, &mut [T::ZERO; STRIDE], input, context, step);
    }
}

/// An unquantized masked net whose shape is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct MaskedFloatView<'a> {
    shape: MaskedShape,
    first: DenseView<'a>,
    deep: &'a [u8],
    last: DenseView<'a>,
}

impl<'a> MaskedFloatView<'a> {
    /// The net at the start of `bytes`, and the bytes behind it. `None` when they are too few or not 4-aligned, or when
    /// there is no net of this shape ([`MaskedShape::is_possible`]).
    #[must_use]
    pub fn from_prefix(bytes: &'a [u8], shape: MaskedShape) -> Option<(Self, &'a [u8])> {
        if !shape.is_possible() {
            return None;
        }
        let (first, bytes) = DenseView::from_prefix(bytes, shape.first_blocks(), shape.hidden)?;
        let (deep, bytes) = DenseView::several(bytes, shape.deep, shape.inner_blocks(), shape.hidden)?;
        let (last, bytes) = DenseView::from_prefix(bytes, shape.last_blocks(), shape.outputs())?;
        Some((Self { shape, first, deep, last }, bytes))
    }
}

impl<T: Real> Autoregress<T> for MaskedFloatView<'_>
where
    Libm: Elementary<T>,
{
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        let MaskedShape { hidden, deep, stride, .. } = self.shape;
        let inner_blocks = self.shape.inner_blocks();
        with_scratch((self.shape.inputs(), hidden, deep), T::ZERO, |scratch| {
            let deep = || DenseView::split(self.deep, inner_blocks, hidden);
            let matrices = (self.first, deep, self.last);
            masked::with_parameters(stride, |parameters| {
                walk(self.shape, matrices, scratch, parameters, input, context, step);
            });
        });
    }
}
