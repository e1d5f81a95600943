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
    let inverse_scale = |(feature, sum): (usize, &f64)| {
        let deviation = (sum / count).sqrt();
        match deviation.recip() as f32 {
            _ if deviation == 0.0 => Err(FitError::NoSpread { feature }),
            scale if scale.is_normal() => Ok(scale),
            _ => Err(FitError::Spread { feature, deviation }),
        }
    };
    let inverse_scale = square.iter().enumerate().map(inverse_scale).collect::<Result<_, _>>()?;
    Ok((mean.iter().map(|mean| *mean as f32).collect(), inverse_scale))
}
