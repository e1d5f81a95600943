//! What the core calls a net, and its mathematics on a net's bytes.

use flowlet::conditioner::float::{self, FloatView};
use flowlet::conditioner::int8::{self, Int8View};
use flowlet::conditioner::masked_float::{self, MaskedFloatView};
use flowlet::conditioner::masked_int8::{self, MaskedInt8View};
use flowlet::conditioner::{Autoregress, Evaluate, MaskedShape, Masks, Shape};
use flowlet::schema::{Format, Record};
use flowlet::{Elementary, Libm, Real};
use serde::{Deserialize, Serialize};

use super::{Activation, ActivationWord, Body, BodyWord, Hidden, Net};
use crate::model::architecture::{NumberFormat, Packing, Requantization, forever};

/// A net's type: a RON term that reads back as the same text, byte for byte, as the core's canonical description. Widths
/// are in quads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the parameters of the types named")]
pub enum NetType {
    /// `Int8<INPUTS, HIDDEN, DEEP, OUTPUTS, S>`.
    Int8 {
        inputs: usize,
        hidden: usize,
        deep: usize,
        outputs: usize,
        #[serde(with = "ActivationWord")]
        activation: Activation,
        #[serde(with = "BodyWord")]
        body: Body,
        packing: Packing,
        requantization: Requantization,
    },
    /// `Float<INPUTS, HIDDEN, DEEP, OUTPUTS, S>`.
    Float {
        inputs: usize,
        hidden: usize,
        deep: usize,
        outputs: usize,
        #[serde(with = "ActivationWord")]
        activation: Activation,
        #[serde(with = "BodyWord")]
        body: Body,
    },
    /// `MaskedInt8<FEATURES, CONTEXT, LOWEST, STRIDE, .., HIDDEN, DEEP, .., S>`.
    MaskedInt8 {
        features: usize,
        context: usize,
        lowest: usize,
        hidden: usize,
        deep: usize,
        stride: usize,
        #[serde(with = "ActivationWord")]
        activation: Activation,
        #[serde(with = "BodyWord")]
        body: Body,
        packing: Packing,
        requantization: Requantization,
    },
    /// `MaskedFloat<FEATURES, CONTEXT, LOWEST, STRIDE, .., HIDDEN, DEEP, .., S>`.
    MaskedFloat {
        features: usize,
        context: usize,
        lowest: usize,
        hidden: usize,
        deep: usize,
        stride: usize,
        #[serde(with = "ActivationWord")]
        activation: Activation,
        #[serde(with = "BodyWord")]
        body: Body,
    },
}

/// The core's shape of a net.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnyShape {
    Dense(Shape),
    Masked(MaskedShape),
}

impl Net {
    /// What the core calls it, with its weights in this number format.
    #[must_use]
    pub fn net_type(&self, format: NumberFormat) -> NetType {
        let (packing, requantization) = (Packing::Block0213, Requantization::Multiply16Shift);
        match (self.any_shape(), format) {
            (AnyShape::Dense(Shape { inputs, hidden, deep, outputs, body, activation }), NumberFormat::Int8) => {
                NetType::Int8 { inputs, hidden, deep, outputs, activation, body, packing, requantization }
            }
            (AnyShape::Dense(Shape { inputs, hidden, deep, outputs, body, activation }), NumberFormat::Float) => {
                NetType::Float { inputs, hidden, deep, outputs, activation, body }
            }
            (AnyShape::Masked(shape), format) => {
                let MaskedShape { features, context, lowest, stride, hidden, deep, body, activation } = shape;
                match format {
                    NumberFormat::Int8 => NetType::MaskedInt8 {
                        features,
                        context,
                        lowest,
                        hidden,
                        deep,
                        stride,
                        activation,
                        body,
                        packing,
                        requantization,
                    },
                    NumberFormat::Float => {
                        NetType::MaskedFloat { features, context, lowest, hidden, deep, stride, activation, body }
                    }
                }
            }
        }
    }

    fn any_shape(&self) -> AnyShape {
        match (self.masked_shape(), self.hidden) {
            (Some(shape), _) => AnyShape::Masked(shape),
            (None, Hidden { units, deep, body, activation }) => AnyShape::Dense(Shape {
                inputs: self.inputs().div_ceil(4),
                hidden: units / 4,
                deep,
                outputs: self.outputs().div_ceil(4),
                body,
                activation,
            }),
        }
    }
}

