//! Windows over a stream of samples, in static memory.

use super::statistics::{self, correlation};
use super::{Recipe, Signal, Stream, spectrum};
use crate::schema::Record;

/// Where a stream of windows is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cursor {
    /// Where the next sample goes, which is where the oldest one is.
    next: usize,
    /// Samples that are there, up to a window.
    filled: usize,
    /// Samples since the last window.
    since: usize,
}

impl Recipe {
    /// Takes a sample, one value for each channel, into `ring`, which holds a window for each channel, one after the other, and
    /// `smoothed`, a value for each channel. Returns whether a window is complete.
    #[inline]
    pub fn push(&self, ring: &mut [f32], smoothed: &mut [f32], cursor: &mut Cursor, sample: &[f32]) -> bool {
        let first = cursor.filled == 0;
        let weight = 2.0 / (self.window as f32 + 1.0);
        let channels = ring.chunks_mut(self.window.max(1)).zip(smoothed);
        for ((window, smoothed), value) in channels.zip(sample) {
            if let Some(place) = window.get_mut(cursor.next) {
                *place = *value;
            }
            *smoothed = if first { *value } else { *smoothed + weight * (*value - *smoothed) };
        }
        cursor.next = if cursor.next + 1 >= self.window { 0 } else { cursor.next + 1 };
        let was_full = cursor.filled >= self.window;
        if !was_full {
            cursor.filled += 1;
            if cursor.filled < self.window {
                return false;
            }
            cursor.since = 0;
            return true;
        }
        cursor.since += 1;
        let complete = cursor.since >= self.hop;
        if complete {
            cursor.since = 0;
        }
        complete
    }

    /// Writes the features of the window that is complete. `scratch` holds a window, or two where channels are correlated.
    #[inline]
    pub fn extract(&self, ring: &[f32], smoothed: &[f32], cursor: &Cursor, scratch: &mut [f32], out: &mut [f32]) {
        let statistics = self.statistics.count_ones() as usize;
        let each = statistics + self.bands + self.lags;
        let (first, second) = scratch.split_at_mut_checked(self.window).unwrap_or_default();
        let windows = ring.chunks(self.window.max(1));
        let mut places = out.chunks_mut(each.max(1));
        for (window, smoothed) in windows.clone().zip(smoothed) {
            if each == 0 {
                break;
            }
            let Some(out) = places.next() else { return };
            let (of_statistics, rest) = out.split_at_mut_checked(statistics).unwrap_or_default();
            let (of_bands, of_lags) = rest.split_at_mut_checked(self.bands).unwrap_or_default();
            ordered(window, cursor, first);
            statistics::write(first, self.statistics, *smoothed, of_statistics);
            for (lag, place) in of_lags.iter_mut().enumerate() {
                let back = self.window.checked_sub(lag + 2).and_then(|index| first.get(index));
                *place = back.copied().unwrap_or(0.0);
            }
            if self.is_spectral() {
                let powers = spectrum::powers(first);
                let powers = first.get(..powers).unwrap_or(&[]);
                if self.has(super::Statistic::Centroid) {
                    let before = self.statistics & (super::Statistic::Centroid.bit() - 1);
                    if let Some(place) = of_statistics.get_mut(before.count_ones() as usize) {
                        *place = spectrum::centroid(powers);
                    }
                }
                spectrum::write_bands(powers, of_bands);
            }
        }
        if !self.correlations {
            return;
        }
        let pairs = out.get_mut(self.channels * each..).unwrap_or_default();
        let mut pairs = pairs.iter_mut();
        let second = second.get_mut(..self.window).unwrap_or_default();
        for (index, one) in windows.clone().enumerate() {
            for other in windows.clone().skip(index + 1) {
                ordered(one, cursor, first);
                ordered(other, cursor, second);
                if let Some(place) = pairs.next() {
                    *place = correlation(first, second);
                }
            }
        }
    }

    /// Values of scratch that [`Self::extract`] takes.
    #[must_use]
    pub const fn scratch(&self) -> usize {
        if self.correlations { 2 * self.window } else { self.window }
    }
}

