//! Fixed maps of single features, for sensors whose readings have a sign or a range.

use std::fmt::Debug;
use std::sync::Arc;

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::elementwise::{self, Atanh, InverseSoftplus, Log, Logit, Map as ElementwiseMap, Power};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::view::slice;
use super::{Computed, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `Elementwise<D, M, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elementwise {
    /// D.
    pub features: usize,
    /// M.
    pub map: ElementMap,
    /// Elementary functions.
    pub elementary: Elementary,
}

/// A kind of map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the variants are the core's maps")]
pub enum ElementMap {
    Log {},
    InverseSoftplus {},
    Logit {},
    Atanh {},
    Power {},
}

impl ElementMap {
    fn record(self) -> &'static Record {
        match self {
            Self::Log {} => &Log::RECORD,
            Self::InverseSoftplus {} => &InverseSoftplus::RECORD,
            Self::Logit {} => &Logit::RECORD,
            Self::Atanh {} => &Atanh::RECORD,
            Self::Power {} => &Power::RECORD,
        }
    }
}

impl Kind for Elementwise {
    fn record(&self) -> &'static Record {
        let map = self.map.record();
        let parameters = elementwise::parameters(self.features, map, self.elementary.name());
        let fields = elementwise::fields(self.features, map);
        forever(elementwise::record(map, forever(parameters), forever(fields)))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Elementwise<{}, {}{}>", self.features, self.map.record().name, self.elementary.suffix())
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn is_triangular(&self) -> bool {
        true
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let (features, elementary) = (self.features, self.elementary);
        Some(match self.map {
            ElementMap::Log {} => Box::new(Computed(Maps::<Log>(slice(bytes, features)?), elementary)),
            ElementMap::InverseSoftplus {} => {
                Box::new(Computed(Maps::<InverseSoftplus>(slice(bytes, features)?), elementary))
            }
            ElementMap::Logit {} => Box::new(Computed(Maps::<Logit>(slice(bytes, features)?), elementary)),
            ElementMap::Atanh {} => Box::new(Computed(Maps::<Atanh>(slice(bytes, features)?), elementary)),
            ElementMap::Power {} => Box::new(Computed(Maps::<Power>(slice(bytes, features)?), elementary)),
        })
    }
}

#[derive(Debug)]
struct Maps<'a, M>(&'a [M]);

impl<M: ElementwiseMap + Debug + Send + Sync> Mathematics for Maps<'_, M> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        elementwise::inverse::<M, T, E>(self.0, x)
    }

    fn inverse_slopes<T: Real, E: Functions<T>>(&self, x: &mut [T], log_slopes: &mut [T], _: &[T]) {
        elementwise::inverse_slopes::<M, T, E>(self.0, x, log_slopes);
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        elementwise::forward::<M, T, E>(self.0, z)
    }
}

/// What a core's map lacks for a fit.
pub trait TrainedMap: ElementwiseMap + Copy + Debug + Send + Sync + 'static {
    /// Its kind.
    const MAP: ElementMap;

    /// d ln(dz/dx) / dx at x in the support.
    fn curvature(&self, x: f64) -> f64;

    /// Appends the image of its values.
    fn write(&self, image: &mut Image);
}

impl TrainedMap for Log {
    const MAP: ElementMap = ElementMap::Log {};

    fn curvature(&self, x: f64) -> f64 {
        -1.0 / x
    }

    fn write(&self, image: &mut Image) {
        image.u32(self.selected);
    }
}

impl TrainedMap for InverseSoftplus {
    const MAP: ElementMap = ElementMap::InverseSoftplus {};

    fn curvature(&self, x: f64) -> f64 {
        let scale = f64::from(self.scale);
        -1.0 / (scale * (x / scale).exp_m1())
    }

    fn write(&self, image: &mut Image) {
        image.f32(self.scale);
    }
}

macro_rules! bounded {
    ($($map:ident),*) => {$(
        impl TrainedMap for $map {
            const MAP: ElementMap = ElementMap::$map {};

            fn curvature(&self, x: f64) -> f64 {
                let [low, high] = self.bounds.map(f64::from);
                1.0 / (high - x) - 1.0 / (x - low)
            }

            fn write(&self, image: &mut Image) {
                image.u32(self.selected);
                image.f32s(&self.bounds);
            }
        }
    )*};
}

bounded!(Logit, Atanh);

impl TrainedMap for Power {
    const MAP: ElementMap = ElementMap::Power {};

    fn curvature(&self, x: f64) -> f64 {
        let exponent = f64::from(self.exponent);
        -(exponent - 1.0) / (exponent * x)
    }

    fn write(&self, image: &mut Image) {
        image.u32(self.exponent);
    }
}

/// Maps of single features in a flow that is trained. They are chosen by what is known of a sensor, and have nothing to
/// train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedElementwise<M> {
    /// A map for each feature.
    pub maps: Vec<M>,
}

impl<M: TrainedMap> TrainedElementwise<M> {
    /// The maps of the features that have one, with their indices.
    fn selected(&self) -> impl Iterator<Item = (usize, &M)> {
        self.maps.iter().enumerate().filter(|(_, map)| map.is_selected())
    }
}

impl<M: TrainedMap, T: train::Real> Trainable<T> for TrainedElementwise<M> {
    fn parameters(&self) -> usize {
        0
    }

    fn initialize(&self, _: &mut [T], _: &mut ChaCha8Rng) {}

    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, _: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let (rows, mut kept) = (batch.rows(), tape.buffer(0));
        for (feature, map) in self.selected() {
            let values = batch.feature_mut(feature);
            kept.extend_from_slice(values);
            for (x, log_det) in values.iter_mut().zip(&mut log_det[..rows]) {
                match map.inverse::<f64, Libm>(x.wide()) {
                    Some((z, log_slope)) => {
                        *x = T::of(z);
                        *log_det += T::of(log_slope);
                    }
                    None => *log_det = T::neg_infinity(),
                }
            }
        }
        tape.push(kept);
    }

    fn backward(&self, _: &[T], tape: &mut Tape<T>, gradient: &mut Batch<T>, log_det_gradient: &[T], _: &mut [T]) {
        let kept = tape.pop();
        for ((feature, map), kept) in self.selected().zip(kept.chunks_exact(gradient.rows().max(1))) {
            for ((gradient, x), weight) in gradient.feature_mut(feature).iter_mut().zip(kept).zip(log_det_gradient) {
                // A row outside of the support has no direction to go.
                *gradient = map.inverse::<f64, Libm>(x.wide()).map_or(T::zero(), |(_, log_slope)| {
                    *gradient * T::of(log_slope.exp()) + *weight * T::of(map.curvature(x.wide()))
                });
            }
        }
        tape.recycle(kept);
    }
}

impl<M: TrainedMap> Trained for TrainedElementwise<M> {
    fn layer(&self, _: NumberFormat) -> Layer {
        Elementwise { features: self.maps.len(), map: M::MAP, elementary: Elementary::Libm }.into()
    }

    fn write(&self, _: &[f32], image: &mut Image) {
        self.maps.iter().for_each(|map| map.write(image));
    }
}

/// Where the readings of a sensor can be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// Anywhere.
    #[default]
    All,
    /// Above 0.
    Positive,
    /// Between two bounds, and at neither.
    Between(f32, f32),
}

impl Support {
    /// Whether a reading is in it.
    #[must_use]
    pub fn contains(&self, x: f32) -> bool {
        match self {
            Self::All => true,
            Self::Positive => x > 0.0,
            Self::Between(low, high) => *low < x && x < *high,
        }
    }

    /// The layers that map each feature's support onto all numbers: none, where all features are everywhere already.
    #[must_use]
    pub fn layers(supports: &[Self]) -> Vec<Arc<dyn Trained>> {
        let mut layers: Vec<Arc<dyn Trained>> = Vec::new();
        if supports.contains(&Self::Positive) {
            let map = |support: &Self| Log { selected: u32::from(*support == Self::Positive) };
            layers.push(Arc::new(TrainedElementwise { maps: supports.iter().map(map).collect() }));
        }
        if supports.iter().any(|support| matches!(support, Self::Between(..))) {
            let map = |support: &Self| match support {
                Self::Between(low, high) => Logit { selected: 1, bounds: [*low, *high] },
                // The bounds keep their rule where they are not looked at, too.
                _ => Logit { selected: 0, bounds: [0.0, 1.0] },
            };
            layers.push(Arc::new(TrainedElementwise { maps: supports.iter().map(map).collect() }));
        }
        layers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The derivative of z + 0.7 ln(dz/dx), as the layer gives it and as it is measured.
    fn check<M: TrainedMap>(map: M, points: &[f64]) {
        let layer = TrainedElementwise { maps: vec![map] };
        for x in points {
            let value = |x: f64| {
                let (mut batch, mut log_det) = (Batch::<f64>::zeros(1, 1), [0.0]);
                batch.values_mut()[0] = x;
                let mut tape = Tape::default();
                Trainable::<f64>::inverse(&layer, &[], &mut batch, &[], &mut log_det, &mut tape);
                (batch.values()[0] + 0.7 * log_det[0], tape)
            };
            let (mut gradient, mut tape) = (Batch::<f64>::zeros(1, 1), value(*x).1);
            gradient.values_mut()[0] = 1.0;
            Trainable::<f64>::backward(&layer, &[], &mut tape, &mut gradient, &[0.7], &mut []);
            let measured = (value(x + 1e-6).0 - value(x - 1e-6).0) / 2e-6;
            let written = gradient.values()[0];
            assert!(
                (written - measured).abs() < 1e-5 * (1.0 + measured.abs()),
                "{map:?} at {x}: {written}, {measured}"
            );
            assert!(tape.is_empty());
        }
    }

    #[test]
    fn derivatives_are_those_of_central_differences() {
        check(Log { selected: 1 }, &[0.1, 1.0, 30.0]);
        check(InverseSoftplus { scale: 0.5 }, &[0.05, 0.7, 8.0]);
        check(Logit { selected: 1, bounds: [-1.0, 3.0] }, &[-0.9, 0.5, 2.9]);
        check(Atanh { selected: 1, bounds: [-1.0, 1.0] }, &[-0.9, 0.0, 0.8]);
        check(Power { exponent: 5 }, &[-3.0, -0.1, 0.2]);
        check(Power { exponent: 0 }, &[0.3]);
    }

    #[test]
    fn supports_become_layers() {
        let supports = [Support::Between(0.0, 100.0), Support::All, Support::Positive];
        let types = |supports: &[Support]| -> Vec<String> {
            Support::layers(supports).iter().map(|layer| layer.layer(NumberFormat::Float).rust_type()).collect()
        };
        assert_eq!(types(&supports), ["Elementwise<3, Log>", "Elementwise<3, Logit>"]);
        assert!(types(&[Support::All; 2]).is_empty());
        for (x, inside) in [([1.0, -1.0, 1.0], true), ([1.0, -1.0, 0.0], false), ([100.0, -1.0, 1.0], false)] {
            assert_eq!(supports.iter().zip(x).all(|(support, x)| support.contains(x)), inside);
            let (mut batch, mut log_det, mut image) = (Batch::<f32>::zeros(3, 1), [0.0], Image::default());
            batch.values_mut().copy_from_slice(&x);
            for layer in Support::layers(&supports) {
                Trainable::<f32>::inverse(&*layer, &[], &mut batch, &[], &mut log_det, &mut Tape::default());
                let start = image.0.len();
                layer.write(&[], &mut image);
                let Layer::Elementwise(kind) = layer.layer(NumberFormat::Float) else { panic!("element-wise") };
                assert_eq!(image.0.len() - start, kind.record().size());
                assert_eq!(kind.record().check(&image.0[start..], 0), Ok(image.0.len() - start));
            }
            assert_eq!(log_det[0].is_finite(), inside, "{x:?}");
        }
    }
}