impl NetType {
    pub(super) fn any_shape(self) -> AnyShape {
        match self {
            Self::Int8 { inputs, hidden, deep, outputs, activation, body, .. }
            | Self::Float { inputs, hidden, deep, outputs, activation, body } => {
                AnyShape::Dense(Shape { inputs, hidden, deep, outputs, body, activation })
            }
            Self::MaskedInt8 { features, context, lowest, hidden, deep, stride, activation, body, .. }
            | Self::MaskedFloat { features, context, lowest, hidden, deep, stride, activation, body } => {
                AnyShape::Masked(MaskedShape { features, context, lowest, stride, hidden, deep, body, activation })
            }
        }
    }

    /// How weights are stored.
    #[must_use]
    pub fn format(self) -> NumberFormat {
        match self {
            Self::Int8 { .. } | Self::MaskedInt8 { .. } => NumberFormat::Int8,
            Self::Float { .. } | Self::MaskedFloat { .. } => NumberFormat::Float,
        }
    }

    /// The core's record.
    #[must_use]
    pub fn record(self) -> &'static Record {
        fn stored<const N: usize>(name: &'static str, fields: [flowlet::schema::Field; N]) -> &'static Record {
            forever(Record::stored(name, &[], forever(fields)))
        }
        match (self.any_shape(), self.format()) {
            (AnyShape::Dense(shape), NumberFormat::Int8) => {
                let dense = |inputs, outputs, scale| stored("Dense", int8::dense_fields(inputs, outputs, scale));
                let first = dense(shape.inputs, shape.hidden, Format::Requantization);
                let inner = dense(shape.hidden, shape.hidden, Format::Requantization);
                let last = dense(shape.hidden, shape.outputs, Format::F32);
                let fields = forever(int8::fields(shape, first, inner, last));
                forever(int8::record(shape, forever(int8::parameters(shape)), fields))
            }
            (AnyShape::Dense(shape), NumberFormat::Float) => {
                let dense = |inputs, outputs| stored("Dense", float::dense_fields(inputs, outputs));
                let first = dense(shape.inputs, shape.hidden);
                let inner = dense(shape.hidden, shape.hidden);
                let last = dense(shape.hidden, shape.outputs);
                let fields = forever(float::fields(shape, first, inner, last));
                forever(float::record(shape, forever(float::parameters(shape)), fields))
            }
            (AnyShape::Masked(shape), NumberFormat::Int8) => {
                let [first, inner, last] = masked_int8::matrix_fields(shape).map(|fields| stored("Ragged", fields));
                let fields = forever(masked_int8::fields(shape, first, inner, last));
                forever(masked_int8::record(shape, forever(masked_int8::parameters(shape)), fields))
            }
            (AnyShape::Masked(shape), NumberFormat::Float) => {
                let [first, inner, last] = masked_float::matrix_fields(shape).map(|fields| stored("Ragged", fields));
                let fields = forever(masked_float::fields(shape, first, inner, last));
                forever(masked_float::record(shape, forever(masked_float::parameters(shape)), fields))
            }
        }
    }

    /// The type in Rust.
    #[must_use]
    pub fn rust_type(self) -> String {
        let (shape, format) = (self.any_shape(), self.format());
        let numbers = match format {
            NumberFormat::Int8 => "Int8",
            NumberFormat::Float => "Float",
        };
        match shape {
            AnyShape::Dense(shape) => {
                let Shape { inputs, hidden, deep, outputs, body, activation } = shape;
                format!("{numbers}<{inputs}, {hidden}, {deep}, {outputs}{}>", style(body, activation))
            }
            AnyShape::Masked(shape) => {
                let MaskedShape { features, context, lowest, stride, hidden, deep, body, activation } = shape;
                let (inputs, outputs) = (shape.inputs(), shape.outputs());
                let (first, inner, last) = (shape.first_blocks(), shape.inner_blocks(), shape.last_blocks());
                format!(
                    "Masked{numbers}<{features}, {context}, {lowest}, {stride}, {inputs}, {hidden}, {deep}, {outputs}, \
                     {first}, {inner}, {last}{}>",
                    style(body, activation)
                )
            }
        }
    }

    /// Whether it is a dense net of so many inputs, context included, and outputs, of a shape that the core allows.
    #[must_use]
    pub fn fits(self, inputs: usize, outputs: usize) -> bool {
        match self.any_shape() {
            AnyShape::Dense(shape) => {
                shape.is_possible() && shape.inputs == inputs.div_ceil(4) && shape.outputs == outputs.div_ceil(4)
            }
            AnyShape::Masked(_) => false,
        }
    }

    /// Whether it is a masked net of so many features, values of context and outputs for each feature, of a shape that
    /// the core allows.
    #[must_use]
    pub fn fits_masked(self, features: usize, context: usize, stride: usize) -> bool {
        match self.any_shape() {
            AnyShape::Dense(_) => false,
            AnyShape::Masked(shape) => {
                shape.is_possible() && shape.features == features && shape.context == context && shape.stride == stride
            }
        }
    }

