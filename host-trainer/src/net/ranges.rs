//! Ranges of activations: how far the 16 bits of a unit reach.
//!
//! The device stores an activation as a whole number of units up to ±32767, and saturates beyond. A wide range makes the
//! units coarse, a narrow one saturates what lies far off: which costs less depends on the net and on the readings, so
//! there are three methods, and held-back readings decide ([`crate::quantization`]).

use nalgebra::DMatrix;
use serde::Serialize;

/// The largest quantized activation.
pub(super) const ACTIVATION_LIMIT: f64 = 32767.0;

/// How far ranges reach beyond what was seen, so that somewhat larger activations do not saturate.
const HEADROOM: f64 = 2.0;

/// The share of activations that [`RangeMethod::Percentile`] takes for usual.
const USUAL: f64 = 0.999;

/// The finest range that [`RangeMethod::MeanSquaredError`] tries is the largest activation by two to the power of this.
const FINEST: i32 = 5;

/// How the range of activations is calibrated by those that readings give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RangeMethod {
    /// Twice the largest.
    MinMax,
    /// Twice the largest of the usual ones, 99.9 % of them.
    Percentile,
    /// What leaves the least squared error of rounding and saturation together.
    MeanSquaredError,
}

impl RangeMethod {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::MinMax, Self::Percentile, Self::MeanSquaredError];

    /// For reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::Percentile => "percentile",
            Self::MeanSquaredError => "squared error",
        }
    }

    /// The value of one unit of activations like these. Those that are all zero still get a positive one.
    pub(super) fn unit<'a>(self, values: impl IntoIterator<Item = &'a DMatrix<f64>>) -> f64 {
        let sizes: Vec<f64> = values.into_iter().flatten().map(|value| value.abs()).collect();
        let largest = sizes.iter().copied().fold(0.0, f64::max);
        let range = match self {
            Self::MinMax => largest * HEADROOM,
            Self::Percentile => percentile(sizes) * HEADROOM,
            Self::MeanSquaredError => {
                // Four to an octave, from twice the largest on.
                let ranges = (-4..=4 * FINEST).map(|quarter| largest * (-f64::from(quarter) / 4.0).exp2());
                let error = |range: f64| squared_error(&sizes, range.max(f64::MIN_POSITIVE) / ACTIVATION_LIMIT);
                ranges.min_by(|a, b| error(*a).total_cmp(&error(*b))).unwrap_or(largest)
            }
        };
        range.max(1e-3) / ACTIVATION_LIMIT
    }
}

/// The largest of the usual sizes; zeros, which a ReLU gives in plenty, are not counted.
fn percentile(mut sizes: Vec<f64>) -> f64 {
    sizes.retain(|size| *size > 0.0);
    if sizes.is_empty() {
        return 0.0;
    }
    let rank = ((sizes.len() - 1) as f64 * USUAL).floor() as usize;
    *sizes.select_nth_unstable_by(rank, f64::total_cmp).1
}

fn squared_error(sizes: &[f64], unit: f64) -> f64 {
    sizes.iter().map(|size| (size - grid(*size, unit)).powi(2)).sum()
}

/// A value on the grid of a unit, saturated.
pub(super) fn grid(value: f64, unit: f64) -> f64 {
    (value / unit).round().clamp(-ACTIVATION_LIMIT, ACTIVATION_LIMIT) * unit
}

/// What went into a quantized matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ranges {
    /// The largest activation in size.
    pub largest_activation: f64,
    /// The value of one unit of the activations.
    pub unit: f64,
    /// The share of activations that saturate.
    pub saturated: f64,
    /// The largest weight in size, before it is rounded.
    pub largest_weight: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand values up to 1, and one of 100.
    fn with_an_outlier() -> DMatrix<f64> {
        DMatrix::from_fn(1001, 1, |row, _| if row == 1000 { -100.0 } else { (row + 1) as f64 / 1000.0 })
    }

    #[test]
    fn methods_differ_in_what_they_make_of_an_outlier() {
        let values = with_an_outlier();
        let range = |method: RangeMethod| method.unit([&values]) * ACTIVATION_LIMIT;
        assert_eq!(range(RangeMethod::MinMax), 200.0);
        assert_eq!(range(RangeMethod::Percentile), 2.0);
        // Saturating the one value costs more than coarse units do.
        assert!((range(RangeMethod::MeanSquaredError) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn squared_error_is_the_least_of_the_methods() {
        let values = with_an_outlier();
        let sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
        let [min_max, percentile, least] = RangeMethod::ALL.map(|method| squared_error(&sizes, method.unit([&values])));
        assert!(least <= min_max && least <= percentile, "{least} {min_max} {percentile}");
    }

    #[test]
    fn nothing_but_zeros_has_a_unit() {
        for method in RangeMethod::ALL {
            for values in [DMatrix::zeros(3, 2), DMatrix::zeros(0, 0), DMatrix::zeros(5, 0)] {
                assert!(method.unit([&values]) > 0.0, "{method:?}");
            }
        }
    }
}
