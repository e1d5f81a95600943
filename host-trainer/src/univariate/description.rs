//! What a map's type says, and its mathematics on stored bytes.

use flowlet::elementary::Elementary;
use flowlet::scale;
use flowlet::schema::Record;
use flowlet::spline::{self, SplineView};
use flowlet::univariate::affine;
use flowlet::univariate::sigmoidal::{self, SigmoidalView};
use flowlet::univariate::{self, MOST_PARTS, Monotone};
use serde::{Deserialize, Serialize};

use super::stride;
use crate::layers::scalar;
use crate::model::architecture::forever;

/// A map of one feature: a RON term that reads back as the core's canonical description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Map {
    /// `Additive`.
    Additive {},
    /// `Affine<S>`.
    Affine {
        /// S.
        scale: ScaleName,
    },
    /// `Spline<K, P>`.
    Spline {
        /// K.
        bins: usize,
        /// P.
        parameterization: ParameterizationName,
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

/// A type of [`flowlet::scale`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the types")]
pub enum ScaleName {
    Softsign,
    Exp,
    Softplus,
    Sigmoid,
    InverseSigmoid,
}

/// A parameterization of [`flowlet::spline`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the types")]
pub enum ParameterizationName {
    Softclip,
    Floored,
}

impl ScaleName {
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

impl ParameterizationName {
    fn record(self) -> &'static Record {
        match self {
            Self::Softclip => &spline::SOFTCLIP,
            Self::Floored => &spline::FLOORED,
        }
    }
}

impl Map {
    /// The core's record.
    #[must_use]
    pub fn record(&self) -> &'static Record {
        match self {
            Self::Additive {} => &univariate::additive::RECORD,
            Self::Affine { scale } => {
                let (parameters, fields) = (affine::parameters(scale.record()), affine::fields(scale.record()));
                forever(affine::record(forever(parameters), forever(fields)))
            }
            Self::Spline { bins, parameterization } => {
                let inner = parameterization.record();
                let (parameters, fields) = (spline::parameters(*bins, inner), spline::fields(inner));
                forever(spline::record(*bins, forever(parameters), forever(fields)))
            }
            Self::Sigmoidal { units } => forever(sigmoidal::record(*units, forever(sigmoidal::parameters(*units)))),
            Self::Turned { map } => {
                let map = map.record();
                let (parameters, fields) = (univariate::turned_parameters(map), univariate::turned_fields(map));
                forever(univariate::turned_record(map, forever(parameters), forever(fields)))
            }
        }
    }

    /// The type in Rust, with the names of the `flowlet` crate.
    #[must_use]
    pub fn rust_type(&self) -> String {
        match self {
            Self::Additive {} => "Additive".to_owned(),
            Self::Affine { scale: ScaleName::Softsign } => "Affine".to_owned(),
            Self::Affine { scale } => format!("Affine<scale::{}>", scale.record().name),
            Self::Spline { bins, parameterization: ParameterizationName::Softclip } => format!("Spline<{bins}>"),
            Self::Spline { bins, parameterization } => {
                format!("Spline<{bins}, spline::{}>", parameterization.record().name)
            }
            Self::Sigmoidal { units } => format!("Sigmoidal<{units}>"),
            Self::Turned { map } => format!("Turned<{}>", map.rust_type()),
        }
    }

    /// Outputs of the net for each feature, P.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Additive {} => 1,
            Self::Affine { .. } => 2,
            // Descriptions come from files, and are not checked yet.
            Self::Spline { bins, .. } => bins.saturating_mul(3).saturating_sub(1),
            Self::Sigmoidal { units } => units.saturating_mul(3),
            Self::Turned { map } => map.outputs(),
        }
    }

    /// Outputs of the net from one feature's to the next's.
    #[must_use]
    pub fn stride(&self) -> usize {
        stride(self.outputs())
    }

    /// Whether the shapes are those of a type, as the compiler checks them.
    #[must_use]
    pub fn fits(&self) -> bool {
        match self {
            Self::Additive {} | Self::Affine { .. } => true,
            Self::Spline { bins: parts, .. } | Self::Sigmoidal { units: parts } => (1..=MOST_PARTS).contains(parts),
            Self::Turned { map } => map.fits(),
        }
    }

    /// The mathematics on the values at the start of `bytes`, which moves behind them; `None` when they are too few.
    pub fn view(&self, bytes: &mut &[u8]) -> Option<MapView> {
        let mut next = || scalar::<f32>(bytes);
        Some(match self {
            Self::Additive {} => MapView::Additive(univariate::Additive),
            Self::Affine { scale } => match scale {
                ScaleName::Softsign => {
                    MapView::Softsign(univariate::Affine { scale: scale::Softsign { inverse_bound: next()? } })
                }
                ScaleName::Exp => MapView::Exp(univariate::Affine { scale: scale::Exp }),
                ScaleName::Softplus => {
                    MapView::Softplus(univariate::Affine { scale: scale::Softplus { floor: next()? } })
                }
                ScaleName::Sigmoid => MapView::Sigmoid(univariate::Affine { scale: scale::Sigmoid { floor: next()? } }),
                ScaleName::InverseSigmoid => {
                    MapView::InverseSigmoid(univariate::Affine { scale: scale::InverseSigmoid })
                }
            },
            Self::Spline { bins, parameterization } => {
                let (bins, bound) = (*bins, next()?);
                match parameterization {
                    ParameterizationName::Softclip => {
                        let parameterization = spline::Softclip { inverse_bound: next()? };
                        MapView::Softclip(SplineView { bins, bound, parameterization })
                    }
                    ParameterizationName::Floored => {
                        let parameterization = spline::Floored { share: next()?, derivative: next()? };
                        MapView::Floored(SplineView { bins, bound, parameterization })
                    }
                }
            }
            Self::Sigmoidal { units } => MapView::Sigmoidal(SigmoidalView { units: *units, inverse_bound: next()? }),
            Self::Turned { map } => MapView::Turned(Box::new(map.view(bytes)?)),
        })
    }
}