    /// Who sees whom in a masked net; nobody in a dense one.
    #[must_use]
    pub fn masks(self) -> Masks {
        match self.any_shape() {
            AnyShape::Dense(_) => Masks { features: 0, lowest: 0, hidden: 0 },
            AnyShape::Masked(shape) => shape.masks(),
        }
    }

    /// Values of context that a masked net reads before its features; a dense one reads them as inputs like others.
    #[must_use]
    pub fn context(self) -> usize {
        match self.any_shape() {
            AnyShape::Dense(_) => 0,
            AnyShape::Masked(shape) => shape.context,
        }
    }

    /// Weights and biases that are not masked, for a net of so many inputs, context included, and outputs: without the
    /// padding to quads.
    #[must_use]
    pub fn parameters(self, inputs: usize, outputs: usize) -> usize {
        match self.any_shape() {
            AnyShape::Dense(Shape { hidden, deep, .. }) => {
                let units = 4 * hidden;
                (inputs + 1) * units + deep * (units + 1) * units + (units + 1) * outputs
            }
            AnyShape::Masked(shape) => {
                let masks = shape.masks();
                let units = |quads: usize| 4 * quads;
                let hidden: usize = (0..shape.hidden)
                    .map(|quad| masks.degree(quad))
                    .map(|degree| 4 * (shape.context + degree + 1 + shape.deep * (units(masks.quads(degree)) + 1)))
                    .sum();
                let last = (0..shape.features).map(|feature| shape.stride * (units(masks.quads(feature)) + 1));
                hidden + last.sum::<usize>()
            }
        }
    }

    /// The net on the values at the start of `bytes`, which moves behind them; `None` when they are too few or not
    /// 4-aligned, or when the core has no net of this shape.
    pub fn view<'a>(self, bytes: &mut &'a [u8]) -> Option<NetView<'a>> {
        let (view, rest) = match (self.any_shape(), self.format()) {
            (AnyShape::Dense(shape), NumberFormat::Int8) => {
                let (net, rest) = Int8View::from_prefix(bytes, shape)?;
                (NetView::Int8(net), rest)
            }
            (AnyShape::Dense(shape), NumberFormat::Float) => {
                let (net, rest) = FloatView::from_prefix(bytes, shape)?;
                (NetView::Float(net), rest)
            }
            (AnyShape::Masked(shape), NumberFormat::Int8) => {
                let (net, rest) = MaskedInt8View::from_prefix(bytes, shape)?;
                (NetView::MaskedInt8(net), rest)
            }
            (AnyShape::Masked(shape), NumberFormat::Float) => {
                let (net, rest) = MaskedFloatView::from_prefix(bytes, shape)?;
                (NetView::MaskedFloat(net), rest)
            }
        };
        *bytes = rest;
        Some(view)
    }
}

/// The last parameter of a net's type, where it is not the default one.
fn style(body: Body, activation: Activation) -> String {
    match (body, activation) {
        (Body::Plain, Activation::Relu) => String::new(),
        (body, Activation::Relu) => format!(", {}", body.name()),
        (body, activation) => format!(", {}<{}>", body.name(), activation.name()),
    }
}

/// A net on its bytes: the core's views. Dense ones [`Evaluate`], masked ones [`Autoregress`]; asked for the other,
/// neither gives anything, so whoever makes a layer checks [`NetType::fits`] or [`NetType::fits_masked`].
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the variants are the core's views")]
pub enum NetView<'a> {
    Int8(Int8View<'a>),
    Float(FloatView<'a>),
    MaskedInt8(MaskedInt8View<'a>),
    MaskedFloat(MaskedFloatView<'a>),
}

impl<T: Real> Evaluate<T> for NetView<'_>
where
    Libm: Elementary<T>,
{
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        match self {
            Self::Int8(net) => net.evaluate(input, context, output),
            Self::Float(net) => net.evaluate(input, context, output),
            Self::MaskedInt8(_) | Self::MaskedFloat(_) => {}
        }
    }
}

impl<T: Real> Autoregress<T> for NetView<'_>
where
    Libm: Elementary<T>,
{
    fn walk(&self, context: &[T], step: impl FnMut(usize, &[T]) -> T) {
        match self {
            Self::MaskedInt8(net) => net.walk(context, step),
            Self::MaskedFloat(net) => net.walk(context, step),
            Self::Int8(_) | Self::Float(_) => {}
        }
    }
}
