//! Sylvester flow, "Sylvester Normalizing Flows for Variational Inference" (van den Berg, Hasenclever, Tomczak, Welling
//! 2018), equations 13 and 14, with Q from reflections.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::sylvester::{self, STEEPEST_DIAGONAL, SylvesterView};
use flowlet::schema::Record;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::batched::{add_scaled, dot};
use super::householder::{reflect, reflect_backward};
use super::planar::normal;
use super::view::slice;
use super::{Computed, Directions, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `Sylvester<D, M, E>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sylvester {
    /// D.
    pub features: usize,
    /// M.
    pub units: usize,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl Kind for Sylvester {
    fn record(&self) -> &'static Record {
        let parameters = forever(sylvester::parameters(self.features, self.units, self.elementary.name()));
        let fields = forever(sylvester::fields(self.features, self.units));
        forever(sylvester::record(self.features, self.units, parameters, fields))
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn rust_type(&self) -> String {
        format!("Sylvester<{}, {}{}>", self.features, self.units, self.elementary.suffix())
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features && (1..=features).contains(&self.units)
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view = SylvesterView {
            vectors: slice(bytes, self.features * self.units)?,
            triangles: slice(bytes, self.units * self.units)?,
            diagonal: slice(bytes, self.units)?,
            bias: slice(bytes, self.units)?,
        };
        Some(Box::new(Computed(view, self.elementary)))
    }

    fn directions(&self) -> Directions {
        Directions { inverse: false, forward: true }
    }

    fn family(&self) -> Option<(&'static str, Option<NumberFormat>)> {
        Some(("sylvester", None))
    }

    fn parameters(&self) -> usize {
        self.units * (self.features + self.units + 2)
    }
}

impl Mathematics for SylvesterView<'_> {
    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        SylvesterView::forward::<T, E>(self, z)
    }
}

/// Base -> data, `x = z + Q R tanh(R̃ Qᵀ z + b)`, so in a density the layer is turned. Parameters are those that the core
/// stores, in its order, but both diagonals pass through tanh, which keeps r_ii r̃_ii above -1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedSylvester {
    features: usize,
    units: usize,
}

/// The parameters, or their gradient.
struct Parts<S> {
    vectors: S,
    triangles: S,
    diagonal: S,
    bias: S,
}

/// r of its raw value, and its derivative.
fn bounded<T: train::Real>(raw: T) -> (T, T) {
    let (limit, tanh) = (T::of(f64::from(STEEPEST_DIAGONAL)), raw.tanh());
    (limit * tanh, limit * (T::one() - tanh * tanh))
}

impl TrainedSylvester {
    /// On so many features with so many units, at most as many.
    ///
    /// # Panics
    /// If there are no units, or more than features.
    #[must_use]
    pub fn new(features: usize, units: usize) -> Self {
        assert!((1..=features).contains(&units), "from 1 unit to as many as features");
        Self { features, units }
    }

    fn split<'a, T>(&self, parameters: &'a [T]) -> Parts<&'a [T]> {
        let (vectors, rest) = parameters.split_at(self.features * self.units);
        let (triangles, rest) = rest.split_at(self.units * self.units);
        let (diagonal, bias) = rest.split_at(self.units);
        Parts { vectors, triangles, diagonal, bias }
    }

    fn split_mut<'a, T>(&self, parameters: &'a mut [T]) -> Parts<&'a mut [T]> {
        let (vectors, rest) = parameters.split_at_mut(self.features * self.units);
        let (triangles, rest) = rest.split_at_mut(self.units * self.units);
        let (diagonal, bias) = rest.split_at_mut(self.units);
        Parts { vectors, triangles, diagonal, bias }
    }
}

impl<T: train::Real> Trainable<T> for TrainedSylvester {
    fn parameters(&self) -> usize {
        self.units * (self.features + self.units + 2)
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        let units = self.units;
        let Parts { vectors, triangles, diagonal, bias } = self.split_mut(parameters);
        normal(vectors, 1.0, rng);
        for (i, row) in triangles.chunks_exact_mut(units).enumerate() {
            // A small R is close to the identity, whatever the hyperplanes that R̃ draws.
            let (r, r_tilde) = row.split_at_mut(i + 1);
            normal(r, 0.01, rng);
            normal(r_tilde, 1.0 / (units as f64).sqrt(), rng);
        }
        normal(diagonal, 1.0, rng);
        bias.fill_with(|| T::of(rng.random_range(-1.0..1.0)));
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        let Parts { triangles, diagonal, .. } = self.split_mut(marks);
        triangles.fill(true);
        diagonal.fill(true);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let Parts { vectors, triangles, diagonal, bias } = self.split(parameters);
        let vectors = vectors.chunks_exact(self.features);
        for vector in vectors.clone() {
            reflect(vector, batch.values_mut(), rows, tape);
        }
        let mut tanhs = tape.buffer(self.units * rows);
        for (i, (row, tanh)) in triangles.chunks_exact(self.units).zip(tanhs.chunks_exact_mut(rows)).enumerate() {
            let ((r, _), (r_tilde, _)) = (bounded(row[i]), bounded(diagonal[i]));
            let (above, own) = batch.values_mut().split_at_mut(i * rows);
            let (own, below) = own.split_at_mut(rows);
            tanh.fill(bias[i]);
            add_scaled(tanh, r_tilde, own);
            for (weight, below) in row[i + 1..].iter().zip(below.chunks_exact(rows)) {
                add_scaled(tanh, *weight, below);
            }
            for (tanh, log_det) in tanh.iter_mut().zip(&mut *log_det) {
                *tanh = tanh.tanh();
                let square = *tanh * *tanh;
                *log_det += (square + (T::one() - square) * (T::one() + r * r_tilde)).ln();
            }
            for (weight, above) in row.iter().zip(above.chunks_exact_mut(rows)) {
                add_scaled(above, *weight, tanh);
            }
            add_scaled(own, r, tanh);
        }
        for vector in vectors.rev() {
            reflect(vector, batch.values_mut(), rows, tape);
        }
        let outputs = tape.copy_of(batch.values());
        tape.push(outputs);
        tape.push(tanhs);
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
        let Parts { vectors, triangles, diagonal, .. } = self.split(parameters);
        let by = self.split_mut(parameter_gradient);
        let mut arguments = tape.pop();
        let mut values = tape.pop();
        // The values are followed back: reflections are their own inverses, and the units' steps are subtracted.
        for (vector, by_vector) in vectors.chunks_exact(self.features).zip(by.vectors.chunks_exact_mut(self.features)) {
            reflect_backward(vector, &mut values, gradient.values_mut(), rows, tape, by_vector);
        }
        for (i, row) in triangles.chunks_exact(self.units).enumerate() {
            let tanh = &arguments[i * rows..][..rows];
            for (j, (weight, value)) in row[..=i].iter().zip(values.chunks_exact_mut(rows)).enumerate() {
                add_scaled(value, if j == i { -bounded(*weight).0 } else { -*weight }, tanh);
            }
        }
        // By the arguments of all units first: what they get is by the outputs, which the inputs' share is added to.
        for (i, (row, tanh)) in triangles.chunks_exact(self.units).zip(arguments.chunks_exact_mut(rows)).enumerate() {
            let by_row = &mut by.triangles[i * self.units..][..=i];
            let ((r, slope), (r_tilde, slope_tilde)) = (bounded(row[i]), bounded(diagonal[i]));
            let mut by_tanh = tape.buffer(rows);
            by_tanh.fill(T::zero());
            for (j, (weight, gradient)) in row[..=i].iter().zip(gradient.values().chunks_exact(rows)).enumerate() {
                add_scaled(&mut by_tanh, if j == i { r } else { *weight }, gradient);
                by_row[j] += dot(gradient, tanh) * if j == i { slope } else { T::one() };
            }
            let product = r * r_tilde;
            let mut by_product = T::zero();
            for ((tanh, by_tanh), by_log_det) in tanh.iter_mut().zip(&by_tanh).zip(log_det_gradient) {
                let flatness = T::one() - *tanh * *tanh;
                let by_determinant = *by_log_det / (T::one() + product * flatness);
                by_product += by_determinant * flatness;
                *tanh = (*by_tanh - (*tanh + *tanh) * product * by_determinant) * flatness;
            }
            by_row[i] += by_product * r_tilde * slope;
            by.diagonal[i] += by_product * r * slope_tilde;
            tape.recycle(by_tanh);
        }
        for (i, (row, by_argument)) in triangles.chunks_exact(self.units).zip(arguments.chunks_exact(rows)).enumerate()
        {
            let (r_tilde, slope) = bounded(diagonal[i]);
            by.bias[i] += by_argument.iter().copied().sum::<T>();
            by.diagonal[i] += dot(by_argument, &values[i * rows..][..rows]) * slope;
            add_scaled(gradient.feature_mut(i), r_tilde, by_argument);
            for j in i + 1..self.units {
                by.triangles[i * self.units + j] += dot(by_argument, &values[j * rows..][..rows]);
                add_scaled(gradient.feature_mut(j), row[j], by_argument);
            }
        }
        for (vector, by_vector) in
            vectors.chunks_exact(self.features).zip(by.vectors.chunks_exact_mut(self.features)).rev()
        {
            reflect_backward(vector, &mut values, gradient.values_mut(), rows, tape, by_vector);
        }
        tape.recycle(arguments);
        tape.recycle(values);
    }
}

impl Trained for TrainedSylvester {
    fn layer(&self, _: NumberFormat) -> Layer {
        let (features, units) = (self.features, self.units);
        Layer::Turned(Box::new(Sylvester { features, units, elementary: Elementary::Libm }.into()))
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let Parts { vectors, triangles, diagonal, bias } = self.split(parameters);
        image.f32s(vectors);
        for (i, row) in triangles.chunks_exact(self.units).enumerate() {
            for (j, value) in row.iter().enumerate() {
                image.f32(if i == j { bounded(*value).0 } else { *value });
            }
        }
        diagonal.iter().for_each(|raw| image.f32(bounded(*raw).0));
        image.f32s(bias);
    }
}
