//! The architecture of a model as a value: what the model file's description says, and what a model's type is.
//!
//! The description is a RON term. Reading it gives these types, and writing them gives the same text back, byte for
//! byte, so the fingerprint can be computed on either side. The layers' own parts are in [`crate::layers`].

use flowlet::model_file::{self, MOST_FEATURES};
use flowlet::real::Scalar;
use flowlet::schema::Record;
use flowlet::signal::{self, Recipe, Signal as _};
use flowlet::{Fixed, calibration, monitor};
use ron::Options;
use ron::extensions::Extensions;
use serde::{Deserialize, Serialize};

use crate::base::Base;
use crate::layers::{Kind, Layer};

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
    /// What a monitor needs, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "plain")]
    pub monitor: Option<Monitor>,
    /// How f32 operations are ordered and rounded.
    pub arithmetic: Arithmetic,
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
        F32SeparateMultiplyAdd,
        /// Multiples of 2^-16 that saturate: `flowlet::Fixed`.
        Fixed16Saturating
    }
    /// A set of elementary functions.
    Elementary {
        /// `flowlet::Libm`.
        Libm,
        /// `flowlet::Fast`.
        Fast,
        /// `flowlet::Micromath`.
        Micromath
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

/// `Settings<D, T, S>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// D.
    pub features: usize,
    /// T.
    pub tail: usize,
    /// S.
    pub signal: Signal,
}

/// What readings are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Signal {
    /// `Raw`: nothing.
    Raw {},
    /// `Windows<M, W, HOP, STATISTICS, BANDS, LAGS, CORRELATIONS>`.
    Windows {
        /// M.
        channels: usize,
        /// W.
        window: usize,
        /// HOP.
        hop: usize,
        /// STATISTICS.
        statistics: u32,
        /// BANDS.
        bands: usize,
        /// LAGS.
        lags: usize,
        /// CORRELATIONS, 0 or 1.
        correlations: u8,
    },
}

impl Signal {
    /// A recipe, as descriptions have it.
    #[must_use]
    pub fn of(recipe: &Recipe) -> Self {
        let Recipe { channels, window, hop, statistics, bands, lags, correlations } = *recipe;
        Self::Windows { channels, window, hop, statistics, bands, lags, correlations: correlations.into() }
    }

    /// The recipe, unless readings come as they are.
    #[must_use]
    pub fn recipe(&self) -> Option<Recipe> {
        match *self {
            Self::Raw {} => None,
            Self::Windows { channels, window, hop, statistics, bands, lags, correlations } => {
                Some(Recipe { channels, window, hop, statistics, bands, lags, correlations: correlations != 0 })
            }
        }
    }

    fn record(&self) -> &'static Record {
        match self.recipe() {
            None => const { &signal::Raw::RECORD },
            Some(recipe) => forever(Record::stored("Windows", forever(recipe.parameters()), &[])),
        }
    }

    /// The Rust type, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        match self.recipe() {
            None => "signal::Raw".to_owned(),
            Some(Recipe { channels, window, hop, statistics, bands, lags, correlations }) => {
                format!("signal::Windows<{channels}, {window}, {hop}, {statistics}, {bands}, {lags}, {correlations}>")
            }
        }
    }
}

impl Monitor {
    fn record(&self) -> &'static Record {
        let parameters = monitor::parameters(self.features, self.tail, self.signal.record());
        forever(monitor::record(forever(parameters), forever(monitor::fields(self.features, self.tail))))
    }

    /// The Rust type, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        let Self { features, tail, signal } = self;
        match signal {
            Signal::Raw {} => format!("monitor::Settings<{features}, {tail}>"),
            Signal::Windows { .. } => format!("monitor::Settings<{features}, {tail}, {}>", signal.rust_type()),
        }
    }

    fn is_consistent(&self, features: usize) -> bool {
        let correlations = match self.signal {
            Signal::Raw {} => 0,
            Signal::Windows { correlations, .. } => correlations,
        };
        let makes = self.signal.recipe().is_none_or(|recipe| {
            recipe.channels <= MOST_FEATURES
                && recipe.bands <= recipe.window
                && recipe.problem().is_none()
                && recipe.features() == features
        });
        self.features == features && self.tail <= 1 << 12 && correlations <= 1 && makes
    }
}

