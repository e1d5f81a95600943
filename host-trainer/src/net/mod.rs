//! Conditioner nets: their shapes, their training, their quantization and their bytes.
//!
//! ```text
//! mod.rs         shapes: which outputs of which matrix see which inputs
//! train.rs       batched forward and backward passes
//! quantize.rs    weights to int8
//! ranges.rs      how far the 16 bits of activations reach
//! rounding.rs    rounding whose errors cancel
//! image.rs       their bytes on the device
//! rows/          many readings at once, with the device's bits
//! description.rs what the core calls a net, and its mathematics on those bytes
//! ```
//!
//! The parameters of a net are one slice: for each matrix the weights `[output][input]`, then the biases; the first
//! matrix, the inner ones in order, the last. Masked nets have whole matrices here, with zeros that stay zeros; the
//! device stores none of them.

mod description;
mod image;
mod quantize;
mod ranges;
mod rounding;
pub(crate) mod rows;
mod train;

pub use description::{NetType, NetView};
pub use ranges::{RangeMethod, Ranges};

use std::ops::Range;

pub use flowlet::conditioner::{Activation, Body};
use flowlet::conditioner::{MaskedShape, Masks};
use serde::{Deserialize, Serialize};

/// [`Body`] in serde's words.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Body")]
pub(crate) enum BodyWord {
    Plain,
    Residual,
    Gated,
}

/// [`Activation`] in serde's words.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation")]
pub(crate) enum ActivationWord {
    Relu,
    Elu,
    Tanh,
}

/// The hidden part of a net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Units of every hidden layer, a multiple of four.
    pub units: usize,
    /// Hidden-to-hidden matrices: an even number of them where blocks take two.
    pub deep: usize,
    /// How they are connected.
    #[serde(with = "BodyWord")]
    pub body: Body,
    /// What is applied to their units.
    #[serde(with = "ActivationWord")]
    pub activation: Activation,
}

/// Who sees whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wiring {
    /// All outputs see all inputs, in the order `[inputs.., context..]`.
    Dense {
        /// Features that condition.
        inputs: usize,
        /// Values of context.
        context: usize,
        /// Outputs.
        outputs: usize,
    },
    /// The outputs `i * stride..` of feature i see the context and the features before i, in the order
    /// `[context.., features..]` (see [`Masks`]).
    Masked {
        /// Features, D.
        features: usize,
        /// Values of context.
        context: usize,
        /// The lowest degree of hidden units.
        lowest: usize,
        /// Outputs of each feature: 1, 2, or a multiple of 4.
        stride: usize,
    },
}

/// A conditioner net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Net {
    /// Who sees whom.
    pub wiring: Wiring,
    /// The hidden part.
    pub hidden: Hidden,
}

/// One matrix of a net: where its parameters are, and its shape.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    place: Place,
    /// Of its first weight in the parameters.
    start: usize,
    inputs: usize,
    outputs: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    First,
    Inner,
    Last,
}

/// The outputs that are multiplied together, at the least.
const GROUP: usize = 16;

/// Consecutive outputs of a matrix that see the same inputs, the first ones.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Band {
    outputs: Range<usize>,
    inputs: usize,
}

impl Matrix {
    fn weights(self) -> Range<usize> {
        self.start..self.start + self.inputs * self.outputs
    }

    fn biases(self) -> Range<usize> {
        self.weights().end..self.end()
    }

    fn end(self) -> usize {
        self.start + (self.inputs + 1) * self.outputs
    }
}

impl Net {
    /// A net whose `outputs` see all `inputs` and all values of the context.
    ///
    /// # Panics
    /// If the hidden units are not a multiple of four, or the blocks of two matrices do not come out even.
    #[must_use]
    pub fn dense(inputs: usize, context: usize, outputs: usize, hidden: Hidden) -> Self {
        hidden.check();
        Self { wiring: Wiring::Dense { inputs, context, outputs }, hidden }
    }

    /// A net with `stride` outputs for each feature, which see the context and the features before it.
    ///
    /// # Panics
    /// If there is no degree as low as `lowest`, for a stride that the core does not have, or as [`Net::dense`].
    #[must_use]
    pub fn masked(features: usize, context: usize, lowest: usize, stride: usize, hidden: Hidden) -> Self {
        hidden.check();
        assert!(lowest < features, "the lowest degree is below the number of features");
        let whole = stride > 0 && stride.is_multiple_of(4);
        assert!(matches!(stride, 1 | 2) || whole, "a feature has 1, 2 or a multiple of 4 outputs");
        Self { wiring: Wiring::Masked { features, context, lowest, stride }, hidden }
    }

