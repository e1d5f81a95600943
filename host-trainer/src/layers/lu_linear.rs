//! A linear map by its triangular factors, "Glow" (Kingma, Dhariwal 2018), equation 10.

use flowlet::Real;
use flowlet::elementary::{Elementary as Functions, Libm};
use flowlet::layers::lu_linear::{self, LuLinearView};
use flowlet::schema::Record;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::batched::{add_scaled, dot};
use super::view::{scalar, slice};
use super::{Computed, Kind, Layer, Mathematics, Trainable, Trained, View};
use crate::image::Image;
use crate::model::architecture::{Elementary, NumberFormat, forever};
use crate::train::{self, Batch, Tape};

/// `LuLinear<D>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LuLinear {
    /// D.
    pub features: usize,
}

impl Kind for LuLinear {
    fn record(&self) -> &'static Record {
        let (parameters, fields) = (lu_linear::parameters(self.features), lu_linear::fields(self.features));
        forever(lu_linear::record(self.features, forever(parameters), forever(fields)))
    }

    fn rust_type(&self) -> String {
        format!("LuLinear<{}>", self.features)
    }

    fn fits(&self, features: usize, _: usize) -> bool {
        self.features == features
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn View + 'a>> {
        let view = LuLinearView {
            matrix: slice(bytes, self.features * self.features)?,
            bias: slice(bytes, self.features)?,
            log_det: scalar(bytes)?,
        };
        Some(Box::new(Computed(view, Elementary::Libm)))
    }

    fn parameters(&self) -> usize {
        self.features * (self.features + 1)
    }
}

impl Mathematics for LuLinearView<'_> {
    fn inverse<T: Real, E: Functions<T>>(&self, x: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        LuLinearView::inverse(self, x)
    }

    fn forward<T: Real, E: Functions<T>>(&self, z: &mut [T], _: &[T]) -> T
    where
        Libm: Functions<T>,
    {
        LuLinearView::forward(self, z)
    }
}

/// z = L (U x) + b. Parameters are the matrix, row by row, whose diagonal holds ln u_ii, and b.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedLuLinear {
    features: usize,
}

impl TrainedLuLinear {
    /// On so many features.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self { features }
    }
}

impl<T: train::Real> Trainable<T> for TrainedLuLinear {
    fn parameters(&self) -> usize {
        self.features * (self.features + 1)
    }

    /// The identity.
    fn initialize(&self, parameters: &mut [T], _: &mut ChaCha8Rng) {
        parameters.fill(T::zero());
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        marks[..self.features * self.features].fill(true);
    }

    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, _: &[T], log_det: &mut [T], tape: &mut Tape<T>) {
        let rows = batch.rows();
        let (matrix, bias) = parameters.split_at(self.features * self.features);
        let inputs = tape.copy_of(batch.values());
        let mut volume = T::zero();
        for (i, row) in matrix.chunks_exact(self.features).enumerate() {
            let (_, from) = batch.values_mut().split_at_mut(i * rows);
            let (to, right) = from.split_at_mut(rows);
            let diagonal = row[i].exp();
            volume += row[i];
            to.iter_mut().for_each(|value| *value *= diagonal);
            for (u, right) in row[i + 1..].iter().zip(right.chunks_exact(rows)) {
                add_scaled(to, *u, right);
            }
        }
        let between = tape.copy_of(batch.values());
        for (i, (row, bias)) in matrix.chunks_exact(self.features).zip(bias).enumerate().rev() {
            let (left, to) = batch.values_mut().split_at_mut(i * rows);
            let to = &mut to[..rows];
            for (l, left) in row.iter().zip(left.chunks_exact(rows)) {
                add_scaled(to, *l, left);
            }
            to.iter_mut().for_each(|value| *value += *bias);
        }
        log_det.iter_mut().for_each(|log_det| *log_det += volume);
        tape.push(inputs);
        tape.push(between);
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
        let matrix = &parameters[..self.features * self.features];
        let (by_matrix, by_bias) = parameter_gradient.split_at_mut(matrix.len());
        let between = tape.pop();
        let inputs = tape.pop();
        // z = L y + b: what y_j gets comes from the rows below it, so the first rows go first.
        for (i, (by_row, by_bias)) in by_matrix.chunks_exact_mut(self.features).zip(by_bias).enumerate() {
            let (left, own) = gradient.values_mut().split_at_mut(i * rows);
            let own = &own[..rows];
            *by_bias += own.iter().copied().sum::<T>();
            let row = &matrix[i * self.features..];
            for (((l, by_l), y), left) in
                row.iter().zip(by_row).zip(between.chunks_exact(rows)).zip(left.chunks_exact_mut(rows))
            {
                *by_l += dot(own, y);
                add_scaled(left, *l, own);
            }
        }
        // y = U x: what x_j gets comes from the rows above it, so the last rows go first.
        let volume: T = log_det_gradient.iter().copied().sum();
        for (i, by_row) in by_matrix.chunks_exact_mut(self.features).enumerate().rev() {
            let (_, own) = gradient.values_mut().split_at_mut(i * rows);
            let (own, right) = own.split_at_mut(rows);
            let row = &matrix[i * self.features..(i + 1) * self.features];
            let mut inputs = inputs[i * rows..].chunks_exact(rows);
            let diagonal = row[i].exp();
            by_row[i] += volume + diagonal * inputs.next().map_or(T::zero(), |x| dot(own, x));
            for (((u, by_u), x), right) in
                row[i + 1..].iter().zip(&mut by_row[i + 1..]).zip(inputs).zip(right.chunks_exact_mut(rows))
            {
                *by_u += dot(own, x);
                add_scaled(right, *u, own);
            }
            own.iter_mut().for_each(|value| *value *= diagonal);
        }
        tape.recycle(between);
        tape.recycle(inputs);
    }
}

impl Trained for TrainedLuLinear {
    fn layer(&self, _: NumberFormat) -> Layer {
        LuLinear { features: self.features }.into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let (matrix, bias) = parameters.split_at(self.features * self.features);
        let mut volume = 0.0;
        for (i, row) in matrix.chunks_exact(self.features).enumerate() {
            for (j, value) in row.iter().enumerate() {
                let value = if i == j { value.exp() } else { *value };
                volume += if i == j { f64::from(value).ln() } else { 0.0 };
                image.f32(value);
            }
        }
        image.f32s(bias);
        image.f32(volume as f32);
    }
}
