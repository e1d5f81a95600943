//! Masked nets: what both number formats share (see [`masks`](super::masks)).
//!
//! The type `MaskedInt8<D, C, LOWEST, STRIDE, IN, HIDDEN, DEEP, OUT, FIRST, INNER, LAST, S>` reads D features and C
//! values of context and gives STRIDE outputs for each feature: 1, 2, or a multiple of 4. LOWEST is the lowest degree of
//! its hidden units. As in a dense net, IN, HIDDEN and OUT count quads and DEEP matrices from hidden layer to hidden layer.
//! FIRST, INNER and LAST are the blocks of weights that the first, each inner and the last matrix store. The numbers that
//! follow from others are IN, OUT, FIRST, INNER and LAST; a build with wrong ones stops and says which to write.
//!
//! Inputs are in the order [context.., x_0, x_1, ..]; x_(D-1) is none. Four rows of weights at a time see a prefix of
//! their inputs, rounded up to quads. Of four outputs, those of the last feature decide. Weights that their row's feature
//! may not see lie in the file, but have no effect.

use super::masks::Masks;
use super::style::check_pairs;
use super::{Activation, Body, WIDEST, hidden};
use crate::real::Real;
use crate::schema::{Parameter, Record, Value};
use crate::text::Text;

/// A net whose outputs for a feature depend on the context and on the features before it.
pub trait Autoregress<T: Real> {
    /// For feature i = 0, 1, .. calls `step` with i and the outputs of i, as many as the net's stride. It returns x_i,
    /// which the outputs of later features depend on: read where x is known, or made of the outputs where it is to be found.
    /// Every unit is computed once, whichever it is.
    ///
    /// Context beyond the net's is ignored and missing one is 0. Total: there are no values that panic.
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T);
}

impl<T: Real, N: Autoregress<T>> Autoregress<T> for &N {
    #[inline(always)]
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        N::walk(self, context, step);
    }
}

/// What the compiler knows of a masked net.
pub trait MaskedConditioner {
    /// Shapes, stored fields and cost.
    const RECORD: Record;
    /// Features, D.
    const FEATURES: usize;
    /// Values of context, C.
    const CONTEXT: usize;
    /// Outputs of each feature.
    const STRIDE: usize;
    /// Who sees whom.
    const MASKS: Masks;
}

/// The shape of a masked net whose type is not known when this code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MaskedShape {
    /// Features, D.
    pub features: usize,
    /// Values of context, C.
    pub context: usize,
    /// The lowest degree of hidden units.
    pub lowest: usize,
    /// Outputs of each feature: 1, 2, or a multiple of 4.
    pub stride: usize,
    /// Quads of units of every hidden layer.
    pub hidden: usize,
    /// The number of hidden-to-hidden matrices.
    pub deep: usize,
    /// How the hidden layers are connected.
    pub body: Body,
    /// What is applied to their units.
    pub activation: Activation,
}

impl MaskedShape {
    /// Who sees whom.
    #[must_use]
    pub const fn masks(self) -> Masks {
        Masks { features: self.features, lowest: self.lowest, hidden: self.hidden }
    }

    /// Quads of inputs: the context and all features but the last.
    #[must_use]
    pub const fn inputs(self) -> usize {
        (self.context + self.features.saturating_sub(1)).div_ceil(4)
    }

    /// Quads of outputs.
    #[must_use]
    pub const fn outputs(self) -> usize {
        (self.features * self.stride).div_ceil(4)
    }

    /// Blocks of weights of the first matrix.
    #[must_use]
    pub const fn first_blocks(self) -> usize {
        self.masks().first_blocks(self.context)
    }

    /// Blocks of weights of a matrix from hidden layer to hidden layer.
    #[must_use]
    pub const fn inner_blocks(self) -> usize {
        self.masks().inner_blocks()
    }

    /// Blocks of weights of the last matrix.
    #[must_use]
    pub const fn last_blocks(self) -> usize {
        self.masks().last_blocks(self.stride)
    }

