//! A linear map by its triangular factors: Kingma, Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions",
//! 2018, equation 10, whose permutation is a [`Permute`](crate::Permute) in front of the layer.
//!
//! - data -> base: z = L (U x) + b, log |det| = Σ ln u_ii
//! - base -> data: x = U⁻¹ L⁻¹ (z - b), by substitution: no inverse is stored or computed
//!
//! L has ones on its diagonal and U a positive one, so that their product is invertible whatever is stored.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::rows::rows;
use crate::bijector::{Forward, Inverse, Layer};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};

/// z = L U x + bias on `D` features.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct LuLinear<const D: usize> {
    /// U on and above the diagonal, which is positive, and L below it, without its ones: `[row][column]`.
    pub matrix: [[f32; D]; D],
    /// b, on the side of the base.
    pub bias: [f32; D],
    /// Σ ln u_ii, stored because it is the same for every reading.
    pub log_det: f32,
}

impl<const D: usize> Layer for LuLinear<D> {
    const SCHEMA: Schema = Schema::Layer(&const { record(D, &const { parameters(D) }, &const { fields(D) }) });
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize) -> [Parameter; 1] {
    [("features", Value::Number(features))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize) -> [Field; 3] {
    [
        Field::Data {
            name: "matrix",
            format: Format::F32,
            count: features * features,
            rule: Rule::PositiveDiagonal(features),
        },
        Field::Data { name: "bias", format: Format::F32, count: features, rule: Rule::Finite },
        Field::Data { name: "log_det", format: Format::F32, count: 1, rule: Rule::Finite },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(features: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { mixing: Mixing::Dense, macs: features * features, ..Record::stored("LuLinear", parameters, fields) }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct LuLinearView<'a> {
    /// Both factors, row after row.
    pub matrix: &'a [f32],
    /// b.
    pub bias: &'a [f32],
    /// Σ ln u_ii.
    pub log_det: f32,
}

impl LuLinearView<'_> {
    /// Data -> base, in place; returns the log-determinant. A product with a triangular matrix needs no second vector: it
    /// goes from the side on which nothing is needed any more.
    #[inline]
    pub fn inverse<T: Real>(&self, x: &mut [T]) -> T {
        let rows = rows(self.matrix, x.len());
        for (i, row) in rows.enumerate() {
            let Some((_, [x, right @ ..])) = x.split_at_mut_checked(i) else { break };
            let Some((_, [diagonal, upper @ ..])) = row.split_at_checked(i) else { break };
            *x = T::from_f32(*diagonal) * *x;
            for (u, right) in upper.iter().zip(right) {
                *x = *x + T::from_f32(*u) * *right;
            }
        }
        let mut rest = x;
        for (row, bias) in rows.rev().zip(self.bias.iter().rev()) {
            let Some((x, left)) = rest.split_last_mut() else { break };
            for (l, left) in row.iter().zip(left.iter()) {
                *x = *x + T::from_f32(*l) * *left;
            }
            *x = *x + T::from_f32(*bias);
            rest = left;
        }
        T::from_f32(self.log_det)
    }

    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real>(&self, z: &mut [T]) -> T {
        let rows = rows(self.matrix, z.len());
        for (i, (row, bias)) in rows.zip(self.bias).enumerate() {
            let Some((left, [z, ..])) = z.split_at_mut_checked(i) else { break };
            *z = *z - T::from_f32(*bias);
            for (l, left) in row.iter().zip(left) {
                *z = *z - T::from_f32(*l) * *left;
            }
        }
        for (i, row) in rows.enumerate().rev() {
            let Some((_, [z, right @ ..])) = z.split_at_mut_checked(i) else { break };
            let Some((_, [diagonal, upper @ ..])) = row.split_at_checked(i) else { break };
            for (u, right) in upper.iter().zip(right) {
                *z = *z - T::from_f32(*u) * *right;
            }
            *z = *z / T::from_f32(*diagonal);
        }
        -T::from_f32(self.log_det)
    }
}

impl<const D: usize> LuLinear<D> {
    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> LuLinearView<'_> {
        LuLinearView { matrix: self.matrix.as_flattened(), bias: &self.bias, log_det: self.log_det }
    }
}

impl<const D: usize, const C: usize, T: Real> Inverse<D, C, T> for LuLinear<D> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        self.view().inverse(x)
    }
}

impl<const D: usize, const C: usize, T: Real> Forward<D, C, T> for LuLinear<D> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        self.view().forward(z)
    }
}