/// An optional part of a description is there or not, without a word for it.
mod plain {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_unit(),
        }
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer).map(Some)
    }
}

/// The most layers that a description from a file may have: repetitions of repetitions are quickly written.
pub(crate) const MOST_LAYERS: usize = 4096;

/// Records refer to each other for as long as the program runs, as they do in the typed models. A process reads a
/// handful of models, so what their records take is let go of.
pub(crate) fn forever<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// An expression with the core's type of a set of elementary functions under a name.
macro_rules! with_functions {
    ($elementary:expr, $functions:ident => $expression:expr) => {
        match $elementary {
            $crate::model::architecture::Elementary::Libm => {
                type $functions = flowlet::Libm;
                $expression
            }
            $crate::model::architecture::Elementary::Fast => {
                type $functions = flowlet::Fast;
                $expression
            }
            $crate::model::architecture::Elementary::Micromath => {
                type $functions = flowlet::Micromath;
                $expression
            }
        }
    };
}
pub(crate) use with_functions;

impl Arithmetic {
    /// Its name in descriptions.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32SeparateMultiplyAdd => f32::ARITHMETIC,
            Self::Fixed16Saturating => Fixed::ARITHMETIC,
        }
    }
}

/// What a device computes in, apart from its nets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numerics {
    /// The scalar.
    pub arithmetic: Arithmetic,
    /// The elementary functions.
    pub elementary: Elementary,
}

impl Default for Numerics {
    fn default() -> Self {
        Self { arithmetic: Arithmetic::F32SeparateMultiplyAdd, elementary: Elementary::Libm }
    }
}

