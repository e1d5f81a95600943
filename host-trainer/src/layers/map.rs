//! Maps of one feature whose parameters a net computes, as descriptions and with shapes at run time.

use flowlet::elementary::Elementary as Functions;
use flowlet::schema::Record;
use flowlet::univariate::scale::{self, Exp, InverseSigmoid, Sigmoid, Softplus, Softsign};
use flowlet::univariate::sigmoidal::{self, SigmoidalView};
use flowlet::univariate::spline::{self, Floored, Softclip, SplineView};
use flowlet::univariate::{MOST_PARTS, additive, affine, stride, turned_fields, turned_parameters, turned_record};
use flowlet::{Additive, Affine, Monotone, Real, Turned};
use serde::{Deserialize, Serialize};

use super::view::scalar;
use crate::model::architecture::forever;

/// A map's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Map {
    /// `Additive`.
    Additive {},
    /// `Affine<S>`.
    Affine {
        /// S.
        scale: Scale,
    },
    /// `Spline<K, P>`.
    Spline {
        /// K.
        bins: usize,
        /// P.
        parameterization: Parameterization,
    },
    /// `Sigmoidal<K>`.
    Sigmoidal {
        /// K.
        units: usize,
    },
    /// `Turned<U>`.
    Turned {
        /// U.
        map: Box<Map>,
    },
}

/// From a net's output to a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are the types named")]
pub enum Scale {
    Softsign,
    Exp,
    Softplus,
    Sigmoid,
    InverseSigmoid,
}

/// From a net's outputs to the knots of a spline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are the types named")]
pub enum Parameterization {
    Softclip,
    Floored,
}

impl Scale {
    fn record(self) -> &'static Record {
        match self {
            Self::Softsign => &scale::SOFTSIGN,
            Self::Exp => &scale::EXP,
            Self::Softplus => &scale::SOFTPLUS,
            Self::Sigmoid => &scale::SIGMOID,
            Self::InverseSigmoid => &scale::INVERSE_SIGMOID,
        }
    }
}

impl Parameterization {
    fn record(self) -> &'static Record {
        match self {
            Self::Softclip => &spline::SOFTCLIP,
            Self::Floored => &spline::FLOORED,
        }
    }
}

impl Map {
    /// A shift, and a log-scale that passes through a soft clip.
    pub const AFFINE: Self = Self::Affine { scale: Scale::Softsign };

