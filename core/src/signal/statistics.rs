//! Statistics of one window of one channel, and of two.

use super::Statistic;
use crate::elementary::{Elementary, Libm};

#[inline]
fn sqrt(x: f32) -> f32 {
    <Libm as Elementary<f32>>::sqrt(x)
}

/// The mean, summed relative to the first sample: that of a constant window is its value to the bit, however large.
#[inline]
pub(super) fn mean(window: &[f32]) -> f32 {
    let first = window.first().copied().unwrap_or(0.0);
    first + window.iter().fold(0.0, |sum, value| sum + (*value - first)) / window.len() as f32
}

/// The mean of a function of each value.
#[inline]
fn average(window: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    window.iter().fold(0.0, |sum, value| sum + of(*value)) / window.len() as f32
}

/// The lowest value and the highest one.
#[inline]
fn extremes(window: &[f32]) -> (f32, f32) {
    window.iter().fold((f32::MAX, f32::MIN), |(low, high), value| {
        (if *value < low { *value } else { low }, if *value > high { *value } else { high })
    })
}

/// How often the sign changes, less the mean.
#[inline]
fn crossings(window: &[f32], mean: f32) -> u32 {
    let (mut crossings, mut before) = (0, 0.0_f32);
    for value in window {
        let away = *value - mean;
        crossings += u32::from((away > 0.0 && before < 0.0) || (away < 0.0 && before > 0.0));
        before = if away == 0.0 { before } else { away };
    }
    crossings
}

/// Writes the statistics whose bits are set, and returns how many. `smoothed` is the value of [`Statistic::Smoothed`]; the centroid
/// is left for the spectrum to write.
///
/// Each sum is a pass of its own, which only a statistic that needs it takes: without an FPU a pass is what a statistic costs.
#[inline]
pub(super) fn write(window: &[f32], statistics: u32, smoothed: f32, out: &mut [f32]) -> usize {
    use Statistic::{Crest, Deviation, Kurtosis, Mean, PeakToPeak, Rms, Skewness, Slope, ZeroCrossings};
    let wants = |statistic: Statistic| statistics & statistic.bit() != 0;
    let any = |of: &[Statistic]| of.iter().any(|statistic| wants(*statistic));
    let n = window.len() as f32;
    let mean = if any(&[Mean, Deviation, Skewness, Kurtosis, ZeroCrossings]) { mean(window) } else { 0.0 };
    let moment = |needed: bool, power: fn(f32) -> f32| {
        if needed { average(window, |value| power(value - mean)) } else { 0.0 }
    };
    let second = moment(any(&[Deviation, Skewness, Kurtosis]), |away| away * away);
    let third = moment(wants(Skewness), |away| away * away * away);
    let fourth = moment(wants(Kurtosis), |away| (away * away) * (away * away));
    let rms = if any(&[Rms, Crest]) { sqrt(average(window, |value| value * value)) } else { 0.0 };
    let (low, high) = if any(&[PeakToPeak, Crest]) { extremes(window) } else { (0.0, 0.0) };
    let crossings = if wants(ZeroCrossings) { crossings(window, mean) } else { 0 };
    let slope = if wants(Slope) {
        let middle = 0.5 * (n - 1.0);
        window.iter().enumerate().fold(0.0, |sum, (index, value)| sum + (index as f32 - middle) * *value)
    } else {
        0.0
    };
    let largest = if -low > high { -low } else { high };
    let deviation = sqrt(second);
    let varies = second > 0.0;
    let last = window.last().copied().unwrap_or(0.0);
    let previous = window.len().checked_sub(2).and_then(|index| window.get(index)).copied().unwrap_or(last);
    let values = [
        (Mean, mean),
        (Rms, rms),
        (Deviation, deviation),
        (PeakToPeak, high - low),
        (Crest, if rms > 0.0 { largest / rms } else { 0.0 }),
        (Skewness, if varies { third / (second * deviation) } else { 0.0 }),
        (Kurtosis, if varies { fourth / (second * second) } else { 0.0 }),
        (ZeroCrossings, if n > 1.0 { crossings as f32 / (n - 1.0) } else { 0.0 }),
        // The sum of squares of the places about their middle is n (n² - 1) / 12.
        (Slope, if n > 1.0 { slope * 12.0 / (n * (n * n - 1.0)) } else { 0.0 }),
        (Statistic::Centroid, 0.0),
        (Statistic::Last, last),
        (Statistic::Difference, last - previous),
        (Statistic::Smoothed, smoothed),
    ];
    let mut places = out.iter_mut();
    let mut written = 0;
    for (statistic, value) in values {
        if wants(statistic)
            && let Some(place) = places.next()
        {
            *place = value;
            written += 1;
        }
    }
    written
}

/// The correlation of two windows; 0 if one of them is constant.
#[inline]
pub(super) fn correlation(first: &[f32], second: &[f32]) -> f32 {
    let (mean_first, mean_second) = (mean(first), mean(second));
    let (mut product, mut of_first, mut of_second) = (0.0_f32, 0.0_f32, 0.0_f32);
    for (a, b) in first.iter().zip(second) {
        let (a, b) = (*a - mean_first, *b - mean_second);
        product += a * b;
        of_first += a * a;
        of_second += b * b;
    }
    let scale = sqrt(of_first) * sqrt(of_second);
    if scale > 0.0 { product / scale } else { 0.0 }
}