impl Elementary {
    /// Its name, as in descriptions and in Rust.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Libm => "Libm",
            Self::Fast => "Fast",
            Self::Micromath => "Micromath",
        }
    }

    /// As the last parameter of a type in Rust, where the accurate ones need no word.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Libm => "",
            Self::Fast => ", Fast",
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
            monitor: match &self.monitor {
                None => const { &<() as monitor::MonitorRecord>::RECORD },
                Some(monitor) => monitor.record(),
            },
            arithmetic: self.arithmetic.name(),
        }
    }

    /// The Rust type, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        let (layers, knots) = (self.layers.rust_type(), self.calibration.knots);
        let base = self.base.kind().rust_type();
        let named = || base.clone().unwrap_or_else(|| format!("StandardNormal<{}>", self.features));
        let tail = match (self.arithmetic, &base, self.context) {
            (Arithmetic::Fixed16Saturating, _, context) => format!(", {}, {context}, Fixed", named()),
            (_, None, 0) => String::new(),
            (_, _, context) => format!(", {}, {context}", named()),
        };
        let monitor = self.monitor.map_or(String::new(), |monitor| format!(", {}", monitor.rust_type()));
        format!("Detector<Flow<{}, {layers}{tail}>, {knots}{monitor}>", self.features)
    }

    /// Whether the shapes fit together, as the compiler checks them for a type: for descriptions that come from a file.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        (1..=MOST_FEATURES).contains(&self.features)
            && self.context <= MOST_FEATURES
            && self.base.kind().fits(self.features)
            && self.calibration.knots <= 1 << 16
            && self.monitor.is_none_or(|monitor| monitor.is_consistent(self.features))
            && self.layers.count().is_some_and(|layers| layers <= MOST_LAYERS)
            && self.layers.fits(self.features, self.context)
            && self.layers.directions().inverse
    }

    /// Calls `visit` with every layer that is not a composition, in order, those of the flows that the base consists of
    /// included, as often as its type is named.
    fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Kind)) {
        self.layers.each(visit);
        if let Some((_, layers)) = self.base.kind().flows() {
            layers.each(visit);
        }
    }

    /// Numbers that a fit chooses, in all layers.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let of_base = self.base.kind().flows().map_or(0, |(times, layers)| times * layers.parameters());
        self.layers.parameters() + of_base
    }

    /// Flows that the density is a mixture of.
    #[must_use]
    pub fn members(&self) -> usize {
        self.base.kind().flows().map_or(1, |(times, _)| times)
    }

    /// Whether the layers have the direction base -> data.
    #[must_use]
    pub fn samples(&self) -> bool {
        let forward = |layers: &Layer| layers.directions().forward;
        forward(&self.layers) && self.base.kind().flows().is_none_or(|(_, layers)| forward(layers))
    }

    /// The family of flows it belongs to, by the layers that transform.
    #[must_use]
    pub fn family(&self) -> &'static str {
        let mut family = "element-wise";
        self.each(&mut |layer| {
            if let Some((name, _)) = layer.family().filter(|(name, _)| *name != "element-wise") {
                family = name;
            }
        });
        family
    }

    /// How the conditioners store their weights.
    #[must_use]
    pub fn number_format(&self) -> &'static str {
        let (mut int8, mut float) = (false, false);
        self.each(&mut |layer| match layer.family() {
            Some((_, Some(NumberFormat::Int8))) => int8 = true,
            Some((_, Some(NumberFormat::Float))) => float = true,
            _ => {}
        });
        match (int8, float) {
            (true, true) => "int8 and f32",
            (true, false) => NumberFormat::Int8.name(),
            (false, _) => NumberFormat::Float.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlet::monitor::Settings;
    use flowlet::signal::Windows;
    use flowlet::text::Text;
    use flowlet::{
        AffineCoupling, Chain, Cube, Detector, Ensemble, Fast, Float, Flow, Householder, Int8, LuLinear, Micromath,
        Permute, Planar, Pointwise, Radial, Reverse, StandardNormal, Standardize, StudentT, Sylvester, Turned,
    };

    type Quantized = Chain<Standardize<5>, [Chain<Permute<5>, AffineCoupling<2, 3, Int8<1, 4, 2, 2>>>; 4]>;
    type Linear = Chain<
        Chain<LuLinear<6>, Householder<6, 2>>,
        Chain<
            Pointwise<2, 3, Pointwise<1, 2, LuLinear<1>>>,
            Turned<Chain<Chain<Planar<6>, Radial<6, Micromath>>, Chain<Sylvester<6, 4>, Pointwise<3, 2, Planar<3>>>>>,
        >,
    >;
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
        assert_eq!(back.macs(), core.macs());
        assert_eq!(back.ram(), core.ram());
    }

    #[test]
    fn descriptions_of_types_read_back_as_the_same_architecture() {
        check(&Detector::<Flow<5, Quantized>, 64>::ARCHITECTURE);
        check(&Detector::<Flow<5, Coarse>, 1>::ARCHITECTURE);
        check(&Detector::<Flow<5, Coarse>, 1, Settings<5, 4>>::ARCHITECTURE);
        check(&Detector::<Flow<5, Coarse>, 1, Settings<5, 4, Windows<1, 64, 32, 3, 3>>>::ARCHITECTURE);
        check(&Detector::<Flow<6, Linear>, 1>::ARCHITECTURE);
        type Members = Ensemble<5, 3, Quantized>;
        type Tailed = Ensemble<5, 2, Coarse, StudentT<5>, Fast>;
        check(&Detector::<Flow<5, Standardize<5>, Members>, 1>::ARCHITECTURE);
        check(&Detector::<Flow<5, Standardize<5>, Tailed>, 1>::ARCHITECTURE);
        check(&Detector::<Flow<5, Turned<Quantized>, StandardNormal<5>, 3>, 7>::ARCHITECTURE);
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
        // The compiler writes out the defaults, and what an alias stands for.
        let name = name
            .replace(", Affine, Libm>", ">")
            .replace(", Affine<Softsign>, Libm>", ">")
            .replace(", Libm>", ">")
            .replace(", StandardNormal<5>>", ">")
            .replace(", StandardNormal<5>, 0>", ">")
            .replace(", Plain>", ">")
            .replace("Coupling<", "AffineCoupling<");
        assert_eq!(parsed.rust_type(), name);
    }
}