    /// Multiply-accumulates of one pass, padding included.
    #[must_use]
    pub const fn macs(self) -> usize {
        16 * (self.first_blocks() + self.deep * self.inner_blocks() + self.last_blocks())
    }

    /// Quads of inputs and units that one pass keeps; it keeps the outputs of one feature besides.
    #[must_use]
    pub const fn scratch(self) -> usize {
        self.inputs() + (self.deep + 1) * self.hidden
    }

    /// Whether there are nets of this shape. For shapes from files, which are not deeper than 64 either, and do not have
    /// more than 512 outputs for each feature.
    #[must_use]
    pub const fn is_possible(self) -> bool {
        self.lowest < self.features
            && self.features <= 4 * WIDEST
            && self.context <= 4 * WIDEST
            && self.inputs() <= WIDEST
            && self.hidden <= WIDEST
            && self.deep <= hidden::DEEPEST
            && (self.deep.is_multiple_of(2) || !self.body.pairs())
            && is_stride(self.stride)
            && self.stride <= 4 * WIDEST
    }
}

const fn is_stride(stride: usize) -> bool {
    stride == 1 || stride == 2 || stride > 0 && stride.is_multiple_of(4)
}

/// What describes a masked net, but for its number format.
#[must_use]
pub const fn parameters(shape: MaskedShape) -> [Parameter; 8] {
    [
        ("features", Value::Number(shape.features)),
        ("context", Value::Number(shape.context)),
        ("lowest", Value::Number(shape.lowest)),
        ("hidden", Value::Number(shape.hidden)),
        ("deep", Value::Number(shape.deep)),
        ("stride", Value::Number(shape.stride)),
        ("activation", Value::Word(shape.activation.name())),
        ("body", Value::Word(shape.body.name())),
    ]
}

/// Gives a place for the outputs of one feature to `run`.
#[inline]
pub(crate) fn with_parameters<T: Real>(stride: usize, run: impl FnOnce(&mut [T])) {
    let mut parameters = [T::ZERO; 4 * WIDEST];
    if let Some(parameters) = parameters.get_mut(..stride) {
        run(parameters);
    }
}

/// Numbers in a masked net's type that follow from its shape.
pub(crate) struct Derived {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) first: usize,
    pub(crate) inner: usize,
    pub(crate) last: usize,
}

/// Stops the build when a masked net's numbers do not fit together.
pub(crate) const fn check(shape: MaskedShape, derived: &Derived) {
    if shape.lowest >= shape.features {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: the masked conditioner's lowest degree LOWEST is ");
        text.number(shape.lowest as u64);
        text.word(", but with ");
        text.number(shape.features as u64);
        text.word(" features degrees are below that: write 1, or 0 for a single feature or where there is a context");
        panic!("{}", text.as_str());
    }
    if !is_stride(shape.stride) {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: the masked conditioner has STRIDE = ");
        text.number(shape.stride as u64);
        text.word(" outputs for each feature, but outputs come in fours: write 1, 2 or a multiple of 4");
        panic!("{}", text.as_str());
    }
    check_pairs(shape.body, shape.deep);
    check_derived("IN", "quads of inputs", derived.inputs, shape.inputs());
    check_derived("OUT", "quads of outputs", derived.outputs, shape.outputs());
    check_derived("FIRST", "blocks of weights in its first matrix", derived.first, shape.first_blocks());
    check_derived("INNER", "blocks of weights in an inner matrix", derived.inner, shape.inner_blocks());
    check_derived("LAST", "blocks of weights in its last matrix", derived.last, shape.last_blocks());
    super::check_width(shape.inputs());
    super::check_width(shape.hidden);
}

const fn check_derived(name: &str, what: &str, found: usize, expected: usize) {
    if found != expected {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: the masked conditioner has ");
        text.word(name);
        text.word(" = ");
        text.number(found as u64);
        text.word(" ");
        text.word(what);
        text.word(", but its masks need ");
        text.number(expected as u64);
        text.word(": write ");
        text.number(expected as u64);
        panic!("{}", text.as_str());
    }
}
