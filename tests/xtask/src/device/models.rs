//! The models whose scores are counted: one shape in several families and number formats, with random values.

use anyhow::Result;
use flowlet::model_file::Architecture;
use flowlet::registry::quads;
use flowlet::{
    Additive, Affine, AffineCoupling, Chain, Coupling, Detector, Fast, Fixed, Float, Flow, Int8, MaskedAutoregressive,
    Permute, Spline, StandardNormal, Standardize, registry,
};
use flowlet_tests::costs::random;
use flowlet_tests::models::Style;
use flowlet_trainer::model::Model;

/// What is counted, and its type as data.
pub struct Counted {
    /// Its name in tables.
    pub what: &'static str,
    /// On every board, or only where each kind of core is seen once.
    pub everywhere: bool,
    architecture: &'static Architecture,
}

/// Eight features, and a layer six times behind a permutation.
type Six<L, T = f32> =
    Detector<Flow<8, Chain<Standardize<8>, [Chain<Permute<8>, L>; 6]>, StandardNormal<8>, 0, T>, 128>;

/// Two hidden layers of 32 units, for so many outputs.
type Net<const OUTPUTS: usize> = Int8<1, 8, 1, OUTPUTS>;

/// Of a masked autoregressive layer with as wide a net.
type Masked = MaskedAutoregressive<8, registry!(@masked MaskedInt8, 8, 0, Affine, 8, 1, flowlet::Plain)>;

/// The outputs of a spline of 8 bins for four features, in quads.
const SPLINE: usize = quads(4 * 24);

macro_rules! counted {
    ($($what:literal, $everywhere:literal: $model:ty;)*) => {
        &[$(Counted { what: $what, everywhere: $everywhere, architecture: &<$model>::ARCHITECTURE }),*]
    };
}

/// All of them, beside the committed model of the rig.
pub const MODELS: &[Counted] = counted! {
    "score coupling f32", true: Six<AffineCoupling<4, 4, Float<1, 8, 1, 2>>>;
    "score coupling int8, fast", true: Six<AffineCoupling<4, 4, Net<2>, Fast>>;
    "score coupling int8, fixed point", true: Six<AffineCoupling<4, 4, Net<2>>, Fixed>;
    "score additive int8", false: Six<Coupling<4, 4, Net<1>, Additive>>;
    "score additive int8, fixed point", false: Six<Coupling<4, 4, Net<1>, Additive>, Fixed>;
    "score autoregressive int8", false: Six<Masked>;
    "score autoregressive int8, fixed point", false: Six<Masked, Fixed>;
    "score spline int8", false: Six<Coupling<4, 4, Net<SPLINE>, Spline<8>>>;
    "score spline int8, fixed point", false: Six<Coupling<4, 4, Net<SPLINE>, Spline<8>>, Fixed>;
};

impl Counted {
    /// A model of this type with random values.
    pub fn model(&self) -> Result<Model> {
        random(self.architecture, Style::Fitted)
    }
}