    /// The core's record.
    #[must_use]
    pub fn record(&self) -> &'static Record {
        forever(match self {
            Self::Additive {} => additive::RECORD,
            Self::Affine { scale } => {
                let scale = scale.record();
                affine::record(forever(affine::parameters(scale)), forever(affine::fields(scale)))
            }
            Self::Spline { bins, parameterization } => {
                let parameterization = parameterization.record();
                let parameters = forever(spline::parameters(*bins, parameterization));
                spline::record(*bins, parameters, forever(spline::fields(parameterization)))
            }
            Self::Sigmoidal { units } => sigmoidal::record(*units, forever(sigmoidal::parameters(*units))),
            Self::Turned { map } => {
                let map = map.record();
                turned_record(map, forever(turned_parameters(map)), forever(turned_fields(map)))
            }
        })
    }

    /// The type in Rust.
    #[must_use]
    pub fn rust_type(&self) -> String {
        match self {
            Self::Additive {} => "Additive".to_owned(),
            Self::Affine { scale: Scale::Softsign } => "Affine".to_owned(),
            Self::Affine { scale } => format!("Affine<scale::{}>", scale.record().name),
            Self::Spline { bins, parameterization: Parameterization::Softclip } => format!("Spline<{bins}>"),
            Self::Spline { bins, parameterization } => {
                format!("Spline<{bins}, spline::{}>", parameterization.record().name)
            }
            Self::Sigmoidal { units } => format!("Sigmoidal<{units}>"),
            Self::Turned { map } => format!("Turned<{}>", map.rust_type()),
        }
    }

    /// Whether there are such maps.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        match self {
            Self::Additive {} | Self::Affine { .. } => true,
            Self::Spline { bins: parts, .. } | Self::Sigmoidal { units: parts } => (1..=MOST_PARTS).contains(parts),
            Self::Turned { map } => map.is_possible(),
        }
    }

    /// Outputs of the net for each feature.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Additive {} => 1,
            Self::Affine { .. } => 2,
            Self::Spline { bins, .. } => spline::outputs(*bins),
            Self::Sigmoidal { units } => sigmoidal::outputs(*units),
            Self::Turned { map } => map.outputs(),
        }
    }

    /// How far apart the outputs of two features are.
    #[must_use]
    pub fn stride(&self) -> usize {
        stride(self.outputs())
    }

    /// The family of flows that couplings by it make.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self {
            Self::Additive {} => "nice",
            Self::Affine { .. } => "realnvp",
            Self::Spline { .. } => "neural spline",
            Self::Sigmoidal { .. } => "deep sigmoidal",
            Self::Turned { map } => map.family(),
        }
    }

    /// The map on the values at the start of `bytes`, which moves behind them; `None` when they are too few.
    pub fn view(&self, bytes: &mut &[u8]) -> Option<MapView> {
        Some(match self {
            Self::Additive {} => MapView::Additive,
            Self::Affine { scale } => match scale {
                Scale::Softsign => MapView::Softsign(Affine { scale: Softsign { inverse_bound: scalar(bytes)? } }),
                Scale::Exp => MapView::Exp,
                Scale::Softplus => MapView::Softplus(Affine { scale: Softplus { floor: scalar(bytes)? } }),
                Scale::Sigmoid => MapView::Sigmoid(Affine { scale: Sigmoid { floor: scalar(bytes)? } }),
                Scale::InverseSigmoid => MapView::InverseSigmoid,
            },
            Self::Spline { bins, parameterization } => {
                let (bins, bound) = (*bins, scalar(bytes)?);
                match parameterization {
                    Parameterization::Softclip => {
                        let parameterization = Softclip { inverse_bound: scalar(bytes)? };
                        MapView::Softclip(SplineView { bins, bound, parameterization })
                    }
                    Parameterization::Floored => {
                        let parameterization = Floored { share: scalar(bytes)?, derivative: scalar(bytes)? };
                        MapView::Floored(SplineView { bins, bound, parameterization })
                    }
                }
            }
            Self::Sigmoidal { units } => {
                MapView::Sigmoidal(SigmoidalView { units: *units, inverse_bound: scalar(bytes)? })
            }
            Self::Turned { map } => MapView::Turned(Box::new(map.view(bytes)?)),
        })
    }
}

/// A map with shapes at run time: the core's mathematics of each.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are the types named")]
pub enum MapView {
    Additive,
    Softsign(Affine<Softsign>),
    Exp,
    Softplus(Affine<Softplus>),
    Sigmoid(Affine<Sigmoid>),
    InverseSigmoid,
    Softclip(SplineView<Softclip>),
    Floored(SplineView<Floored>),
    Sigmoidal(SigmoidalView),
    Turned(Box<MapView>),
}

macro_rules! each {
    ($view:expr, $map:ident => $result:expr) => {
        match $view {
            Self::Additive => {
                let $map = &Additive;
                $result
            }
            Self::Softsign($map) => $result,
            Self::Exp => {
                let $map = &Affine { scale: Exp };
                $result
            }
            Self::Softplus($map) => $result,
            Self::Sigmoid($map) => $result,
            Self::InverseSigmoid => {
                let $map = &Affine { scale: InverseSigmoid };
                $result
            }
            Self::Softclip($map) => $result,
            Self::Floored($map) => $result,
            Self::Sigmoidal($map) => $result,
            Self::Turned(map) => {
                let $map = &Turned(&**map);
                $result
            }
        }
    };
}

impl<T: Real, E: Functions<T>> Monotone<T, E> for MapView {
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        each!(self, map => Monotone::<T, E>::inverse(map, parameters, x))
    }

    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        each!(self, map => Monotone::<T, E>::forward(map, parameters, z))
    }
}
