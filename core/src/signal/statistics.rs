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

/// Moments about the mean, in one pass after that of the mean.
struct Moments {
    mean: f32,
    second: f32,
    third: f32,
    fourth: f32,
}

impl Moments {
    #[inline]
    fn new(window: &[f32]) -> Self {
        let mean = mean(window);
        let (mut second, mut third, mut fourth) = (0.0, 0.0, 0.0);
        for value in window {
            let away = *value - mean;
            let square = away * away;
            second += square;
            third += square * away;
            fourth += square * square;
        }
        let n = window.len() as f32;
        Self { mean, second: second / n, third: third / n, fourth: fourth / n }
    }
}

/// Writes the statistics whose bits are set, and returns how many. `smoothed` is the value of [`Statistic::Smoothed`]; the centroid
/// is left for the spectrum to write.
#[inline]
pub(super) fn write(window: &[f32], statistics: u32, smoothed: f32, out: &mut [f32]) -> usize {
    let wants = |statistic: Statistic| statistics & statistic.bit() != 0;
    let n = window.len() as f32;
    let moments = Moments::new(window);
    let (mut squares, mut low, mut high) = (0.0_f32, f32::MAX, f32::MIN);
    let (mut crossings, mut before) = (0_u32, 0.0_f32);
    let (mut slope, middle) = (0.0_f32, 0.5 * (n - 1.0));
    for (index, value) in window.iter().enumerate() {
        squares += *value * *value;
        low = if *value < low { *value } else { low };
        high = if *value > high { *value } else { high };
        let away = *value - moments.mean;
        crossings += u32::from((away > 0.0 && before < 0.0) || (away < 0.0 && before > 0.0));
        before = if away == 0.0 { before } else { away };
        slope += (index as f32 - middle) * *value;
    }
    let rms = sqrt(squares / n);
    let largest = if -low > high { -low } else { high };
    let deviation = sqrt(moments.second);
    let varies = moments.second > 0.0;
    let last = window.last().copied().unwrap_or(0.0);
    let previous = window.len().checked_sub(2).and_then(|index| window.get(index)).copied().unwrap_or(last);
    let values = [
        (Statistic::Mean, moments.mean),
        (Statistic::Rms, rms),
        (Statistic::Deviation, deviation),
        (Statistic::PeakToPeak, high - low),
        (Statistic::Crest, if rms > 0.0 { largest / rms } else { 0.0 }),
        (Statistic::Skewness, if varies { moments.third / (moments.second * deviation) } else { 0.0 }),
        (Statistic::Kurtosis, if varies { moments.fourth / (moments.second * moments.second) } else { 0.0 }),
        (Statistic::ZeroCrossings, if n > 1.0 { crossings as f32 / (n - 1.0) } else { 0.0 }),
        // The sum of squares of the places about their middle is n (n² - 1) / 12.
        (Statistic::Slope, if n > 1.0 { slope * 12.0 / (n * (n * n - 1.0)) } else { 0.0 }),
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
