//! The architecture of a model as a value: what the model file's description says, and what a model's type is.
//!
//! The description is a RON term. Reading it gives these types, and writing them gives the same text back, byte for
//! byte, so the fingerprint can be computed on either side. The layers' own parts are in [`crate::layers`].

use flowlet::calibration;
use flowlet::conditioner::float::FloatView;
use flowlet::conditioner::int8::Int8View;
use flowlet::conditioner::{self, Evaluate, Shape, WIDEST, float, int8};
use flowlet::model_file::{self, MOST_FEATURES};
use flowlet::schema::{Format, Record};
use flowlet::{Libm, Real};
use ron::Options;
use ron::extensions::Extensions;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::layers::Layer;

/// A model's type: features, context values, layers, base, calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Architecture {
    /// D.
    pub features: usize,
    /// C.
    pub context: usize,
    /// The layers, data -> base.
    pub layers: Layer,
    /// The base.
    pub base: Base,
    /// The calibration.
    pub calibration: Calibration,
    /// How f32 operations are ordered and rounded.
    pub arithmetic: Arithmetic,
}

/// A conditioner; widths in quads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the fields are the parameters of the types named")]
pub enum Net {
    /// `Int8<INPUTS, HIDDEN, DEEP, OUTPUTS>`.
    Int8 {
        inputs: usize,
        hidden: usize,
        deep: usize,
        outputs: usize,
        activation: Activation,
        body: Body,
        packing: Packing,
        requantization: Requantization,
    },
    /// `Float<INPUTS, HIDDEN, DEEP, OUTPUTS>`.
    Float { inputs: usize, hidden: usize, deep: usize, outputs: usize, activation: Activation, body: Body },
}

macro_rules! words {
    ($($(#[$docs:meta])* $name:ident { $($(#[$variant_docs:meta])* $variant:ident),+ })+) => {$(
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_docs])* $variant),+ }
    )+};
}

words! {
    /// How f32 operations are ordered and rounded.
    Arithmetic {
        /// Multiplications and additions rounded separately, in the documented order.
        F32SeparateMultiplyAdd
    }
    /// The clip of log-scales.
    Clip {
        /// a / (1 + |a| / bound).
        Softsign
    }
    /// A set of elementary functions.
    Elementary {
        /// `flowlet::Libm`.
        Libm,
        /// `flowlet::Micromath`.
        Micromath
    }
    /// The activation of hidden units.
    Activation {
        /// max(0, x).
        Relu
    }
    /// How hidden layers are connected.
    Body {
        /// One after the other.
        Plain
    }
    /// The order of int8 weights.
    Packing {
        /// Blocks of four by four, columns 0, 2, 1, 3.
        Block0213
    }
    /// From accumulators to activations.
    Requantization {
        /// A 16-bit multiplier and a shift.
        Multiply16Shift
    }
}

/// `Calibration<N>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// N.
    pub knots: usize,
}

/// The most layers that a description from a file may have: repetitions of repetitions are quickly written.
const MOST_LAYERS: usize = 4096;

/// Records refer to each other for as long as the program runs, as they do in the typed models. A process reads a
/// handful of models, so what their records take is let go of.
pub(crate) fn forever<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

impl Elementary {
    /// Its name, as in descriptions and in Rust.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libm => "Libm",
            Self::Micromath => "Micromath",
        }
    }

    /// As the last parameter of a type in Rust, where the accurate ones need no word.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Libm => "",
            Self::Micromath => ", Micromath",
        }
    }
}

/// How the weights of nets are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// f32.
    Float,
    /// int8 weights, int16 activations.
    Int8,
}

impl NumberFormat {
    /// For reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl Net {
    /// A quantized net of this shape.
    #[must_use]
    pub fn int8(Shape { inputs, hidden, deep, outputs, .. }: Shape) -> Self {
        Self::Int8 {
            inputs,
            hidden,
            deep,
            outputs,
            activation: Activation::Relu,
            body: Body::Plain,
            packing: Packing::Block0213,
            requantization: Requantization::Multiply16Shift,
        }
    }

    /// An unquantized net of this shape.
    #[must_use]
    pub fn float(Shape { inputs, hidden, deep, outputs, .. }: Shape) -> Self {
        Self::Float { inputs, hidden, deep, outputs, activation: Activation::Relu, body: Body::Plain }
    }

