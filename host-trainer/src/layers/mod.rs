//! Layers as the host knows them, one file each: what a layer's type says, its mathematics on the image of its values,
//! and how it is trained and written.
//!
//! [`Layer`] is the value of a type: a RON term that reads back as the same text, byte for byte, as the core's canonical
//! description. A new layer is a file beside its neighbours and its name in the list of `kinds!`.

mod act_norm;
mod batched;
mod branchless;
mod conditioned;
mod continuous;
mod coupling;
mod cube;
mod elementwise;
mod fold;
mod householder;
mod lu_linear;
mod masked_autoregressive;
mod permute;
mod planar;
mod pointwise;
mod radial;
mod reverse;
mod sequence;
mod standardize;
mod sylvester;
mod trained;
mod view;

pub use act_norm::TrainedActNorm;
pub use continuous::{Continuous, Solver, TrainedContinuous};
pub use coupling::{Coupling, TrainedCoupling};
pub use cube::Cube;
pub use elementwise::{ElementMap, Elementwise, Support, TrainedElementwise, TrainedMap};
pub use fold::{Piece, fold};
pub use householder::{Householder, TrainedHouseholder};
pub use lu_linear::{LuLinear, TrainedLuLinear};
pub use masked_autoregressive::{MaskedAutoregressive, TrainedMaskedAutoregressive};
pub use permute::{Permute, TrainedPermute};
pub use planar::{Planar, TrainedPlanar};
pub use pointwise::{Pointwise, TrainedPointwise};
pub use radial::{Radial, TrainedRadial};
pub use reverse::Reverse;
pub use sequence::{Sequence, compose};
pub use standardize::Standardize;
pub use sylvester::{Sylvester, TrainedSylvester};
pub use trained::{Rows, Trainable, Trained};
pub use view::{Computed, Mathematics, View, scalar, slice};

use std::fmt::Debug;

use flowlet::layers::standardize_context;
use flowlet::schema::{Record, Schema};
use serde::{Deserialize, Serialize};

use crate::model::architecture::{Elementary, NumberFormat, forever};

/// What a layer's type says.
pub trait Kind: Debug + Send + Sync {
    /// The core's record.
    fn record(&self) -> &'static Record;

    /// The type in Rust, with the names of the `flowlet` crate.
    fn rust_type(&self) -> String;

    /// Whether the shapes fit a flow of so many features and context values, as the compiler checks them for a type.
    fn fits(&self, features: usize, context: usize) -> bool;

    /// The mathematics on the values at the start of `bytes`, which moves behind them; `None` when they are too few.
    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>>;

    /// Takes other elementary functions, if it has any.
    fn compute_with(&mut self, _: Elementary) {}

    /// Which directions it has.
    fn directions(&self) -> Directions {
        Directions { inverse: true, forward: true }
    }

    /// Whether it maps each feature by itself and by features before it, and so gives each a log-slope.
    fn is_triangular(&self) -> bool {
        false
    }

    /// The family of flows that it makes, and how its net stores weights; `None` for layers without a part in that.
    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        None
    }

    /// Numbers that a fit chooses, without the padding to quads.
    fn parameters(&self) -> usize {
        0
    }
}

/// The directions that a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directions {
    /// Data -> base: densities.
    pub inverse: bool,
    /// Base -> data: samples.
    pub forward: bool,
}

impl Directions {
    fn and(self, other: Self) -> Self {
        Self { inverse: self.inverse && other.inverse, forward: self.forward && other.forward }
    }
}

