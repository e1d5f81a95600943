//! Any map in training.

use super::{
    Additive, Affine, Map, Parameterization, ParameterizationName, Scale, ScaleName, Sigmoidal, Spline, TrainMap,
    Turned,
};
use crate::image::Image;
use crate::train::Real;

/// A map with its stored numbers, which is trained and then written.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the variants are named as what they hold")]
pub enum MapValues {
    Additive(Additive),
    Affine(Affine),
    Spline(Spline),
    Sigmoidal(Sigmoidal),
    TurnedAdditive(Turned<Additive>),
    TurnedAffine(Turned<Affine>),
}

macro_rules! each {
    ($values:expr, $map:ident => $work:expr) => {
        match $values {
            MapValues::Additive($map) => $work,
            MapValues::Affine($map) => $work,
            MapValues::Spline($map) => $work,
            MapValues::Sigmoidal($map) => $work,
            MapValues::TurnedAdditive($map) => $work,
            MapValues::TurnedAffine($map) => $work,
        }
    };
}

macro_rules! from {
    ($($variant:ident: $map:ty),+ $(,)?) => {
        $(impl From<$map> for MapValues {
            fn from(map: $map) -> Self {
                Self::$variant(map)
            }
        })+
    };
}

from! {
    Additive: Additive,
    Affine: Affine,
    Spline: Spline,
    Sigmoidal: Sigmoidal,
    TurnedAdditive: Turned<Additive>,
    TurnedAffine: Turned<Affine>,
}

impl MapValues {
    /// What the map's type says.
    #[must_use]
    pub fn map(&self) -> Map {
        let turned = |map| Map::Turned { map: Box::new(map) };
        match self {
            Self::Additive(_) => Map::Additive {},
            Self::Affine(map) => map.map(),
            Self::Spline(map) => map.map(),
            Self::Sigmoidal(map) => map.map(),
            Self::TurnedAdditive(_) => turned(Map::Additive {}),
            Self::TurnedAffine(map) => turned(map.0.map()),
        }
    }

    /// What a squared error of an output costs in nats, given all outputs of the feature, up to a factor that is the same
    /// for all rows. Of a shift t, e^(-2s); of a log-scale before its clip, the squared slope of the clip. For other maps
    /// all outputs count alike.
    #[must_use]
    pub fn cost(&self, output: usize, outputs: &[f64]) -> f64 {
        match (self, outputs) {
            (Self::Affine(Affine { scale: Scale::Softsign { inverse_bound } }), [_, raw, ..]) => {
                let damping = 1.0 / (1.0 + raw.abs() * f64::from(*inverse_bound));
                if output == 0 { (-2.0 * raw * damping).exp() } else { damping.powi(4) }
            }
            _ => 1.0,
        }
    }

    /// Writes what the map stores, in the order of its record.
    pub fn write(&self, image: &mut Image) {
        match self {
            Self::Additive(_) | Self::TurnedAdditive(_) => {}
            Self::Affine(map) | Self::TurnedAffine(Turned(map)) => map.write(image),
            Self::Spline(map) => map.write(image),
            Self::Sigmoidal(map) => map.write(image),
        }
    }
}

impl Affine {
    fn map(self) -> Map {
        Map::Affine {
            scale: match self.scale {
                Scale::Softsign { .. } => ScaleName::Softsign,
                Scale::Exp => ScaleName::Exp,
                Scale::Softplus { .. } => ScaleName::Softplus,
                Scale::Sigmoid { .. } => ScaleName::Sigmoid,
                Scale::InverseSigmoid => ScaleName::InverseSigmoid,
            },
        }
    }

    fn write(self, image: &mut Image) {
        match self.scale {
            Scale::Softsign { inverse_bound: value }
            | Scale::Softplus { floor: value }
            | Scale::Sigmoid { floor: value } => {
                image.f32(value);
            }
            Scale::Exp | Scale::InverseSigmoid => {}
        }
    }
}

impl Spline {
    fn map(self) -> Map {
        Map::Spline {
            bins: self.bins,
            parameterization: match self.parameterization {
                Parameterization::Softclip { .. } => ParameterizationName::Softclip,
                Parameterization::Floored { .. } => ParameterizationName::Floored,
            },
        }
    }

    fn write(self, image: &mut Image) {
        image.f32(self.bound);
        match self.parameterization {
            Parameterization::Softclip { inverse_bound } => image.f32(inverse_bound),
            Parameterization::Floored { share, derivative } => image.f32s(&[share, derivative]),
        }
    }
}

impl Sigmoidal {
    fn map(self) -> Map {
        Map::Sigmoidal { units: self.units }
    }

    fn write(self, image: &mut Image) {
        image.f32(self.inverse_bound);
    }
}

impl<T: Real> TrainMap<T> for MapValues {
    fn outputs(&self) -> usize {
        each!(self, map => TrainMap::<T>::outputs(map))
    }

    fn kept(&self) -> usize {
        each!(self, map => TrainMap::<T>::kept(map))
    }

    fn start(&self) -> Vec<f64> {
        each!(self, map => TrainMap::<T>::start(map))
    }

    fn inverse(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
        each!(self, map => map.inverse(parameters, x, log_det, kept));
    }

    fn backward(&self, kept: &[T], gradient: &mut [T], log_det_gradient: &[T], parameter_gradient: &mut [T]) {
        each!(self, map => map.backward(kept, gradient, log_det_gradient, parameter_gradient));
    }
}
