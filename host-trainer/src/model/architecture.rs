//! The architecture of a model as a value: what the model file's description says, and what a model's type is.
//!
//! The description is a RON term. Reading it gives these types, and writing them gives the same text back, byte for
//! byte, so the fingerprint can be computed on either side.

use flowlet::conditioner::{Shape, WIDEST, float, int8};
use flowlet::layers::{affine_coupling, cube, permute, reverse, standardize};
use flowlet::model_file::{self, MOST_FEATURES};
use flowlet::schema::{Format, Record, Schema};
use flowlet::base::standard_normal;
use flowlet::calibration;
use serde::{Deserialize, Serialize};

/// A model's type: features, context values, layers, base, calibration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A layer, or a composition of layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Layer {
    /// `Chain<A, B>`.
    Chain(Box<Layer>, Box<Layer>),
    /// `[L; N]`.
    Repeat(usize, Box<Layer>),
    /// `Turned<L>`.
    Turned(Box<Layer>),
    /// `Standardize<D>`.
    Standardize {
        /// D.
        features: usize,
    },
    /// `Permute<D>`.
    Permute {
        /// D.
        features: usize,
    },
    /// `Reverse`.
    Reverse {},
    /// `Cube<E>`.
    Cube {
        /// Elementary functions.
        elementary: Elementary,
    },
    /// `AffineCoupling<A, B, N, E>`.
    AffineCoupling {
        /// A.
        kept: usize,
        /// B.
        transformed: usize,
        /// The conditioner.
        net: Net,
        /// The clip of the log-scales.
        clip: Clip,
        /// Elementary functions.
        elementary: Elementary,
    },
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
        packing: Packing,
        requantization: Requantization,
    },
    /// `Float<INPUTS, HIDDEN, DEEP, OUTPUTS>`.
    Float { inputs: usize, hidden: usize, deep: usize, outputs: usize, activation: Activation },
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

/// A base distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Base {
    /// `StandardNormal<D, E>`.
    StandardNormal {
        /// D.
        features: usize,
        /// Elementary functions of its sampling.
        elementary: Elementary,
    },
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
fn forever<T>(value: T) -> &'static T {
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
}

impl Net {
    /// A quantized net of this shape.
    #[must_use]
    pub fn int8(Shape { inputs, hidden, deep, outputs }: Shape) -> Self {
        Self::Int8 {
            inputs,
            hidden,
            deep,
            outputs,
            activation: Activation::Relu,
            packing: Packing::Block0213,
            requantization: Requantization::Multiply16Shift,
        }
    }

    /// An unquantized net of this shape.
    #[must_use]
    pub fn float(Shape { inputs, hidden, deep, outputs }: Shape) -> Self {
        Self::Float { inputs, hidden, deep, outputs, activation: Activation::Relu }
    }

    /// Widths in quads.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match *self {
            Self::Int8 { inputs, hidden, deep, outputs, .. } | Self::Float { inputs, hidden, deep, outputs, .. } => {
                Shape { inputs, hidden, deep, outputs }
            }
        }
    }

    fn record(&self) -> &'static Record {
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

    fn rust_type(&self) -> String {
        let name = match self {
            Self::Int8 { .. } => "Int8",
            Self::Float { .. } => "Float",
        };
        let Shape { inputs, hidden, deep, outputs } = self.shape();
        format!("{name}<{inputs}, {hidden}, {deep}, {outputs}>")
    }
}

