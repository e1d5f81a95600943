//! Centre and scale of each feature.

use super::error::FitError;
use crate::data::Matrix;

/// Mean and 1 / standard deviation of each feature, in f32 as the device has them.
///
/// # Errors
/// A value that is not finite, a feature without spread, or one whose spread f32 cannot hold.
pub(super) fn moments(rows: &Matrix) -> Result<(Vec<f32>, Vec<f32>), FitError> {
    let count = rows.rows() as f64;
    let mut mean = vec![0.0f64; rows.columns()];
    for (row, values) in rows.iter_rows().enumerate() {
        for (feature, (sum, value)) in mean.iter_mut().zip(values).enumerate() {
            if !value.is_finite() {
                return Err(FitError::NotFinite { row, feature });
            }
            *sum += f64::from(*value);
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    let mut square = vec![0.0f64; rows.columns()];
    for row in rows.iter_rows() {
        for ((sum, value), mean) in square.iter_mut().zip(row).zip(&mean) {
            *sum += (f64::from(*value) - mean).powi(2);
        }
    }
    let inverse_scale: Vec<f32> = square.iter().map(|sum| (sum / count).sqrt().recip() as f32).collect();
    match inverse_scale.iter().position(|scale| !scale.is_normal()) {
        Some(feature) => Err(FitError::NoSpread { feature }),
        None => Ok((mean.iter().map(|mean| *mean as f32).collect(), inverse_scale)),
    }
}
