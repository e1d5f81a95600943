//! Which sensor: what replacing one feature by what the others suggest would bring.
//!
//! For feature i, the others give by linear regression where it should be, and how precisely. Along a line of such replacements
//! v, ratio_i = max_v log p(v, x_-i) - log p(x) is the logarithm of a generalized likelihood ratio: "sensor i alone is wrong" against "all is
//! normal". The sensor with the largest one explains the anomaly best. It is sound for every family, and not exact: the maximum is
//! taken over [`NODES`] values, and a fault of several sensors is not one of the hypotheses.
//!
//! For flows in one order, [`terms`](crate::terms) are an exact account beside it, and name the sensor less often.
//!
//! The same line gives the density without a feature, log ∫ p(v, x_-i) dv, by the trapezoidal rule: what a reading with a missing
//! value is scored by. Nodes lie densely around the regression's value and reach out far (a hyperbolic sine), so that conditional densities a tenth as
//! wide as the regression's, and ten times as wide, are integrated.

use super::SettingsView;
use crate::elementary::{Elementary, Libm};
use crate::flow::ReadingError;

/// Replacements that are tried for a feature.
pub const NODES: usize = 25;

/// In deviations of the regression: sinh of -3.6 to 3.6 in steps of 0.3, over 2, from the middle outwards.
const OUTWARDS: [f32; 12] = [
    0.152_260_14,
    0.318_326_8,
    0.513_258_34,
    0.754_730_7,
    1.064_639_7,
    1.471_087_1,
    2.010_928_4,
    2.733_114_7,
    3.703_131_4,
    5.008_937_4,
    6.768_939,
    9.142_728,
];

/// The trapezoidal rule's weights: the steps times cosh, over 2.
const MIDDLE_WEIGHT: f32 = 0.15;
const WEIGHTS: [f32; 12] = [
    0.156_800_78,
    0.177_819_79,
    0.214_962_96,
    0.271_598_34,
    0.352_861_43,
    0.466_121,
    0.621_647,
    0.833_542_05,
    1.121_020_3,
    1.510_149_2,
    2.036_214,
    2.746_916_8,
];

/// A sensor that may have caused an anomaly.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Suspect {
    /// Index of the feature.
    pub feature: usize,
    /// Logarithm of the likelihood ratio, nats, 0 or above: how much more probable the reading is with another value there.
    pub ratio: f32,
    /// The value that would make the reading most probable.
    pub expected: f32,
    /// What was read is above that.
    pub above: bool,
}

/// The feature's value by the others, and its deviation from it, in the feature's units.
#[inline]
fn regression(settings: &SettingsView<'_>, reading: &[f32], feature: usize) -> (f32, f32) {
    let features = settings.mean.len();
    let row = settings.regression.get(feature * features..).unwrap_or(&[]);
    let mut value = settings.mean.get(feature).copied().unwrap_or(0.0);
    for (other, ((coefficient, read), mean)) in row.iter().zip(reading).zip(settings.mean).enumerate() {
        if other != feature {
            value += *coefficient * (*read - *mean);
        }
    }
    (value, settings.residual.get(feature).copied().unwrap_or(0.0))
}

/// The replacements of a feature with their weights, and what `log_prob` says of the reading with each. The reading is as it was, in
/// the end.
#[inline]
fn along(
    settings: &SettingsView<'_>,
    reading: &mut [f32],
    feature: usize,
    log_prob: &mut impl FnMut(&[f32]) -> Result<f32, ReadingError>,
    mut take: impl FnMut(f32, f32, f32),
) {
    let (center, residual) = regression(settings, reading, feature);
    let Some(before) = reading.get(feature).copied() else { return };
    let mut with = |reading: &mut [f32], value: f32, weight: f32| {
        if let Some(place) = reading.get_mut(feature) {
            *place = value;
        }
        // Where there is no density there is nothing to add.
        if let Ok(log_prob) = log_prob(reading) {
            take(value, weight * residual, log_prob);
        }
    };
    with(reading, center, MIDDLE_WEIGHT);
    for (node, weight) in OUTWARDS.into_iter().zip(WEIGHTS) {
        let away = node * residual;
        with(reading, center + away, weight);
        with(reading, center - away, weight);
    }
    if let Some(place) = reading.get_mut(feature) {
        *place = before;
    }
}

/// The sensors that explain an anomaly best, the best one first; entries that are left over are those of feature 0 with a ratio of 0. Takes
/// [`NODES`] scores for each feature, and one.
///
/// # Errors
/// [`ReadingError`] if the reading itself has no density.
#[inline]
pub fn attribute<const K: usize>(
    settings: &SettingsView<'_>,
    reading: &mut [f32],
    mut log_prob: impl FnMut(&[f32]) -> Result<f32, ReadingError>,
) -> Result<[Suspect; K], ReadingError> {
    let as_read = log_prob(reading)?;
    let mut suspects = [Suspect { feature: 0, ratio: 0.0, expected: 0.0, above: false }; K];
    for feature in 0..settings.mean.len().min(reading.len()) {
        let (mut best, mut expected) = (as_read, f32::NAN);
        along(settings, reading, feature, &mut log_prob, |value, _, log_prob| {
            if log_prob > best {
                (best, expected) = (log_prob, value);
            }
        });
        let read = reading.get(feature).copied().unwrap_or(0.0);
        let ratio = best - as_read;
        let mut suspect = Suspect { feature, ratio, expected, above: read > expected };
        if ratio > 0.0 {
            for place in &mut suspects {
                if suspect.ratio > place.ratio {
                    core::mem::swap(place, &mut suspect);
                }
            }
        }
    }
    Ok(suspects)
}

/// The log-density of a reading without one of its features, whatever value stands there; nats, in the units of the other features.
///
/// # Errors
/// [`ReadingError`] if the other features have no density, whatever the missing one is.
#[inline]
pub fn marginal_log_prob(
    settings: &SettingsView<'_>,
    reading: &mut [f32],
    missing: usize,
    mut log_prob: impl FnMut(&[f32]) -> Result<f32, ReadingError>,
) -> Result<f32, ReadingError> {
    if missing >= reading.len() {
        return Err(ReadingError::WrongLength { expected: settings.mean.len(), found: reading.len() });
    }
    // A running sum of exponentials, relative to the largest so far.
    let (mut largest, mut sum) = (f32::MIN, 0.0_f32);
    let mut found = None;
    along(
        settings,
        reading,
        missing,
        &mut |reading| {
            let said = log_prob(reading);
            if let Err(error) = said {
                found = found.or(Some(error));
            }
            said
        },
        |_, weight, log_prob| {
            let exp = <Libm as Elementary<f32>>::exp;
            if log_prob > largest {
                sum = sum * exp(largest - log_prob) + weight;
                largest = log_prob;
            } else {
                sum += weight * exp(log_prob - largest);
            }
        },
    );
    match found {
        Some(error) if sum <= 0.0 => Err(error),
        _ if sum <= 0.0 => Ok(f32::MIN),
        _ => Ok(largest + <Libm as Elementary<f32>>::ln(sum)),
    }
}
