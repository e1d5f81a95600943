//! A product of reflections: Tomczak, Welling, "Improving Variational Auto-Encoders using Householder Flow", 2016,
//! equation 12.
//!
//! A reflection in the hyperplane orthogonal to v is H = I - 2 v vᵀ / |v|², and z = H_R … H_1 x. It is orthogonal whatever
//! v is, D reflections reach every orthogonal matrix, and none changes a volume: log |det| = 0 in both directions.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::rows::rows;
use crate::bijector::{Forward, Inverse, Layer};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// `R` reflections of `D` features.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Householder<const D: usize, const R: usize> {
    /// The normals of the hyperplanes, of any length, in the order data -> base.
    pub vectors: [[f32; D]; R],
}

impl<const D: usize, const R: usize> Layer for Householder<D, R> {
    const SCHEMA: Schema = Schema::Layer(&const { record(D, R, &const { parameters(D, R) }, &const { fields(D, R) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize, reflections: usize) -> [Parameter; 2] {
    [("features", Value::Number(features)), ("reflections", Value::Number(reflections))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize, reflections: usize) -> [Field; 1] {
    [Field::Data { name: "vectors", format: Format::F32, count: features * reflections, rule: Rule::Finite }]
}

/// The layer's record.
#[must_use]
pub const fn record(
    features: usize,
    reflections: usize,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: if reflections == 0 { Mixing::None } else { Mixing::Dense },
        macs: 3 * features * reflections,
        ..Record::stored("Householder", parameters, fields)
    }
}

/// The shortest and the longest |v|² of a reflection: between them, nothing that is computed of it overflows.
const SQUARES: [f32; 2] = [1e-30, 1e30];

/// Reflects x in the hyperplane orthogonal to `vector`, in place. A vector of length 0 reflects nothing, and neither does
/// one whose |v|² is below 1e-30 or above 1e30.
#[inline]
pub fn reflect<T: Real>(vector: &[f32], x: &mut [T]) {
    let (mut square, mut along) = (T::ZERO, T::ZERO);
    for (x, v) in x.iter().zip(vector) {
        let v = T::from_f32(*v);
        square = square + v * v;
        along = along + v * *x;
    }
    let [shortest, longest] = SQUARES.map(T::from_f32);
    if square >= shortest && square <= longest {
        let step = (along + along) / square;
        for (x, v) in x.iter_mut().zip(vector) {
            *x = *x - step * T::from_f32(*v);
        }
    }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct HouseholderView<'a> {
    /// One vector after the other, each as long as what is mapped.
    pub vectors: &'a [f32],
}

impl HouseholderView<'_> {
    /// Data -> base, in place; returns the log-determinant, 0.
    #[inline]
    pub fn inverse<T: Real>(&self, x: &mut [T]) -> T {
        for vector in rows(self.vectors, x.len()) {
            reflect(vector, x);
        }
        T::ZERO
    }

    /// Base -> data, in place; returns the log-determinant, 0.
    #[inline]
    pub fn forward<T: Real>(&self, z: &mut [T]) -> T {
        for vector in rows(self.vectors, z.len()).rev() {
            reflect(vector, z);
        }
        T::ZERO
    }
}

impl<const D: usize, const R: usize> Householder<D, R> {
    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> HouseholderView<'_> {
        HouseholderView { vectors: self.vectors.as_flattened() }
    }
}

impl<const D: usize, const R: usize, const C: usize, T: Real> Inverse<D, C, T> for Householder<D, R> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        self.view().inverse(x)
    }
}

impl<const D: usize, const R: usize, const C: usize, T: Real> Forward<D, C, T> for Householder<D, R> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward(z)
    }
}