/// A map whose type is known at run time, with its stored numbers: the core's mathematics.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the variants are named as what they hold")]
pub enum MapView {
    Additive(univariate::Additive),
    Softsign(univariate::Affine<scale::Softsign>),
    Exp(univariate::Affine<scale::Exp>),
    Softplus(univariate::Affine<scale::Softplus>),
    Sigmoid(univariate::Affine<scale::Sigmoid>),
    InverseSigmoid(univariate::Affine<scale::InverseSigmoid>),
    Softclip(SplineView<spline::Softclip>),
    Floored(SplineView<spline::Floored>),
    Sigmoidal(SigmoidalView),
    Turned(Box<MapView>),
}

macro_rules! direction {
    ($name:ident, $opposite:ident) => {
        fn $name(&self, parameters: &[T], value: T) -> (T, T) {
            match self {
                Self::Additive(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Softsign(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Exp(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Softplus(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Sigmoid(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::InverseSigmoid(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Softclip(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Floored(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Sigmoidal(map) => Monotone::<T, E>::$name(map, parameters, value),
                Self::Turned(map) => Monotone::<T, E>::$opposite(&**map, parameters, value),
            }
        }
    };
}

impl<T: flowlet::Real, E: Elementary<T>> Monotone<T, E> for MapView {
    direction!(inverse, forward);
    direction!(forward, inverse);
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowlet::univariate::Univariate;
    use flowlet::{Additive, Affine, Libm, Sigmoidal, Spline, Turned, text::Text};

    fn described(record: &Record) -> String {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        record.describe(&mut text);
        text.as_str().to_owned()
    }

    /// What the compiler knows of a type is what its description says, and its bytes are the type's.
    fn check<U: Univariate + Monotone<f32, Libm>>(map: &U, rust_type: &str, stored: &[f32]) {
        let text = described(&U::RECORD);
        let read: Map = ron::from_str(&text).unwrap();
        assert_eq!(ron::to_string(&read).unwrap(), text);
        assert_eq!(described(read.record()), text);
        assert_eq!((read.record().size(), read.record().scratch), (U::RECORD.size(), U::RECORD.scratch));
        assert_eq!((read.outputs(), read.rust_type().as_str(), read.fits()), (U::OUTPUTS, rust_type, true));

        let bytes: Vec<u8> = stored.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(bytes.len(), U::RECORD.size());
        let mut rest = &bytes[..];
        let view = read.view(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert!(bytes.is_empty() || read.view(&mut &bytes[1..]).is_none());
        let parameters: Vec<f32> = (0..U::OUTPUTS).map(|k| (k as f32 * 1.7).sin()).collect();
        for step in -8..=8 {
            let value = step as f32 * 0.49;
            assert_eq!(Monotone::<f32, Libm>::inverse(&view, &parameters, value), map.inverse(&parameters, value));
            assert_eq!(Monotone::<f32, Libm>::forward(&view, &parameters, value), map.forward(&parameters, value));
        }
    }

    #[test]
    fn descriptions_are_those_of_the_types() {
        let floored = spline::Floored { share: 1e-3, derivative: 2e-3 };
        check(&Additive, "Additive", &[]);
        check(&Affine { scale: scale::Softsign { inverse_bound: 0.5 } }, "Affine", &[0.5]);
        check(&Affine { scale: scale::Exp }, "Affine<scale::Exp>", &[]);
        check(&Affine { scale: scale::Softplus { floor: 1e-3 } }, "Affine<scale::Softplus>", &[1e-3]);
        check(&Affine { scale: scale::Sigmoid { floor: 1e-3 } }, "Affine<scale::Sigmoid>", &[1e-3]);
        check(&Affine { scale: scale::InverseSigmoid }, "Affine<scale::InverseSigmoid>", &[]);
        let spline = Spline::<8, _> { bound: 3.0, parameterization: spline::Softclip { inverse_bound: 0.145 } };
        check(&spline, "Spline<8>", &[3.0, 0.145]);
        let spline = Spline::<5, _> { bound: 3.0, parameterization: floored };
        check(&spline, "Spline<5, spline::Floored>", &[3.0, 1e-3, 2e-3]);
        check(&Turned(spline), "Turned<Spline<5, spline::Floored>>", &[3.0, 1e-3, 2e-3]);
        check(&Sigmoidal::<7> { inverse_bound: 0.2 }, "Sigmoidal<7>", &[0.2]);
        check(&Turned(Affine { scale: scale::Softplus { floor: 1e-3 } }), "Turned<Affine<scale::Softplus>>", &[1e-3]);
    }

    #[test]
    fn shapes_that_no_type_has_are_seen() {
        for text in
            ["Spline(bins:0,parameterization:Softclip)", "Sigmoidal(units:33)", "Turned(map:Sigmoidal(units:0))"]
        {
            let map: Map = ron::from_str(text).unwrap();
            assert!(!map.fits(), "{text}");
        }
        let most = Map::Spline { bins: usize::MAX, parameterization: ParameterizationName::Floored };
        assert!(!most.fits() && most.outputs() > 0);
        assert!(ron::from_str::<Map>("Affine(scale:Softsign,bins:3)").is_err());
    }
}