    /// Widths in quads.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match *self {
            Self::Int8 { inputs, hidden, deep, outputs, .. } | Self::Float { inputs, hidden, deep, outputs, .. } => {
                let (body, activation) = (conditioner::Body::Plain, conditioner::Activation::Relu);
                Shape { inputs, hidden, deep, outputs, body, activation }
            }
        }
    }

    /// The core's record.
    pub fn record(&self) -> &'static Record {
        let shape = self.shape();
        let dense = |fields: &'static [_]| forever(Record::stored("Dense", &[], fields));
        match self {
            Self::Int8 { .. } => {
                let dense = |inputs, outputs, scale| dense(forever(int8::dense_fields(inputs, outputs, scale)));
                let first = dense(shape.inputs, shape.hidden, Format::Requantization);
                let inner = dense(shape.hidden, shape.hidden, Format::Requantization);
                let last = dense(shape.hidden, shape.outputs, Format::F32);
                let fields = forever(int8::fields(shape, first, inner, last));
                forever(int8::record(shape, forever(int8::parameters(shape)), fields))
            }
            Self::Float { .. } => {
                let dense = |inputs, outputs| dense(forever(float::dense_fields(inputs, outputs)));
                let first = dense(shape.inputs, shape.hidden);
                let inner = dense(shape.hidden, shape.hidden);
                let last = dense(shape.hidden, shape.outputs);
                let fields = forever(float::fields(shape, first, inner, last));
                forever(float::record(shape, forever(float::parameters(shape)), fields))
            }
        }
    }

    /// How weights are stored.
    #[must_use]
    pub fn format(&self) -> NumberFormat {
        match self {
            Self::Int8 { .. } => NumberFormat::Int8,
            Self::Float { .. } => NumberFormat::Float,
        }
    }

    /// Whether it takes so many inputs to so many outputs, within the widths that the core allows.
    #[must_use]
    pub fn fits(&self, inputs: usize, outputs: usize) -> bool {
        let shape = self.shape();
        shape.inputs == inputs.div_ceil(4)
            && shape.outputs == outputs.div_ceil(4)
            && shape.hidden <= WIDEST
            && shape.deep <= 64
    }

    /// The net on the values at the start of `bytes`, which moves behind them.
    pub fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<NetView<'a>> {
        let (view, rest) = match self {
            Self::Int8 { .. } => {
                let (net, rest) = Int8View::from_prefix(bytes, self.shape())?;
                (NetView::Int8(net), rest)
            }
            Self::Float { .. } => {
                let (net, rest) = FloatView::from_prefix(bytes, self.shape())?;
                (NetView::Float(net), rest)
            }
        };
        *bytes = rest;
        Some(view)
    }

    /// The type in Rust.
    #[must_use]
    pub fn rust_type(&self) -> String {
        let name = match self {
            Self::Int8 { .. } => "Int8",
            Self::Float { .. } => "Float",
        };
        let Shape { inputs, hidden, deep, outputs, .. } = self.shape();
        format!("{name}<{inputs}, {hidden}, {deep}, {outputs}>")
    }
}

/// A net in one of the number formats.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the variants are the core's views")]
pub enum NetView<'a> {
    Int8(Int8View<'a>),
    Float(FloatView<'a>),
}

impl<T: Real> Evaluate<T> for NetView<'_>
where
    Libm: flowlet::Elementary<T>,
{
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        match self {
            Self::Int8(net) => net.evaluate(input, context, output),
            Self::Float(net) => net.evaluate(input, context, output),
        }
    }
}

/// How descriptions are written: `Permute(features:8)` for the layer `Permute { features: 8 }`.
fn ron() -> Options {
    Options::default().with_default_extension(Extensions::UNWRAP_VARIANT_NEWTYPES)
}

impl Architecture {
    /// The architecture of a description.
    ///
    /// # Errors
    /// What is no description, with the place.
    pub fn parse(description: &str) -> Result<Self, String> {
        ron().from_str(description).map_err(|error| error.to_string())
    }

    /// The canonical description.
    ///
    /// # Panics
    /// Never: terms of these types always serialize.
    #[must_use]
    pub fn describe(&self) -> String {
        ron().to_string(self).expect("an architecture is a RON term")
    }

