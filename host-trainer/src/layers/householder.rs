//! Reflections, "Improving Variational Auto-Encoders using Householder Flow" (Tomczak, Welling 2016), equation 12.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::householder::{self, HouseholderView};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::batched::{add_scaled, dot};
use super::planar::normal;
use super::view::slice;
use super::{Computed, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `Householder<D, R>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Householder {
    /// D.
    pub features: usize,
    /// R.
    pub reflections: usize,
}

/// More reflections than this are no more use, and shapes from a file must not overflow.
pub(super) const MOST_REFLECTIONS: usize = 1024;

impl Kind for Householder {
    fn record(&self) -> &'static Record {
        let (features, reflections) = (self.features, self.reflections);
        let parameters = forever(householder::parameters(features, reflections));
        forever(householder::record(
            features,
            reflections,
            parameters,
            forever(householder::fields(features, reflections)),
        ))
    }

    fn rust_type(&self) -> String {
        format!("Householder<{}, {}>", self.features, self.reflections)
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features && self.reflections <= MOST_REFLECTIONS
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view = HouseholderView { vectors: slice(bytes, self.features * self.reflections)? };
        Some(Box::new(Computed(view, Elementary::Libm)))
    }

    fn parameters(&self) -> usize {
        self.features * self.reflections
    }
}

impl Mathematics for HouseholderView<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        HouseholderView::inverse(self, x)
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        HouseholderView::forward(self, z)
    }
}

/// |v|², and whether the core reflects by a vector of that length.
fn square<T: train::Real>(vector: &[T]) -> Option<T> {
    let square = dot(vector, vector);
    (square >= T::of(1e-30) && square <= T::of(1e30)).then_some(square)
}

/// Reflects every row in the hyperplane orthogonal to `vector`.
pub(super) fn reflect<T: train::Real>(vector: &[T], values: &mut [T], rows: usize, tape: &mut Tape<T>) {
    let Some(square) = square(vector) else { return };
    let along = along(vector, values, rows, tape);
    let step = T::of(-2.0) / square;
    for (values, v) in values.chunks_exact_mut(rows).zip(vector) {
        add_scaled(values, step * *v, &along);
    }
    tape.recycle(along);
}

/// Undoes a reflection: turns its outputs into its inputs and the gradient by the one into that by the other, and adds the
/// gradient by the vector.
pub(super) fn reflect_backward<T: train::Real>(
    vector: &[T],
    values: &mut [T],
    gradient: &mut [T],
    rows: usize,
    tape: &mut Tape<T>,
    vector_gradient: &mut [T],
) {
    let Some(square) = square(vector) else { return };
    reflect(vector, values, rows, tape);
    let (values_along, gradient_along) = (along(vector, values, rows, tape), along(vector, gradient, rows, tape));
    // y = x - 2 (v·x) v / |v|².
    let step = T::of(-2.0) / square;
    let both = step * step * dot(&values_along, &gradient_along);
    for (((value, gradient), v), by_v) in
        values.chunks_exact(rows).zip(gradient.chunks_exact_mut(rows)).zip(vector).zip(vector_gradient)
    {
        *by_v += step * (dot(&values_along, gradient) + dot(&gradient_along, value)) + both * *v;
        add_scaled(gradient, step * *v, &gradient_along);
    }
    tape.recycle(values_along);
    tape.recycle(gradient_along);
}

/// The product of `vector` with every row.
fn along<T: train::Real>(vector: &[T], values: &[T], rows: usize, tape: &mut Tape<T>) -> Vec<T> {
    let mut along = tape.buffer(rows);
    along.fill(T::zero());
    for (values, v) in values.chunks_exact(rows).zip(vector) {
        add_scaled(&mut along, *v, values);
    }
    along
}

/// z = H_R … H_1 x. Parameters are the vectors, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedHouseholder {
    features: usize,
    reflections: usize,
}

impl TrainedHouseholder {
    /// So many reflections of so many features; as many as features reach every orthogonal matrix.
    #[must_use]
    pub fn new(features: usize, reflections: usize) -> Self {
        Self { features, reflections }
    }
}

impl<T: train::Real> Trainable<T> for TrainedHouseholder {
    fn parameters(&self) -> usize {
        self.features * self.reflections
    }

    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng) {
        // A direction is uniform, as the rotation is then if there are enough.
        normal(parameters, 1.0, rng);
    }

    // A vector's length means nothing.
    fn mark_decayed(&self, _: &mut [bool]) {}

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], _: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        for vector in parameters.chunks_exact(self.features) {
            reflect(vector, batch.values_mut(), rows, tape);
        }
        let outputs = tape.copy_of(batch.values());
        tape.push(outputs);
    }

    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        _: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.rows();
        let mut values = tape.pop();
        let vectors = parameters.chunks_exact(self.features).zip(parameter_gradient.chunks_exact_mut(self.features));
        for (vector, by_vector) in vectors.rev() {
            reflect_backward(vector, &mut values, gradient.values_mut(), rows, tape, by_vector);
        }
        tape.recycle(values);
    }
}

impl Trained for TrainedHouseholder {
    fn layer(&self, _: NumberFormat) -> Layer {
        Householder { features: self.features, reflections: self.reflections }.into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        image.f32s(parameters);
    }
}
