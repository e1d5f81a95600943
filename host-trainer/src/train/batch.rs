//! Rows as the arithmetic wants them.

use super::real::Real;

/// Rows in feature-major order, `values[feature * rows + row]`: what one vector instruction touches is the same feature
/// of neighbouring rows, so that every loop of a layer vectorizes whatever the layer's shape.
#[derive(Clone, Debug, Default)]
pub struct Batch<T> {
    features: usize,
    rows: usize,
    values: Vec<T>,
}

impl<T: Real> Batch<T> {
    /// Zeros.
    pub fn zeros(features: usize, rows: usize) -> Self {
        Self { features, rows, values: vec![T::zero(); features * rows] }
    }

    /// Changes the shape, keeping the memory; what the values are afterwards is unspecified.
    pub fn reshape(&mut self, features: usize, rows: usize) {
        (self.features, self.rows) = (features, rows);
        self.values.resize(features * rows, T::zero());
    }

    /// Numbers in a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All values, feature after feature.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, feature after feature.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// The values of one feature, a number per row.
    pub fn feature(&self, index: usize) -> &[T] {
        &self.values[index * self.rows..(index + 1) * self.rows]
    }

    /// The values of one feature, a number per row.
    pub fn feature_mut(&mut self, index: usize) -> &mut [T] {
        &mut self.values[index * self.rows..(index + 1) * self.rows]
    }

    /// Replaces the storage by one of the same length and returns the old one.
    pub fn replace(&mut self, values: Vec<T>) -> Vec<T> {
        debug_assert_eq!(values.len(), self.values.len());
        std::mem::replace(&mut self.values, values)
    }
}
