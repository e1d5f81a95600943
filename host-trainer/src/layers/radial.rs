//! Radial flow, "Variational Inference with Normalizing Flows" (Rezende, Mohamed 2015), equation 14.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::radial::{self, RadialView};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::batched::{sigmoid, softplus};
use super::planar::normal;
use super::view::{scalar, slice};
use super::{Computed, Directions, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `Radial<D, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radial {
    /// D.
    pub features: usize,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Radial {
    fn record(&self) -> &'static Record {
        let parameters = forever(radial::parameters(self.features, self.elementary.name()));
        forever(radial::record(self.features, parameters, forever(radial::fields(self.features))))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Radial<{}{}>", self.features, self.elementary.suffix())
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view =
            RadialView { center: slice(bytes, self.features)?, alpha: scalar(bytes)?, alpha_plus_beta: scalar(bytes)? };
        Some(Box::new(Computed(view, self.elementary)))
    }

    fn directions(&self) -> Directions {
        Directions { inverse: false, forward: true }
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        Some(("radial", None))
    }

    fn parameters(&self) -> usize {
        self.features + 2
    }
}

impl Mathematics for RadialView<'_> {
    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        RadialView::forward::<T, E>(self, z)
    }
}

/// Base -> data, `x = z + β / (α + r) (z - z₀)` with `r = |z - z₀|`, so in a density the layer is turned. Parameters are z₀
/// and what softplus makes α and α + β of (appendix A.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedRadial {
    features: usize,
}

/// The numbers of one row.
struct Row<T> {
    /// α + r.
    reach: T,
    /// (α + β + r) / (α + r).
    ratio: T,
    /// α / (α + r).
    near: T,
}

impl<T: train::Real> Row<T> {
    fn new(alpha: T, stretched: T, distance: T) -> Self {
        let reach = alpha + distance;
        Self { reach, ratio: (stretched + distance) / reach, near: alpha / reach }
    }

    /// The derivative along the radius.
    fn along(&self) -> T {
        T::one() + self.near * (self.ratio - T::one())
    }
}

impl TrainedRadial {
    /// On so many features.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { features }
    }

    /// z₀, α and α + β; the last two are above 0 whatever is fitted.
    fn split<T: train::Real>(parameters: &[T]) -> (&[T], T, T) {
        let (lengths, center) = (&parameters[parameters.len() - 2..], &parameters[..parameters.len() - 2]);
        let positive = |raw: T| softplus(raw).max(T::of(1e-18));
        (center, positive(lengths[0]), positive(lengths[1]))
    }

    /// The distance of each row from the center, by how far away it is in each feature.
    fn distances<T: train::Real>(away: &[T], distances: &mut [T]) {
        distances.fill(T::zero());
        for away in away.chunks_exact(distances.len()) {
            for (distance, away) in distances.iter_mut().zip(away) {
                *distance += *away * *away;
            }
        }
        // As the core: far-off rows have no infinite distance.
        distances.iter_mut().for_each(|distance| *distance = distance.sqrt().min(T::of(1e18)));
    }
}

impl<T: train::Real> Trainable<T> for TrainedRadial {
    fn parameters(&self) -> usize {
        self.features + 2
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        let (center, lengths) = parameters.split_at_mut(self.features);
        normal(center, 1.0, rng);
        // Equal lengths are the identity.
        lengths.fill(T::one());
    }

    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let (center, alpha, stretched) = Self::split(parameters);
        let mut away = tape.copy_of(batch.values());
        for (away, center) in away.chunks_exact_mut(rows).zip(center) {
            away.iter_mut().for_each(|away| *away -= *center);
        }
        let mut ratios = tape.buffer(rows);
        Self::distances(&away, &mut ratios);
        let across = T::of(self.features as f64 - 1.0);
        for (ratio, log_det) in ratios.iter_mut().zip(log_det) {
            let row = Row::new(alpha, stretched, *ratio);
            *log_det += across * row.ratio.ln() + row.along().ln();
            *ratio = row.ratio;
        }
        for ((values, away), center) in
            batch.values_mut().chunks_exact_mut(rows).zip(away.chunks_exact(rows)).zip(center)
        {
            for ((value, away), ratio) in values.iter_mut().zip(away).zip(&ratios) {
                *value = *center + *ratio * *away;
            }
        }
        tape.recycle(ratios);
        tape.push(away);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.rows();
        let (_, alpha, stretched) = Self::split(parameters);
        let away = tape.pop();
        let mut distances = tape.buffer(rows);
        Self::distances(&away, &mut distances);
        // By the ratio, then by α, α + β and the distance.
        let mut by_ratio = tape.buffer(rows);
        by_ratio.fill(T::zero());
        for (gradient, away) in gradient.values().chunks_exact(rows).zip(away.chunks_exact(rows)) {
            for ((by_ratio, gradient), away) in by_ratio.iter_mut().zip(gradient).zip(away) {
                *by_ratio += *gradient * *away;
            }
        }
        let across = T::of(self.features as f64 - 1.0);
        let (mut by_alpha, mut by_stretched) = (T::zero(), T::zero());
        let mut ratios = tape.buffer(rows);
        for (((by_ratio, distance), ratio), by_log_det) in
            by_ratio.iter_mut().zip(&mut distances).zip(&mut ratios).zip(log_det_gradient)
        {
            let row = Row::new(alpha, stretched, *distance);
            let by_along = *by_log_det / row.along();
            *by_ratio += *by_log_det * across / row.ratio + by_along * row.near;
            let by_near = by_along * (row.ratio - T::one());
            by_stretched += *by_ratio / row.reach;
            by_alpha += (by_near * (T::one() - row.near) - *by_ratio * row.ratio) / row.reach;
            let by_distance = (*by_ratio * (T::one() - row.ratio) - by_near * row.near) / row.reach;
            // d r / d z = (z - z₀) / r; at the center the map is smooth in all but this.
            *distance = if *distance > T::zero() { by_distance / *distance } else { T::zero() };
            *ratio = row.ratio;
        }
        let last = parameters.len() - 2;
        parameter_gradient[last] += by_alpha * sigmoid(parameters[last]);
        parameter_gradient[last + 1] += by_stretched * sigmoid(parameters[last + 1]);
        for ((gradient, away), by_center) in
            gradient.values_mut().chunks_exact_mut(rows).zip(away.chunks_exact(rows)).zip(&mut *parameter_gradient)
        {
            let before: T = gradient.iter().copied().sum();
            for (((gradient, away), ratio), pull) in gradient.iter_mut().zip(away).zip(&ratios).zip(&distances) {
                *gradient = *gradient * *ratio + *pull * *away;
            }
            *by_center += before - gradient.iter().copied().sum::<T>();
        }
        for buffer in [away, distances, by_ratio, ratios] {
            tape.recycle(buffer);
        }
    }
}

impl Trained for TrainedRadial {
    fn layer(&self, _: NumberFormat) -> Layer {
        Layer::Turned(Box::new(Radial { features: self.features, elementary: Elementary::Libm }.into()))
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let (center, alpha, stretched) = Self::split(parameters);
        image.f32s(center);
        image.f32(alpha);
        image.f32(stretched);
    }
}
