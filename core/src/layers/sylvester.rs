//! Sylvester flow: van den Berg, Hasenclever, Tomczak, Welling, "Sylvester Normalizing Flows for Variational Inference",
//! 2018, equations 13 and 14.
//!
//! With Q of M orthonormal columns, and R and R̃ upper triangular:
//!
//! - base -> data: x = z + Q R tanh(R̃ Qᵀ z + b), log |det| = Σ ln(1 + tanh′_i r_ii r̃_ii) over M units, not D features
//!
//! A [`Planar`](crate::Planar) layer with M hyperplanes. It has no inverse in closed form: a density comes from the layer
//! turned, `Turned<Sylvester<D, M>>`, which then gives no samples.
//!
//! Q is the first M columns of a product of M reflections (the paper's H-SNF), which reach every such matrix. The map is one
//! to one where r_ii r̃_ii > -1 (theorem 2), so both diagonals are clamped to ±[`STEEPEST_DIAGONAL`].

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::householder::reflect;
use super::rows::rows;
use crate::bijector::{Forward, Layer};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// The diagonals' limit, 1 - 2⁻¹³: slopes stay far enough from 0 for their logarithm to be accurate in f32.
pub const STEEPEST_DIAGONAL: f32 = 1.0 - 1.0 / 8192.0;

/// x = z + Q R tanh(R̃ Qᵀ z + bias) on `D` features with `M` units, `M` ≤ `D`.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Sylvester<const D: usize, const M: usize, E = Libm> {
    /// v_1 to v_M with Q = H_1 … H_M I: the normals of the reflections, of any length.
    pub vectors: [[f32; D]; M],
    /// Column i of R, up to r_ii, and behind it row i of R̃, from r̃_i(i+1) on: what unit i needs, and no zeros.
    pub triangles: [[f32; M]; M],
    /// r̃_ii.
    pub diagonal: [f32; M],
    /// b.
    pub bias: [f32; M],
    elementary: PhantomData<E>,
}

impl<const D: usize, const M: usize, E> Sylvester<D, M, E> {
    /// The layer with these parameters.
    #[must_use]
    pub const fn new(vectors: [[f32; D]; M], triangles: [[f32; M]; M], diagonal: [f32; M], bias: [f32; M]) -> Self {
        Self { vectors, triangles, diagonal, bias, elementary: PhantomData }
    }
}

impl<const D: usize, const M: usize, E: ElementaryName> Layer for Sylvester<D, M, E> {
    const SCHEMA: Schema =
        Schema::Layer(&const { record(D, M, &const { parameters(D, M, E::NAME) }, &const { fields(D, M) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize, units: usize, elementary: &'static str) -> [Parameter; 3] {
    [("features", Value::Number(features)), ("units", Value::Number(units)), ("elementary", Value::Word(elementary))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize, units: usize) -> [Field; 4] {
    [
        Field::Data { name: "vectors", format: Format::F32, count: features * units, rule: Rule::Finite },
        Field::Data { name: "triangles", format: Format::F32, count: units * units, rule: Rule::Finite },
        Field::Data { name: "diagonal", format: Format::F32, count: units, rule: Rule::Finite },
        Field::Data { name: "bias", format: Format::F32, count: units, rule: Rule::Finite },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(
    features: usize,
    units: usize,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: Mixing::Dense,
        macs: 6 * features * units + units * units + units,
        ..Record::stored("Sylvester", parameters, fields)
    }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct SylvesterView<'a> {
    /// One vector after the other, each as long as what is mapped.
    pub vectors: &'a [f32],
    /// Both triangles, row after row.
    pub triangles: &'a [f32],
    /// r̃_ii, one for each unit.
    pub diagonal: &'a [f32],
    /// b, one for each unit.
    pub bias: &'a [f32],
}

impl SylvesterView<'_> {
    /// Base -> data, in place; returns the log-determinant.
    ///
    /// With H = H_1 … H_M it is x = H (y + R tanh(R̃ y + b)) for y = Hᵀ z, where R and R̃ see the first M coordinates. Unit
    /// i needs those from i on and changes those up to i, so that one pass does without a second vector.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T]) -> T {
        let vectors = rows(self.vectors, z.len());
        for vector in vectors {
            reflect(vector, z);
        }
        let mut log_det = T::ZERO;
        let triangles = rows(self.triangles, self.bias.len());
        for (i, ((row, bias), diagonal)) in triangles.zip(self.bias).zip(self.diagonal).enumerate() {
            let Some((above, [y, below @ ..])) = z.split_at_mut_checked(i) else { break };
            let Some((column, [r, right @ ..])) = row.split_at_checked(i) else { break };
            let limit = T::from_f32(STEEPEST_DIAGONAL);
            let (r, r_tilde) = (T::from_f32(*r).clamp_abs(limit), T::from_f32(*diagonal).clamp_abs(limit));
            let mut argument = T::from_f32(*bias) + r_tilde * *y;
            for (weight, y) in right.iter().zip(below) {
                argument = argument + T::from_f32(*weight) * *y;
            }
            let tanh = E::tanh(argument);
            for (weight, y) in column.iter().zip(above) {
                *y = *y + T::from_f32(*weight) * tanh;
            }
            *y = *y + r * tanh;
            let square = tanh * tanh;
            log_det = log_det + E::ln(square + (T::ONE - square) * (T::ONE + r * r_tilde));
        }
        for vector in vectors.rev() {
            reflect(vector, z);
        }
        log_det
    }
}

impl<const D: usize, const M: usize, E> Sylvester<D, M, E> {
    /// The parameters, lent. Here the shapes are checked, since no use of the layer avoids it.
    #[inline]
    #[must_use]
    pub fn view(&self) -> SylvesterView<'_> {
        const {
            assert!(
                M > 0 && M <= D,
                "flowlet: Sylvester<D, M> has M orthonormal columns of D elements: choose M from 1 to D"
            );
        }
        SylvesterView {
            vectors: self.vectors.as_flattened(),
            triangles: self.triangles.as_flattened(),
            diagonal: &self.diagonal,
            bias: &self.bias,
        }
    }
}

impl<const D: usize, const M: usize, E: Elementary<T>, const C: usize, T: Real> Forward<D, C, T>
    for Sylvester<D, M, E>
{
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward::<T, E>(z)
    }
}
