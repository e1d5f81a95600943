//! Planar flow, "Variational Inference with Normalizing Flows" (Rezende, Mohamed 2015), equations 10 to 12.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::planar::{self, PlanarView, STEEPEST};
use flowlet::schema::Record;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::batched::{add_scaled, dot, sigmoid, softplus};
use super::view::{scalar, slice};
use super::{Computed, Directions, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `Planar<D, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planar {
    /// D.
    pub features: usize,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Planar {
    fn record(&self) -> &'static Record {
        let parameters = forever(planar::parameters(self.features, self.elementary.name()));
        forever(planar::record(self.features, parameters, forever(planar::fields(self.features))))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Planar<{}{}>", self.features, self.elementary.suffix())
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view =
            PlanarView { u: slice(bytes, self.features)?, w: slice(bytes, self.features)?, bias: scalar(bytes)? };
        Some(Box::new(Computed(view, self.elementary)))
    }

    fn directions(&self) -> Directions {
        Directions { inverse: false, forward: true }
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        Some(("planar", None))
    }

    fn parameters(&self) -> usize {
        2 * self.features + 1
    }
}

impl Mathematics for PlanarView<'_> {
    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        PlanarView::forward::<T, E>(self, z)
    }
}

/// Base -> data, `x = z + û tanh(w·z + b)`, so in a density the layer is turned. Parameters are u, w and b; û is u moved
/// along w to where w·û = m(w·u), with m(a) = softplus(a) - [`STEEPEST`], above -1 for every a (appendix A.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedPlanar {
    features: usize,
}

/// û and what its derivatives take.
struct Constrained<T> {
    u: Vec<T>,
    /// m(w·u) = w·û.
    along: T,
    /// û = u + correction w.
    correction: T,
    /// |w|².
    square: T,
    /// dm/da.
    slope: T,
}

impl TrainedPlanar {
    /// On so many features.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { features }
    }

    /// û by raw u and w.
    fn constrained<T: train::Real>(u: &[T], w: &[T]) -> Constrained<T> {
        let (raw, square) = (dot(w, u), dot(w, w).max(T::min_positive_value()));
        let along = softplus(raw) - T::of(f64::from(STEEPEST));
        let correction = (along - raw) / square;
        let u = u.iter().zip(w).map(|(u, w)| *u + correction * *w).collect();
        Constrained { u, along, correction, square, slope: sigmoid(raw) }
    }
}

/// Fills with normal numbers.
pub(super) fn normal<T: train::Real>(values: &mut [T], deviation: f64, rng: &mut impl Rng) {
    values.fill_with(|| T::of(deviation * rng.sample::<f64, _>(StandardNormal)));
}

impl<T: train::Real> Trainable<T> for TrainedPlanar {
    fn parameters(&self) -> usize {
        2 * self.features + 1
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        let (u, rest) = parameters.split_at_mut(self.features);
        let (w, bias) = rest.split_at_mut(self.features);
        normal(w, 1.0 / (self.features as f64).sqrt(), rng);
        bias[0] = T::of(rng.random_range(-1.0..1.0));
        // û is close to 0 where m(w·u) is 0.
        normal(u, 0.01, rng);
        let identity = T::of((f64::from(STEEPEST).exp() - 1.0).ln());
        let step = (identity - dot(w, u)) / dot(w, w).max(T::min_positive_value());
        add_scaled(u, step, w);
    }

    // Decay would lead away from the identity.
    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let (u, rest) = parameters.split_at(self.features);
        let (w, bias) = rest.split_at(self.features);
        let constrained = Self::constrained(u, w);
        let inputs = tape.copy_of(batch.values());
        let mut tanh = tape.buffer(rows);
        tanh.fill(bias[0]);
        for (input, w) in inputs.chunks_exact(rows).zip(w) {
            add_scaled(&mut tanh, *w, input);
        }
        for (tanh, log_det) in tanh.iter_mut().zip(log_det) {
            *tanh = tanh.tanh();
            let square = *tanh * *tanh;
            *log_det += (square + (T::one() - square) * (T::one() + constrained.along)).ln();
        }
        for (values, u) in batch.values_mut().chunks_exact_mut(rows).zip(&constrained.u) {
            add_scaled(values, *u, &tanh);
        }
        tape.push(inputs);
        tape.push(tanh);
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
        let (u, rest) = parameters.split_at(self.features);
        let (w, _) = rest.split_at(self.features);
        let (by_u, rest) = parameter_gradient.split_at_mut(self.features);
        let (by_w, by_bias) = rest.split_at_mut(self.features);
        let Constrained { u: moved, along, correction, square, slope } = Self::constrained(u, w);
        let tanh = tape.pop();
        let inputs = tape.pop();

        // By û: where x depends on it, then where the determinant does, through w·û.
        let by_moved: Vec<T> = gradient.values().chunks_exact(rows).map(|gradient| dot(gradient, &tanh)).collect();
        let mut by_argument = tape.buffer(rows);
        by_argument.fill(T::zero());
        for (gradient, u) in gradient.values().chunks_exact(rows).zip(&moved) {
            add_scaled(&mut by_argument, *u, gradient);
        }
        let mut by_along = T::zero();
        for ((by_argument, tanh), by_log_det) in by_argument.iter_mut().zip(&tanh).zip(log_det_gradient) {
            let flatness = T::one() - *tanh * *tanh;
            let by_determinant = *by_log_det / (T::one() + along * flatness);
            by_along += by_determinant * flatness;
            *by_argument = (*by_argument - (*tanh + *tanh) * along * by_determinant) * flatness;
        }

        by_bias[0] += by_argument.iter().copied().sum::<T>();
        for ((gradient, input), (by_w, w)) in
            gradient.values_mut().chunks_exact_mut(rows).zip(inputs.chunks_exact(rows)).zip(by_w.iter_mut().zip(w))
        {
            *by_w += dot(&by_argument, input);
            add_scaled(gradient, *w, &by_argument);
        }

        // û = u + (m(a) - a) w / |w|² with a = w·u.
        let by_correction = dot(&by_moved, w);
        let by_raw = by_correction * (slope - T::one()) / square + by_along * slope;
        let by_square = -by_correction * correction / square;
        add_scaled(by_u, T::one(), &by_moved);
        add_scaled(by_u, by_raw, w);
        add_scaled(by_w, correction, &by_moved);
        add_scaled(by_w, by_raw, u);
        add_scaled(by_w, by_square + by_square, w);
        for buffer in [tanh, inputs, by_argument] {
            tape.recycle(buffer);
        }
    }
}

impl Trained for TrainedPlanar {
    fn layer(&self, _: NumberFormat) -> Layer {
        Layer::Turned(Box::new(Planar { features: self.features, elementary: Elementary::Libm }.into()))
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let (u, rest) = parameters.split_at(self.features);
        let (w, bias) = rest.split_at(self.features);
        image.f32s(&Self::constrained(u, w).u);
        image.f32s(w);
        image.f32s(bias);
    }
}
