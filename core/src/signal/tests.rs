extern crate std;

use std::vec;
use std::vec::Vec;

use super::*;

const EVERY: u32 = (1 << STATISTICS.len()) - 1;

/// Pseudo-random samples of two channels.
fn samples(count: usize) -> Vec<[f32; 2]> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count)
        .map(|index| {
            let tone = (index as f32 * 0.9).sin();
            [tone + 0.1 * next() + 0.5, 0.3 * tone + next()]
        })
        .collect()
}

/// By their definitions, in double precision.
fn reference(window: &[f32]) -> [f64; 12] {
    let x: Vec<f64> = window.iter().map(|value| f64::from(*value)).collect();
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let moment = |k: i32| x.iter().map(|value| (value - mean).powi(k)).sum::<f64>() / n;
    let rms = (x.iter().map(|value| value * value).sum::<f64>() / n).sqrt();
    let largest = x.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let (low, high) = x.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    let crossings = x.windows(2).filter(|pair| (pair[0] - mean) * (pair[1] - mean) < 0.0).count() as f64 / (n - 1.0);
    let places = (0..x.len()).map(|index| index as f64 - (n - 1.0) / 2.0);
    let slope = places.clone().zip(&x).map(|(place, value)| place * value).sum::<f64>()
        / places.map(|place| place * place).sum::<f64>();
    let powers = powers(window);
    let total: f64 = powers.iter().sum();
    let centroid = powers.iter().enumerate().map(|(k, power)| (k as f64 + 1.0) * power).sum::<f64>() / total;
    [
        mean,
        rms,
        moment(2).sqrt(),
        high - low,
        largest / rms,
        moment(3) / moment(2).powf(1.5),
        moment(4) / moment(2).powi(2),
        crossings,
        slope,
        centroid / (n / 2.0),
        x[x.len() - 1],
        x[x.len() - 1] - x[x.len() - 2],
    ]
}

/// Powers of the frequencies above 0 by the discrete Fourier transform of a window times a Hann window.
fn powers(window: &[f32]) -> Vec<f64> {
    let n = window.len();
    let mean = window.iter().map(|value| f64::from(*value)).sum::<f64>() / n as f64;
    let turn = core::f64::consts::TAU / n as f64;
    (1..=n / 2)
        .map(|k| {
            let (mut re, mut im) = (0.0, 0.0);
            for (index, value) in window.iter().enumerate() {
                let hann = 0.5 - 0.5 * (turn * index as f64).cos();
                let value = (f64::from(*value) - mean) * hann;
                let angle = turn * (k * index) as f64;
                re += value * angle.cos();
                im -= value * angle.sin();
            }
            re * re + im * im
        })
        .collect()
}

fn close(found: f32, expected: f64, what: &str) {
    assert!((f64::from(found) - expected).abs() < 2e-4 * (1.0 + expected.abs()), "{what}: {found} {expected}");
}

#[test]
fn features_are_what_their_definitions_say() {
    let samples = samples(300);
    let mut windows = Windows::<2, 64, 16, EVERY, 4, 3, true>::new();
    let recipe = Windows::<2, 64, 16, EVERY, 4, 3, true>::RECIPE;
    assert_eq!(recipe.features(), 41);
    let mut complete = 0;
    for (index, sample) in samples.iter().enumerate() {
        let Some(features) = Stream::<2, 41>::push(&mut windows, sample) else {
            assert!(index < 63 || (index - 63) % 16 != 0, "{index}");
            continue;
        };
        assert!(index >= 63 && (index - 63) % 16 == 0, "{index}");
        complete += 1;
        let window =
            |channel: usize| -> Vec<f32> { samples[index - 63..=index].iter().map(|sample| sample[channel]).collect() };
        for channel in 0..2 {
            let (x, of_channel) = (window(channel), &features[20 * channel..20 * channel + 20]);
            for ((found, expected), (_, name)) in of_channel.iter().zip(reference(&x)).zip(STATISTICS) {
                close(*found, expected, name);
            }
            let mut smoothed = f64::from(samples[0][channel]);
            for sample in &samples[1..=index] {
                smoothed += 2.0 / 65.0 * (f64::from(sample[channel]) - smoothed);
            }
            close(of_channel[12], smoothed, "smoothed");
            let powers = powers(&x);
            for band in 0..4 {
                let power: f64 = powers[8 * band..8 * band + 8].iter().sum();
                close(of_channel[13 + band], power.ln(), "band");
            }
            for lag in 1..=3 {
                assert_eq!(of_channel[16 + lag], x[63 - lag]);
            }
        }
        let (a, b) = (window(0), window(1));
        let (of_a, of_b) = (reference(&a), reference(&b));
        let covariance =
            a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - of_a[0]) * (f64::from(*b) - of_b[0])).sum::<f64>() / 64.0;
        close(features[40], covariance / (of_a[2] * of_b[2]), "correlation");
    }
    assert_eq!(complete, 15);
}