impl Layer {
    fn schema(&self) -> &'static Schema {
        forever(match self {
            Self::Chain(first, second) => Schema::Chain(first.schema(), second.schema()),
            Self::Repeat(times, layer) => Schema::Repeat(*times, layer.schema()),
            Self::Turned(layer) => Schema::Turned(layer.schema()),
            Self::Standardize { features } => {
                let (parameters, fields) = (standardize::parameters(*features), standardize::fields(*features));
                Schema::Layer(forever(standardize::record(forever(parameters), forever(fields))))
            }
            Self::Permute { features } => {
                let (parameters, fields) = (permute::parameters(*features), permute::fields(*features));
                Schema::Layer(forever(permute::record(*features, forever(parameters), forever(fields))))
            }
            Self::Reverse {} => Schema::Layer(&reverse::RECORD),
            Self::Cube { elementary } => {
                Schema::Layer(forever(cube::record(forever(cube::parameters(elementary.name())))))
            }
            Self::AffineCoupling { kept, transformed, net, clip: Clip::Softsign, elementary } => {
                let net = net.record();
                let parameters = affine_coupling::parameters(*kept, *transformed, net, elementary.name());
                let fields = forever(affine_coupling::fields(net));
                Schema::Layer(forever(affine_coupling::record(*kept, net, forever(parameters), fields)))
            }
        })
    }

    fn rust_type(&self) -> String {
        let suffix = |elementary: &Elementary| match elementary {
            Elementary::Libm => String::new(),
            Elementary::Micromath => ", Micromath".to_owned(),
        };
        match self {
            Self::Chain(first, second) => format!("Chain<{}, {}>", first.rust_type(), second.rust_type()),
            Self::Repeat(times, layer) => format!("[{}; {times}]", layer.rust_type()),
            Self::Turned(layer) => format!("Turned<{}>", layer.rust_type()),
            Self::Standardize { features } => format!("Standardize<{features}>"),
            Self::Permute { features } => format!("Permute<{features}>"),
            Self::Reverse {} => "Reverse".to_owned(),
            Self::Cube { elementary } => format!("Cube<{}>", elementary.name()),
            Self::AffineCoupling { kept, transformed, net, elementary, .. } => {
                format!("AffineCoupling<{kept}, {transformed}, {}{}>", net.rust_type(), suffix(elementary))
            }
        }
    }

    fn fits(&self, features: usize, context: usize) -> bool {
        match self {
            Self::Chain(first, second) => first.fits(features, context) && second.fits(features, context),
            Self::Repeat(_, layer) => layer.fits(features, context),
            Self::Turned(layer) => layer.fits(features, context),
            Self::Standardize { features: own } | Self::Permute { features: own } => *own == features,
            Self::Reverse {} | Self::Cube { .. } => true,
            Self::AffineCoupling { kept, transformed, net, .. } => {
                let shape = net.shape();
                kept.checked_add(*transformed) == Some(features)
                    && shape.inputs == (kept + context).div_ceil(4)
                    && shape.outputs == (2 * transformed).div_ceil(4)
                    && shape.hidden <= WIDEST
                    && shape.deep <= 64
            }
        }
    }

    /// Layers and compositions of layers, repetitions counted; `None` for more than a `usize` holds.
    fn count(&self) -> Option<usize> {
        match self {
            Self::Chain(first, second) => first.count()?.checked_add(second.count()?)?.checked_add(1),
            Self::Repeat(times, layer) => layer.count()?.checked_mul(*times)?.checked_add(1),
            Self::Turned(layer) => layer.count()?.checked_add(1),
            _ => Some(1),
        }
    }

    /// Every layer that is not a composition, in order, as often as its type is named.
    fn leaves<'a>(&'a self, found: &mut Vec<&'a Layer>) {
        match self {
            Self::Chain(first, second) => {
                first.leaves(found);
                second.leaves(found);
            }
            Self::Repeat(_, layer) | Self::Turned(layer) => layer.leaves(found),
            leaf => found.push(leaf),
        }
    }
}

impl Architecture {
    /// The canonical description.
    ///
    /// # Panics
    /// Never: terms of these types always serialize.
    #[must_use]
    pub fn describe(&self) -> String {
        ron::to_string(self).expect("an architecture is a RON term")
    }

    /// The core's view of it: byte layout, rules, cost, fingerprint.
    #[must_use]
    pub fn to_core(&self) -> model_file::Architecture {
        let Base::StandardNormal { features, elementary } = self.base;
        let knots = self.calibration.knots;
        let base = standard_normal::record(forever(standard_normal::parameters(features, elementary.name())));
        let (parameters, fields) = (calibration::parameters(knots), calibration::fields(knots));
        model_file::Architecture {
            features: self.features,
            context: self.context,
            layers: self.layers.schema(),
            base: forever(base),
            calibration: forever(calibration::record(forever(parameters), forever(fields))),
        }
    }

    /// The Rust type, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        let (layers, knots) = (self.layers.rust_type(), self.calibration.knots);
        let Base::StandardNormal { features, elementary } = self.base;
        let tail = match (elementary, self.context) {
            (Elementary::Libm, 0) => String::new(),
            (Elementary::Libm, context) => format!(", StandardNormal<{features}>, {context}"),
            (elementary, context) => format!(", StandardNormal<{features}, {}>, {context}", elementary.name()),
        };
        format!("Detector<Flow<{}, {layers}{tail}>, {knots}>", self.features)
    }

    /// Whether the shapes fit together, as the compiler checks them for a type: for descriptions that come from a file.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let Base::StandardNormal { features, .. } = self.base;
        (1..=MOST_FEATURES).contains(&self.features)
            && self.context <= MOST_FEATURES
            && features == self.features
            && self.calibration.knots <= 1 << 16
            && self.layers.count().is_some_and(|layers| layers <= MOST_LAYERS)
            && self.layers.fits(self.features, self.context)
    }

    /// The family of flows it belongs to, by the layers that transform.
    #[must_use]
    pub fn family(&self) -> &'static str {
        let mut leaves = Vec::new();
        self.layers.leaves(&mut leaves);
        if leaves.iter().any(|layer| matches!(layer, Layer::AffineCoupling { .. })) {
            "realnvp"
        } else {
            "element-wise"
        }
    }

    /// How the conditioners store their weights.
    #[must_use]
    pub fn number_format(&self) -> &'static str {
        let mut leaves = Vec::new();
        self.layers.leaves(&mut leaves);
        let quantized = leaves.iter().any(|layer| matches!(layer, Layer::AffineCoupling { net: Net::Int8 { .. }, .. }));
        if quantized { "int8" } else { "f32" }
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
        let parsed: Architecture = ron::from_str(text.as_str()).unwrap();
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
        let parsed: Architecture = ron::from_str(text.as_str()).unwrap();
        let name = short(std::any::type_name::<Detector<Flow<5, Quantized>, 64>>());
        // The compiler writes out the defaults.
        let name =
            name.replace(", Libm>", ">").replace(", StandardNormal<5>>", ">").replace(", StandardNormal<5>, 0>", ">");
        assert_eq!(parsed.rust_type(), name);
    }
}