/// The samples of a ring, the oldest first.
#[inline]
fn ordered(ring: &[f32], cursor: &Cursor, out: &mut [f32]) {
    let (newer, older) = ring.split_at_checked(cursor.next).unwrap_or_default();
    let values = older.iter().chain(newer);
    out.iter_mut().zip(values).for_each(|(place, value)| *place = *value);
}

/// Windows of `W` samples of `M` channels, every `HOP` samples, with the features of the recipe that the other parameters are:
/// `STATISTICS` (see [`Statistic::bit`](super::Statistic::bit)), `BANDS`, `LAGS`, `CORRELATIONS`. As a type it is part of a model's type; as a
/// value it is the stream's state, to be kept in a static: 4 M W bytes, and a little.
#[derive(Clone, Copy, Debug)]
pub struct Windows<
    const M: usize,
    const W: usize,
    const HOP: usize,
    const STATISTICS: u32,
    const BANDS: usize = 0,
    const LAGS: usize = 0,
    const CORRELATIONS: bool = false,
> {
    ring: [[f32; W]; M],
    smoothed: [f32; M],
    cursor: Cursor,
}

impl<
    const M: usize,
    const W: usize,
    const HOP: usize,
    const STATISTICS: u32,
    const BANDS: usize,
    const LAGS: usize,
    const CORRELATIONS: bool,
> Windows<M, W, HOP, STATISTICS, BANDS, LAGS, CORRELATIONS>
{
    /// The recipe, as a value.
    pub const RECIPE: Recipe = {
        let recipe = Recipe {
            channels: M,
            window: W,
            hop: HOP,
            statistics: STATISTICS,
            bands: BANDS,
            lags: LAGS,
            correlations: CORRELATIONS,
        };
        if let Some(problem) = recipe.problem() {
            panic!("{}", problem);
        }
        recipe
    };

    /// A stream before its first sample.
    #[must_use]
    pub const fn new() -> Self {
        Self { ring: [[0.0; W]; M], smoothed: [0.0; M], cursor: Cursor { next: 0, filled: 0, since: 0 } }
    }

    /// [`Stream::push`] of a sample as a converter gives it: no scale, since models are fitted in units of their own.
    #[inline]
    pub fn push_i16<const D: usize>(&mut self, sample: &[i16; M]) -> Option<[f32; D]> {
        self.push(&sample.map(f32::from))
    }
}

impl<
    const M: usize,
    const W: usize,
    const HOP: usize,
    const STATISTICS: u32,
    const BANDS: usize,
    const LAGS: usize,
    const CORRELATIONS: bool,
    const D: usize,
> Stream<M, D> for Windows<M, W, HOP, STATISTICS, BANDS, LAGS, CORRELATIONS>
{
    #[inline]
    fn push(&mut self, sample: &[f32; M]) -> Option<[f32; D]> {
        const { assert!(D == Self::RECIPE.features(), "flowlet: the windows give another number of features") };
        let complete = Self::RECIPE.push(self.ring.as_flattened_mut(), &mut self.smoothed, &mut self.cursor, sample);
        complete.then(|| {
            let (mut scratch, mut features) = ([[0.0; W]; 2], [0.0; D]);
            let ring = self.ring.as_flattened();
            Self::RECIPE.extract(ring, &self.smoothed, &self.cursor, scratch.as_flattened_mut(), &mut features);
            features
        })
    }
}

impl<
    const M: usize,
    const W: usize,
    const HOP: usize,
    const STATISTICS: u32,
    const BANDS: usize,
    const LAGS: usize,
    const CORRELATIONS: bool,
> Default for Windows<M, W, HOP, STATISTICS, BANDS, LAGS, CORRELATIONS>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<
    const M: usize,
    const W: usize,
    const HOP: usize,
    const STATISTICS: u32,
    const BANDS: usize,
    const LAGS: usize,
    const CORRELATIONS: bool,
> Signal for Windows<M, W, HOP, STATISTICS, BANDS, LAGS, CORRELATIONS>
{
    const RECORD: Record = Record::stored("Windows", &const { Self::RECIPE.parameters() }, &[]);
}