#[test]
fn every_feature_has_a_name_in_its_place() {
    let recipe = Windows::<2, 64, 16, { Statistic::Mean.bit() | Statistic::Last.bit() }, 2, 1, true>::RECIPE;
    let features: Vec<_> = (0..).map_while(|index| recipe.feature(index)).collect();
    let of_channel = [
        Feature::Statistic(Statistic::Mean),
        Feature::Statistic(Statistic::Last),
        Feature::Band(0),
        Feature::Band(1),
        Feature::Lag(1),
    ];
    let mut expected = vec![];
    for channel in 0..2 {
        expected.extend(of_channel.map(|feature| (channel, feature)));
    }
    expected.push((0, Feature::Correlation(1)));
    assert_eq!(features, expected);
    assert_eq!(features.len(), recipe.features());
}

#[test]
fn constant_and_wild_windows_give_numbers() {
    for value in [0.0, 1.0, -3.5e18] {
        let mut windows = Windows::<1, 8, 1, EVERY, 2>::new();
        for _ in 0..20 {
            if let Some(features) = Stream::<1, 15>::push(&mut windows, &[value]) {
                assert!(features.iter().all(|feature| feature.is_finite()), "{value}: {features:?}");
            }
        }
    }
}

#[test]
fn every_length_has_a_transform() {
    for length in (3..=12).map(|power| 1_usize << power) {
        let recipe =
            Recipe { channels: 1, window: length, hop: length, statistics: 0, bands: 2, lags: 0, correlations: false };
        assert_eq!(recipe.problem(), None);
        let (mut ring, mut scratch, mut out) = (vec![0.0; length], vec![0.0; length], [0.0; 2]);
        let (mut cursor, mut smoothed) = (Cursor::default(), [0.0]);
        let tone = |index: usize| (core::f32::consts::TAU * (length / 8) as f32 * index as f32 / length as f32).sin();
        for index in 0..length {
            let complete = recipe.push(&mut ring, &mut smoothed, &mut cursor, &[tone(index)]);
            assert_eq!(complete, index + 1 == length);
        }
        recipe.extract(&ring, &smoothed, &cursor, &mut scratch, &mut out);
        // A tone at an eighth of the sampling rate is in the lower band.
        assert!(out[0] - out[1] > 2.0, "{length}: {out:?}");
    }
}

#[test]
fn what_cannot_be_computed_is_said() {
    let good = Windows::<2, 64, 16, EVERY, 4, 3, true>::RECIPE;
    for (recipe, words) in [
        (Recipe { channels: 0, ..good }, "one channel"),
        (Recipe { window: 0, ..good }, "1 to 4096"),
        (Recipe { hop: 65, ..good }, "advance"),
        (Recipe { statistics: 1 << 13, ..good }, "no such statistic"),
        (Recipe { window: 60, ..good }, "a spectrum takes"),
        (Recipe { bands: 33, ..good }, "no more bands"),
        (Recipe { lags: 64, ..good }, "lags"),
        (Recipe { channels: 1, ..good }, "2 channels"),
        (Recipe { statistics: 0, bands: 0, lags: 0, correlations: false, ..good }, "needs a feature"),
    ] {
        assert!(recipe.problem().is_some_and(|problem| problem.contains(words)), "{recipe:?}");
    }
}
