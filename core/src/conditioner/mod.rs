//! Conditioners: the nets inside coupling and autoregressive layers. One file for each number format.
//!
//! A conditioner is a multilayer perceptron; its [`Style`] says how the hidden layers are connected ([`Body`]) and what is
//! applied to their units ([`Activation`]). Widths are counted in *quads*, four units, because the kernels work on blocks
//! of four rows by four columns and every field stays a multiple of four bytes: a net type
//! `Int8<INPUTS, HIDDEN, DEEP, OUTPUTS>` has 4 · INPUTS inputs (the last ones padded with zeros), hidden layers of
//! 4 · HIDDEN units, DEEP matrices from hidden layer to hidden layer, and 4 · OUTPUTS outputs.
//!
//! In a masked net ([`MaskedInt8`], [`MaskedFloat`]) the outputs of a feature see the features before it only (see
//! [`masks`]).

pub mod float;
mod hidden;
pub mod int8;
mod kernel;
pub mod masked;
pub mod masked_float;
pub mod masked_int8;
pub mod masks;
pub mod style;
mod table;

pub use float::Float;
pub use hidden::Quad;
pub use int8::Int8;
pub use masked::{Autoregress, MaskedConditioner, MaskedShape};
pub use masked_float::MaskedFloat;
pub use masked_int8::MaskedInt8;
pub use masks::Masks;
pub use style::{Activation, Body, Elu, Gated, Plain, Relu, Residual, Style, Tanh};

use crate::real::Real;
use crate::schema::Record;
use crate::text::Text;

/// What the compiler knows of a conditioner.
pub trait Conditioner {
    /// Shapes, stored fields and cost.
    const RECORD: Record;
    /// Inputs, in quads.
    const INPUTS: usize;
    /// Outputs, in quads.
    const OUTPUTS: usize;
}

/// A net that can be evaluated in the scalar `T`: typed, or a view with shapes at run time.
pub trait Evaluate<T: Real> {
    /// Evaluates at `input` followed by `context`, and gives the outputs to `output`, a quad at a time, in order.
    ///
    /// Values beyond the net's inputs are ignored and missing ones are 0. Total: there is no input that panics.
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4]));
}

impl<T: Real, N: Evaluate<T>> Evaluate<T> for &N {
    #[inline(always)]
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        N::evaluate(self, input, context, output);
    }
}

/// A net whose derivatives are those of what it computes, almost everywhere. A quantized one's are not: it computes a step
/// function, flat between its steps.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no derivative, and a continuous flow needs its velocity's",
    label = "needs an unquantized net",
    note = "quantized nets are step functions of their inputs: use `Float`, or a coupling, which takes any net"
)]
pub trait Smooth {}

impl<N: Smooth> Smooth for &N {}

/// The shape of a net whose type is not known when this code is compiled, in quads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    /// Inputs, context included.
    pub inputs: usize,
    /// Units of every hidden layer.
    pub hidden: usize,
    /// The number of hidden-to-hidden matrices.
    pub deep: usize,
    /// Outputs.
    pub outputs: usize,
    /// How the hidden layers are connected.
    pub body: Body,
    /// What is applied to their units.
    pub activation: Activation,
}

impl Shape {
    /// Multiply-accumulates of one evaluation, padding included.
    #[must_use]
    pub const fn macs(self) -> usize {
        16 * (self.inputs * self.hidden + self.deep * self.hidden * self.hidden + self.hidden * self.outputs)
    }

    /// Quads that one evaluation keeps: the input, and what each matrix behind the first reads.
    #[must_use]
    pub const fn scratch(self) -> usize {
        self.inputs + (self.deep + 1) * self.hidden
    }

    /// Whether there are nets of this shape: none is wider than [`WIDEST`], and matrices that come in pairs do. For shapes
    /// from files, which are not deeper than 64 either.
    #[must_use]
    pub const fn is_possible(self) -> bool {
        self.inputs <= WIDEST
            && self.hidden <= WIDEST
            && self.deep <= hidden::DEEPEST
            && (self.deep.is_multiple_of(2) || !self.body.pairs())
    }
}

/// The widest layer of a net, in quads: 512 units, beyond which an int32 accumulator of int8 by int16 products could
/// overflow.
pub const WIDEST: usize = 128;

/// Stops the build when a net's width is not the number of quads that `values` need.
pub(crate) const fn check_quads(what: &str, quads: usize, values: usize) {
    if quads != values.div_ceil(4) {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: the conditioner has ");
        text.number(4 * quads as u64);
        text.word(" ");
        text.word(what);
        text.word(" (");
        text.number(quads as u64);
        text.word(" in its type, counted in fours), but its layer needs ");
        text.number(values as u64);
        text.word(": write ");
        text.number(values.div_ceil(4) as u64);
        panic!("{}", text.as_str());
    }
}

/// Stops the build when a net is too wide for its accumulators.
pub(crate) const fn check_width(quads: usize) {
    if quads > WIDEST {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: a conditioner's layer has a fan-in of ");
        text.number(4 * quads as u64);
        text.word(", but 32-bit accumulators of int8 by int16 products hold 512 at the most: choose a narrower net");
        panic!("{}", text.as_str());
    }
}

/// Fills `quads` with `values`, and the rest with `zero`.
#[inline(always)]
pub(crate) fn fill<V, Q: Copy>(
    quads: &mut [Quad<Q>],
    mut values: impl Iterator<Item = V>,
    zero: Q,
    map: impl Fn(V) -> Q,
) {
    for place in quads.iter_mut().flat_map(|Quad(quad)| quad) {
        *place = values.next().map_or(zero, &map);
    }
}

#[cfg(test)]
mod tests;