macro_rules! kinds {
    ($($(#[$docs:meta])* $name:ident),+ $(,)?) => {
        /// A layer, or a composition of layers.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Layer {
            /// `Chain<A, B>`.
            Chain(Box<Layer>, Box<Layer>),
            /// `[L; N]`.
            Repeat(usize, Box<Layer>),
            /// `Turned<L>`.
            Turned(Box<Layer>),
            /// `StandardizeContext<C, L>`.
            StandardizeContext {
                /// C.
                context: usize,
                /// L.
                layers: Box<Layer>,
            },
            $($(#[$docs])* $name($name)),+
        }

        impl Layer {
            /// The layer, unless it is a composition.
            fn kind(&self) -> Option<&dyn Kind> {
                match self {
                    Self::Chain(..) | Self::Repeat(..) | Self::Turned(..) | Self::StandardizeContext { .. } => None,
                    $(Self::$name(kind) => Some(kind)),+
                }
            }
        }

        impl Layer {
            fn kind_mut(&mut self) -> Option<&mut dyn Kind> {
                match self {
                    Self::Chain(..) | Self::Repeat(..) | Self::Turned(..) | Self::StandardizeContext { .. } => None,
                    $(Self::$name(kind) => Some(kind)),+
                }
            }
        }

        $(impl From<$name> for Layer {
            fn from(kind: $name) -> Self {
                Self::$name(kind)
            }
        })+
    };
}

kinds! {
    /// Another unit for every feature.
    Standardize,
    /// Another order of the features.
    Permute,
    /// The opposite order of the features.
    Reverse,
    /// x = z³.
    Cube,
    /// A fixed map for each feature.
    Elementwise,
    /// Some features condition the others.
    Coupling,
    /// Every feature is conditioned on those before it.
    MaskedAutoregressive,
    /// Triangular factors of a matrix.
    LuLinear,
    /// Reflections.
    Householder,
    /// A step across a hyperplane.
    Planar,
    /// A step around a center.
    Radial,
    /// Steps across hyperplanes.
    Sylvester,
    /// A layer at every position.
    Pointwise,
    /// Along a velocity.
    Continuous,
}

/// Compositions have schemas, not records.
const NOTHING: Record = Record::stored("", &[], &[]);

impl Layer {
    /// One after the other.
    #[must_use]
    pub fn then(self, next: impl Into<Self>) -> Self {
        Self::Chain(Box::new(self), Box::new(next.into()))
    }

    /// The core's schema.
    pub fn schema(&self) -> &'static Schema {
        forever(match self {
            Self::Chain(first, second) => Schema::Chain(first.schema(), second.schema()),
            Self::Repeat(times, layer) => Schema::Repeat(*times, layer.schema()),
            Self::Turned(layer) => Schema::Turned(layer.schema()),
            Self::StandardizeContext { context, layers } => {
                let (parameters, fields) = (
                    forever(standardize_context::parameters(*context)),
                    forever(standardize_context::fields(*context)),
                );
                let record = standardize_context::record(*context, parameters, fields);
                Schema::Within(forever(record), layers.schema())
            }
            leaf => Schema::Layer(leaf.kind().map_or(&NOTHING, Kind::record)),
        })
    }

    /// The type in Rust.
    pub fn rust_type(&self) -> String {
        match self {
            Self::Chain(first, second) => format!("Chain<{}, {}>", first.rust_type(), second.rust_type()),
            Self::Repeat(times, layer) => format!("[{}; {times}]", layer.rust_type()),
            Self::Turned(layer) => format!("Turned<{}>", layer.rust_type()),
            Self::StandardizeContext { context, layers } => {
                format!("StandardizeContext<{context}, {}>", layers.rust_type())
            }
            leaf => leaf.kind().map_or_else(String::new, Kind::rust_type),
        }
    }

    /// Whether all shapes fit a flow of so many features and context values.
    pub fn fits(&self, features: usize, context: usize) -> bool {
        match self {
            Self::Chain(first, second) => first.fits(features, context) && second.fits(features, context),
            Self::Repeat(_, layer) | Self::Turned(layer) => layer.fits(features, context),
            Self::StandardizeContext { context: own, layers } => *own == context && layers.fits(features, context),
            leaf => leaf.kind().is_some_and(|kind| kind.fits(features, context)),
        }
    }

    /// Layers and compositions of layers, repetitions counted; `None` for more than a `usize` holds.
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Chain(first, second) => first.count()?.checked_add(second.count()?)?.checked_add(1),
            Self::Repeat(times, layer) => layer.count()?.checked_mul(*times)?.checked_add(1),
            Self::Turned(layer) | Self::StandardizeContext { layers: layer, .. } => layer.count()?.checked_add(1),
            _ => Some(1),
        }
    }

    /// Which directions the composition has.
    pub fn directions(&self) -> Directions {
        match self {
            Self::Chain(first, second) => first.directions().and(second.directions()),
            Self::Repeat(_, layer) | Self::StandardizeContext { layers: layer, .. } => layer.directions(),
            Self::Turned(layer) => {
                let Directions { inverse, forward } = layer.directions();
                Directions { inverse: forward, forward: inverse }
            }
            leaf => leaf.kind().map_or(Directions { inverse: false, forward: false }, Kind::directions),
        }
    }

    /// Whether all layers map each feature by itself and by features before it, each in an order of its own.
    pub fn is_triangular(&self) -> bool {
        match self {
            Self::Chain(first, second) => first.is_triangular() && second.is_triangular(),
            Self::Repeat(_, layer) | Self::StandardizeContext { layers: layer, .. } => layer.is_triangular(),
            // What the core has no log-slopes of in the other direction.
            Self::Turned(_) => false,
            leaf => leaf.kind().is_some_and(Kind::is_triangular),
        }
    }

    /// Numbers that a fit chooses.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Chain(first, second) => first.parameters() + second.parameters(),
            Self::Repeat(times, layer) => times * layer.parameters(),
            Self::Turned(layer) | Self::StandardizeContext { layers: layer, .. } => layer.parameters(),
            leaf => leaf.kind().map_or(0, Kind::parameters),
        }
    }

    /// Takes other elementary functions.
    pub fn compute_with(&mut self, elementary: Elementary) {
        match self {
            Self::Chain(first, second) => {
                first.compute_with(elementary);
                second.compute_with(elementary);
            }
            Self::Repeat(_, layer) | Self::Turned(layer) | Self::StandardizeContext { layers: layer, .. } => {
                layer.compute_with(elementary);
            }
            leaf => leaf.kind_mut().into_iter().for_each(|kind| kind.compute_with(elementary)),
        }
    }

    /// Calls `visit` with every layer that is not a composition, in order, as often as its type is named.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a dyn Kind)) {
        match self {
            Self::Chain(first, second) => {
                first.each(visit);
                second.each(visit);
            }
            Self::Repeat(_, layer) | Self::Turned(layer) | Self::StandardizeContext { layers: layer, .. } => {
                layer.each(visit);
            }
            leaf => leaf.kind().into_iter().for_each(visit),
        }
    }

    /// The mathematics on the image at the start of `bytes`, which moves behind it; `None` when the bytes are too few.
    pub fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        Some(match self {
            Self::Chain(first, second) => {
                let first = first.view(bytes)?;
                Box::new(view::Chain(first, second.view(bytes)?))
            }
            Self::Repeat(times, layer) => {
                Box::new(view::Repeat((0..*times).map(|_| layer.view(bytes)).collect::<Option<_>>()?))
            }
            Self::Turned(layer) => Box::new(view::Turned(layer.view(bytes)?)),
            Self::StandardizeContext { context, layers } => {
                let (mean, inverse_scale) = (slice(bytes, *context)?, slice(bytes, *context)?);
                Box::new(view::StandardizeContext { mean, inverse_scale, layers: layers.view(bytes)? })
            }
            leaf => leaf.kind()?.view(bytes)?,
        })
    }
}