    /// Inputs, the context's included.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self.wiring {
            Wiring::Dense { inputs, context, .. } => inputs + context,
            Wiring::Masked { features, context, .. } => features + context,
        }
    }

    /// Values of context.
    #[must_use]
    pub fn context(&self) -> usize {
        match self.wiring {
            Wiring::Dense { context, .. } | Wiring::Masked { context, .. } => context,
        }
    }

    /// Outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self.wiring {
            Wiring::Dense { outputs, .. } => outputs,
            Wiring::Masked { features, stride, .. } => features * stride,
        }
    }

    /// The core's shape of a masked net.
    fn masked_shape(&self) -> Option<MaskedShape> {
        let Hidden { units, deep, body, activation } = self.hidden;
        match self.wiring {
            Wiring::Dense { .. } => None,
            Wiring::Masked { features, context, lowest, stride } => {
                Some(MaskedShape { features, context, lowest, stride, hidden: units / 4, deep, body, activation })
            }
        }
    }

    /// The number of weights and biases, those that are masked included.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.matrices().last().map_or(0, Matrix::end)
    }

    /// The degrees of a masked net.
    fn masks(&self) -> Option<Masks> {
        self.masked_shape().map(MaskedShape::masks)
    }

    /// A matrix by its index; there are two more than inner ones.
    fn matrix(&self, index: usize) -> Matrix {
        let Hidden { units, deep, .. } = self.hidden;
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let (inner, behind) = (inputs * units + units, units * units + units);
        match index.checked_sub(1) {
            None => Matrix { place: Place::First, start: 0, inputs, outputs: units },
            Some(index) if index < deep => {
                Matrix { place: Place::Inner, start: inner + index * behind, inputs: units, outputs: units }
            }
            Some(_) => Matrix { place: Place::Last, start: inner + deep * behind, inputs: units, outputs },
        }
    }

    /// First, inner, last.
    fn matrices(&self) -> impl DoubleEndedIterator<Item = Matrix> + ExactSizeIterator + '_ {
        (0..self.hidden.deep + 2).map(|index| self.matrix(index))
    }

    /// What each output of a matrix sees, in order.
    fn bands(&self, matrix: Matrix) -> impl Iterator<Item = Band> {
        let masks = self.masks();
        let wiring = self.wiring;
        let bands = masks.map_or(1, |masks| masks.features);
        (0..bands)
            .map(move |index| {
                let (Some(masks), Wiring::Masked { context, stride, .. }) = (masks, wiring) else {
                    return Band { outputs: 0..matrix.outputs, inputs: matrix.inputs };
                };
                // Units of degree `index`, or the outputs of that feature.
                let end = 4 * masks.quads(index);
                let start = index.checked_sub(1).map_or(0, |before| 4 * masks.quads(before));
                match matrix.place {
                    Place::First => Band { outputs: start..end, inputs: context + index },
                    Place::Inner => Band { outputs: start..end, inputs: end },
                    Place::Last => Band { outputs: index * stride..(index + 1) * stride, inputs: end },
                }
            })
            .filter(|band| !band.outputs.is_empty())
    }

    /// Bands, joined until they are worth a multiplication of their own: what some of their outputs do not see is zero.
    fn groups(&self, matrix: Matrix) -> impl Iterator<Item = Band> {
        let mut bands = self.bands(matrix);
        std::iter::from_fn(move || {
            let mut group = bands.next()?;
            while group.outputs.len() < GROUP {
                let Some(next) = bands.next() else { break };
                group = Band { outputs: group.outputs.start..next.outputs.end, inputs: next.inputs };
            }
            Some(group)
        })
    }
}

impl Hidden {
    fn check(self) {
        assert!(self.units.is_multiple_of(4) && self.units > 0, "hidden units come in fours");
        assert!(!self.body.pairs() || self.deep.is_multiple_of(2), "a block of a net takes two matrices");
    }
}

#[cfg(test)]
mod tests;
