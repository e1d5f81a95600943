//! Features of a window, a kind at a time.

use core::hint::black_box;

use flowlet::signal::{Cursor, Recipe, Statistic, Windows};
use zerocopy::FromBytes;

use crate::Job;
use crate::evaluation::Numbers;

/// Channels of the signal.
const CHANNELS: usize = 2;

/// Samples of a window.
const WINDOW: usize = 256;

/// A window of each channel.
type Ring = Numbers<{ CHANNELS * WINDOW }>;

/// The features of a recipe, of the window in the image.
struct Of<const STATISTICS: u32, const BANDS: usize = 0, const LAGS: usize = 0, const CORRELATIONS: bool = false>;

impl<const STATISTICS: u32, const BANDS: usize, const LAGS: usize, const CORRELATIONS: bool>
    Of<STATISTICS, BANDS, LAGS, CORRELATIONS>
{
    const RECIPE: Recipe = Windows::<CHANNELS, WINDOW, 1, STATISTICS, BANDS, LAGS, CORRELATIONS>::RECIPE;

    fn features(image: &[u8], _: &[f32], results: &mut [f32]) -> Option<usize> {
        let Numbers(ring) = Ring::ref_from_bytes(image).ok()?;
        let mut scratch = [[0.0; WINDOW]; 2];
        let out = results.get_mut(..Self::RECIPE.features())?;
        // What is smoothed is not made of the window, but sample by sample.
        Self::RECIPE.extract(ring, &ring[..CHANNELS], &Cursor::default(), scratch.as_flattened_mut(), out);
        Some(out.len())
    }
}

/// Nothing of the window.
fn besides(image: &[u8], _: &[f32], _: &mut [f32]) -> Option<usize> {
    black_box(Ring::ref_from_bytes(image).ok()?);
    Some(0)
}

/// A sample, taken into a copy of the window.
fn first(image: &[u8], _: &[f32], results: &mut [f32]) -> Option<usize> {
    pushed::<1>(image, results)
}

/// One more, as all are taken but the first.
fn second(image: &[u8], _: &[f32], results: &mut [f32]) -> Option<usize> {
    pushed::<2>(image, results)
}

fn pushed<const SAMPLES: usize>(image: &[u8], results: &mut [f32]) -> Option<usize> {
    let Numbers(ring) = Ring::ref_from_bytes(image).ok()?;
    let (mut ring, mut smoothed, mut cursor) = (*ring, [0.0; CHANNELS], Cursor::default());
    for _ in 0..SAMPLES {
        // Behind references, or all of it would be copied once more.
        black_box((&mut ring, &mut smoothed, &mut cursor));
        black_box(Of::<MEAN>::RECIPE.push(&mut ring, &mut smoothed, &mut cursor, &black_box([0.5, -0.25])));
    }
    black_box(&ring);
    results.get_mut(..CHANNELS)?.copy_from_slice(&smoothed);
    Some(CHANNELS)
}

const MEAN: u32 = Statistic::Mean.bit();

macro_rules! jobs {
    ($($name:literal: $evaluate:expr, beside $besides:expr;)*) => {
        &[$(&[job("besides", $besides), job($name, $evaluate)],)*]
    };
}

const fn job(name: &'static str, evaluate: crate::Evaluate) -> Job {
    Job {
        name,
        features: CHANNELS,
        image: size_of::<Ring>(),
        values: 0,
        evaluate,
        #[cfg(not(target_os = "none"))]
        schema: &<Ring as flowlet::Layer>::SCHEMA,
    }
}

/// What is computed of a window of 256 samples of 2 channels, by its kind; the first job of a list is what the second one costs besides.
pub const FEATURES: &[&[Job]] = jobs! {
    "window 2x256, a sample": second, beside first;
    "window 2x256, mean": Of::<MEAN>::features, beside besides;
    "window 2x256, rms": Of::<{ Statistic::Rms.bit() }>::features, beside besides;
    "window 2x256, deviation": Of::<{ Statistic::Deviation.bit() }>::features, beside besides;
    "window 2x256, peak-to-peak": Of::<{ Statistic::PeakToPeak.bit() }>::features, beside besides;
    "window 2x256, crest": Of::<{ Statistic::Crest.bit() }>::features, beside besides;
    "window 2x256, skewness": Of::<{ Statistic::Skewness.bit() }>::features, beside besides;
    "window 2x256, kurtosis": Of::<{ Statistic::Kurtosis.bit() }>::features, beside besides;
    "window 2x256, zero-crossings": Of::<{ Statistic::ZeroCrossings.bit() }>::features, beside besides;
    "window 2x256, slope": Of::<{ Statistic::Slope.bit() }>::features, beside besides;
    "window 2x256, centroid": Of::<{ Statistic::Centroid.bit() }>::features, beside besides;
    "window 2x256, last": Of::<{ Statistic::Last.bit() }>::features, beside besides;
    "window 2x256, difference": Of::<{ Statistic::Difference.bit() }>::features, beside besides;
    "window 2x256, smoothed": Of::<{ Statistic::Smoothed.bit() }>::features, beside besides;
    "window 2x256, 8 bands": Of::<0, 8>::features, beside besides;
    "window 2x256, 4 lags": Of::<0, 0, 4>::features, beside besides;
    "window 2x256, correlation": Of::<0, 0, 0, true>::features, beside besides;
    "window 2x256, all of these": Of::<0x1FFF, 8, 4, true>::features, beside besides;
};