    /// The core's view of it: byte layout, rules, cost, fingerprint.
    #[must_use]
    pub fn to_core(&self) -> model_file::Architecture {
        let knots = self.calibration.knots;
        let (parameters, fields) = (calibration::parameters(knots), calibration::fields(knots));
        model_file::Architecture {
            features: self.features,
            context: self.context,
            layers: self.layers.schema(),
            base: self.base.kind().record(),
            calibration: forever(calibration::record(forever(parameters), forever(fields))),
        }
    }

    /// The Rust type, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        let (layers, knots) = (self.layers.rust_type(), self.calibration.knots);
        let tail = match (self.base.kind().rust_type(), self.context) {
            (None, 0) => String::new(),
            (None, context) => format!(", StandardNormal<{}>, {context}", self.features),
            (Some(base), context) => format!(", {base}, {context}"),
        };
        format!("Detector<Flow<{}, {layers}{tail}>, {knots}>", self.features)
    }

    /// Whether the shapes fit together, as the compiler checks them for a type: for descriptions that come from a file.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        (1..=MOST_FEATURES).contains(&self.features)
            && self.context <= MOST_FEATURES
            && self.base.kind().features() == self.features
            && self.calibration.knots <= 1 << 16
            && self.layers.count().is_some_and(|layers| layers <= MOST_LAYERS)
            && self.layers.fits(self.features, self.context)
            && self.layers.directions().inverse
    }

    /// The family of flows it belongs to, by the layers that transform.
    #[must_use]
    pub fn family(&self) -> &'static str {
        let mut family = "element-wise";
        self.layers.each(&mut |layer| {
            if let Some((name, _)) = layer.family().filter(|(name, _)| *name != "element-wise") {
                family = name;
            }
        });
        family
    }

    /// How the conditioners store their weights.
    #[must_use]
    pub fn number_format(&self) -> &'static str {
        let mut format = NumberFormat::Float;
        self.layers.each(&mut |layer| {
            if let Some((_, Some(NumberFormat::Int8))) = layer.family() {
                format = NumberFormat::Int8;
            }
        });
        format.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlet::text::Text;
    use flowlet::{
        AffineCoupling, Chain, Cube, Detector, Float, Flow, Int8, Micromath, Permute, Reverse, StandardNormal,
        Standardize,
    };

    type Quantized = Chain<Standardize<5>, [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 4, 2, 2>>>; 4]>;
    type Coarse = Chain<Chain<Cube, AffineCoupling<2, 3, Float<1, 4, 0, 2>, Micromath>>, Chain<Reverse, Permute<5>>>;

    fn check(core: &model_file::Architecture) {
        let mut buffer = [0; 1024];
        let mut text = Text::new(&mut buffer);
        core.describe(&mut text);
        let parsed = Architecture::parse(text.as_str()).unwrap();
        assert_eq!(parsed.describe(), text.as_str());
        let back = parsed.to_core();
        assert_eq!(back.fingerprint(), core.fingerprint());
        assert_eq!(back.size(), core.size());
        assert_eq!(back.layers.macs(), core.layers.macs());
        assert_eq!(back.layers.scratch(), core.layers.scratch());
    }

    #[test]
    fn descriptions_of_types_read_back_as_the_same_architecture() {
        check(&Detector::<Flow<5, Quantized>, 64>::ARCHITECTURE);
        check(&Detector::<Flow<5, Coarse>, 1>::ARCHITECTURE);
        check(&Detector::<Flow<5, flowlet::Turned<Quantized>, StandardNormal<5>, 3>, 7>::ARCHITECTURE);
    }

    #[test]
    fn rust_types_are_written_as_the_compiler_names_them() {
        let short = |name: &str| {
            let mut out = String::new();
            for word in name.split_inclusive(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
                out.push_str(word.rsplit("::").next().unwrap());
            }
            out
        };
        let mut buffer = [0; 1024];
        let mut text = Text::new(&mut buffer);
        Detector::<Flow<5, Quantized>, 64>::ARCHITECTURE.describe(&mut text);
        let parsed = Architecture::parse(text.as_str()).unwrap();
        let name = short(std::any::type_name::<Detector<Flow<5, Quantized>, 64>>());
        // The compiler writes out the defaults.
        let name = name
            .replace(", Plain>", ">")
            .replace(", Libm>", ">")
            .replace(", StandardNormal<5>>", ">")
            .replace(", StandardNormal<5>, 0>", ">");
        assert_eq!(parsed.rust_type(), name);
    }
}
