//! Which features of a window: the recipe, as a value.

use crate::schema::{Parameter, Value};

/// A statistic of one channel in a window. Their order is that of the features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// Mean.
    Mean,
    /// Root of the mean square.
    Rms,
    /// Standard deviation (over n).
    Deviation,
    /// Highest less lowest.
    PeakToPeak,
    /// Largest absolute value by the root mean square; 0 for a window of zeros.
    Crest,
    /// Third standardized moment; 0 for a constant window.
    Skewness,
    /// Fourth standardized moment, 3 for a normal distribution; 0 for a constant window.
    Kurtosis,
    /// Share of neighbours between which the sign changes, the mean having been subtracted.
    ZeroCrossings,
    /// Slope of the line of least squares, per sample.
    Slope,
    /// Mean frequency, weighted by power, as a share of half the sampling rate; 0 for a constant window.
    Centroid,
    /// The last sample.
    Last,
    /// The last sample less the one before it.
    Difference,
    /// Exponential smoothing over all samples up to now, each weighing 2 / (window + 1).
    Smoothed,
}

/// All statistics, with the names that features get, in their order.
pub const STATISTICS: [(Statistic, &str); 13] = [
    (Statistic::Mean, "mean"),
    (Statistic::Rms, "rms"),
    (Statistic::Deviation, "deviation"),
    (Statistic::PeakToPeak, "peak-to-peak"),
    (Statistic::Crest, "crest"),
    (Statistic::Skewness, "skewness"),
    (Statistic::Kurtosis, "kurtosis"),
    (Statistic::ZeroCrossings, "zero-crossings"),
    (Statistic::Slope, "slope"),
    (Statistic::Centroid, "centroid"),
    (Statistic::Last, "last"),
    (Statistic::Difference, "difference"),
    (Statistic::Smoothed, "smoothed"),
];

impl Statistic {
    /// Its bit in [`Recipe::statistics`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A feature of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// A statistic of a channel.
    Statistic(Statistic),
    /// Logarithm of a channel's power in a band of frequencies, from 0 on.
    Band(usize),
    /// A channel's sample this many samples before the last, from 1 on.
    Lag(usize),
    /// Correlation of a channel with this other one.
    Correlation(usize),
}

/// What is computed of a window. The features of the first channel come first, its statistics in their order, its bands, its lags;
/// behind all channels, the correlations of each channel with those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Values of a sample.
    pub channels: usize,
    /// Samples of a window.
    pub window: usize,
    /// Samples from one window to the next.
    pub hop: usize,
    /// A bit for each statistic ([`Statistic::bit`]).
    pub statistics: u32,
    /// Bands of equal width between 0 and half the sampling rate.
    pub bands: usize,
    /// Samples before the last one that are features themselves.
    pub lags: usize,
    /// Whether channels are correlated.
    pub correlations: bool,
}

impl Recipe {
    /// Features of a window.
    #[must_use]
    pub const fn features(&self) -> usize {
        let each = self.statistics.count_ones() as usize + self.bands + self.lags;
        self.channels * each + if self.correlations { self.channels * self.channels.saturating_sub(1) / 2 } else { 0 }
    }

    /// Whether a statistic is one of the features.
    #[must_use]
    pub const fn has(&self, statistic: Statistic) -> bool {
        self.statistics & statistic.bit() != 0
    }

    /// Whether a spectrum is needed.
    #[must_use]
    pub const fn is_spectral(&self) -> bool {
        self.bands > 0 || self.has(Statistic::Centroid)
    }

    /// Why it cannot be computed, if so.
    #[must_use]
    pub const fn problem(&self) -> Option<&'static str> {
        if self.channels == 0 {
            Some("a signal has one channel or more")
        } else if self.window == 0 || self.window > 4096 {
            Some("a window has 1 to 4096 samples")
        } else if self.hop == 0 || self.hop > self.window {
            Some("windows advance by 1 sample or more, and by their length at the most")
        } else if self.statistics >> STATISTICS.len() != 0 {
            Some("there is no such statistic")
        } else if self.features() == 0 {
            Some("a window needs a feature")
        } else if self.lags >= self.window {
            Some("lags reach back no further than the window")
        } else if self.has(Statistic::Difference) && self.window < 2 {
            Some("a difference takes a window of 2 samples or more")
        } else if self.correlations && self.channels < 2 {
            Some("correlations take 2 channels or more")
        } else if self.is_spectral() && !(self.window.is_power_of_two() && self.window >= 8) {
            Some("a spectrum takes a window of 8, 16, 32, .. 4096 samples")
        } else if self.bands > self.window / 2 {
            Some("there are no more bands than half the samples of a window")
        } else {
            None
        }
    }

    /// The feature at an index, and its channel; `None` behind the last.
    #[must_use]
    pub fn feature(&self, index: usize) -> Option<(usize, Feature)> {
        let statistics = self.statistics.count_ones() as usize;
        let each = statistics + self.bands + self.lags;
        let of_channels = self.channels * each;
        if index >= of_channels {
            let mut left = index - of_channels;
            for first in 0..self.channels.saturating_sub(usize::from(self.correlations)) {
                let pairs = if self.correlations { self.channels - first - 1 } else { 0 };
                if left < pairs {
                    return Some((first, Feature::Correlation(first + 1 + left)));
                }
                left -= pairs;
            }
            return None;
        }
        let (channel, place) = (index.checked_div(each)?, index.checked_rem(each)?);
        let feature = if let Some(behind) = place.checked_sub(statistics) {
            behind.checked_sub(self.bands).map_or(Feature::Band(behind), |lag| Feature::Lag(lag + 1))
        } else {
            Feature::Statistic(STATISTICS.iter().filter(|(statistic, _)| self.has(*statistic)).nth(place)?.0)
        };
        Some((channel, feature))
    }

    /// Parameters of the canonical description.
    #[must_use]
    pub const fn parameters(&self) -> [Parameter; 7] {
        [
            ("channels", Value::Number(self.channels)),
            ("window", Value::Number(self.window)),
            ("hop", Value::Number(self.hop)),
            ("statistics", Value::Number(self.statistics as usize)),
            ("bands", Value::Number(self.bands)),
            ("lags", Value::Number(self.lags)),
            ("correlations", Value::Number(self.correlations as usize)),
        ]
    }
}
