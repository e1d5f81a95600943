//! What a model stores for its monitor, behind the calibration, in one image with it.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::calibration::CalibrationView;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};
use crate::signal::{Raw, Signal};

/// What a detector stores behind its calibration: nothing, `()`, or [`Settings`].
pub trait MonitorRecord {
    /// Features that it is made for, if it stores anything.
    const FEATURES: Option<usize>;
    /// What it stores.
    const RECORD: Record;
}

/// A detector without a monitor.
impl MonitorRecord for () {
    const FEATURES: Option<usize> = None;
    const RECORD: Record = Record::stored("", &[], &[]);
}

/// The settings of a monitor of `D` features, whose tail has `T` knots, of readings that `S` makes of a signal.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Settings<const D: usize, const T: usize, S = Raw> {
    /// Lowest value that each sensor can give, in the feature's units.
    pub low: [f32; D],
    /// Highest value that each sensor can give.
    pub high: [f32; D],
    /// Most readings in a row that may have the same value; 0 where any number may.
    pub longest_run: [u32; D],
    /// Mean of each feature in training.
    pub mean: [f32; D],
    /// Standard deviation of each feature in training.
    pub deviation: [f32; D],
    /// Row i: coefficients of the linear regression of feature i on the others, 0 on the diagonal.
    pub regression: [[f32; D]; D],
    /// Standard deviation of each feature from its regression.
    pub residual: [f32; D],
    /// Scores beyond those that calibrated, ascending; unused ones at the end are `f32::MAX`.
    pub tail_scores: [f32; T],
    /// Probability of a score as high as each, by a generalized Pareto tail; descending.
    pub tail_p_values: [f32; T],
    /// Share of a difference that drift follows with each reading; 0 follows nothing.
    pub drift_rate: f32,
    /// How far drift is followed, in deviations.
    pub drift_bound: f32,
    /// Scores above it count towards an alarm.
    pub threshold: f32,
    /// Readings above the threshold, among the last `of`, that raise the alarm: k of n.
    pub needed: u32,
    /// Readings that are looked back on, up to [`MOST_READINGS`](super::MOST_READINGS).
    pub of: u32,
    /// Readings without one above the threshold that end the alarm.
    pub release: u32,
    /// Readings in a row without a score that are a sensor fault.
    pub faults: u32,
    /// What the CUSUM subtracts from the surprise -ln p of each reading, nats.
    pub cusum_reference: f32,
    /// The most that one reading adds, nats.
    pub cusum_cap: f32,
    /// The CUSUM that raises the alarm, nats.
    pub cusum_limit: f32,
    /// A normal reading, for the self-test.
    pub golden: [f32; D],
    /// Its log-density with a context of zeros, to the bit.
    pub golden_log_prob: f32,
    signal: PhantomData<S>,
}

impl<const D: usize, const T: usize, S: Signal> MonitorRecord for Settings<D, T, S> {
    const FEATURES: Option<usize> = Some(D);
    const RECORD: Record = record(&const { parameters(D, T, &S::RECORD) }, &const { fields(D, T) });
}

/// What describes the settings of so many features and knots of the tail.
#[must_use]
pub const fn parameters(features: usize, tail: usize, signal: &'static Record) -> [Parameter; 3] {
    [("features", Value::Number(features)), ("tail", Value::Number(tail)), ("signal", Value::Record(signal))]
}

/// What they store.
#[must_use]
pub const fn fields(features: usize, tail: usize) -> [Field; 21] {
    const fn of(name: &'static str, count: usize, rule: Rule) -> Field {
        Field::Data { name, format: Format::F32, count, rule }
    }
    const fn word(name: &'static str, count: usize) -> Field {
        Field::Data { name, format: Format::U32, count, rule: Rule::Any }
    }
    [
        of("low", features, Rule::Finite),
        of("high", features, Rule::Finite),
        word("longest_run", features),
        of("mean", features, Rule::Finite),
        of("deviation", features, Rule::Positive),
        of("regression", features * features, Rule::Finite),
        of("residual", features, Rule::Positive),
        of("tail_scores", tail, Rule::Ascending),
        of("tail_p_values", tail, Rule::Probability),
        of("drift_rate", 1, Rule::NotNegative),
        of("drift_bound", 1, Rule::NotNegative),
        of("threshold", 1, Rule::Finite),
        word("needed", 1),
        word("of", 1),
        word("release", 1),
        word("faults", 1),
        of("cusum_reference", 1, Rule::NotNegative),
        of("cusum_cap", 1, Rule::NotNegative),
        of("cusum_limit", 1, Rule::NotNegative),
        of("golden", features, Rule::Finite),
        of("golden_log_prob", 1, Rule::Finite),
    ]
}

/// The record of settings. A model has one at the most, so it needs no name.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record::stored("", parameters, fields)
}

/// [`Settings`], lent: its fields as slices, and its mathematics.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)] // As those of `Settings`.
pub struct SettingsView<'a> {
    pub low: &'a [f32],
    pub high: &'a [f32],
    pub longest_run: &'a [u32],
    pub mean: &'a [f32],
    pub deviation: &'a [f32],
    /// Row by row.
    pub regression: &'a [f32],
    pub residual: &'a [f32],
    pub tail_scores: &'a [f32],
    pub tail_p_values: &'a [f32],
    pub drift_rate: f32,
    pub drift_bound: f32,
    pub threshold: f32,
    pub needed: u32,
    pub of: u32,
    pub release: u32,
    pub faults: u32,
    pub cusum_reference: f32,
    pub cusum_cap: f32,
    pub cusum_limit: f32,
    pub golden: &'a [f32],
    pub golden_log_prob: f32,
}

impl<const D: usize, const T: usize, S> Settings<D, T, S> {
    /// The settings, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> SettingsView<'_> {
        SettingsView {
            low: &self.low,
            high: &self.high,
            longest_run: &self.longest_run,
            mean: &self.mean,
            deviation: &self.deviation,
            regression: self.regression.as_flattened(),
            residual: &self.residual,
            tail_scores: &self.tail_scores,
            tail_p_values: &self.tail_p_values,
            drift_rate: self.drift_rate,
            drift_bound: self.drift_bound,
            threshold: self.threshold,
            needed: self.needed,
            of: self.of,
            release: self.release,
            faults: self.faults,
            cusum_reference: self.cusum_reference,
            cusum_cap: self.cusum_cap,
            cusum_limit: self.cusum_limit,
            golden: &self.golden,
            golden_log_prob: self.golden_log_prob,
        }
    }
}

impl SettingsView<'_> {
    /// The p-value of a finite score: by the calibration's counts, and beyond its highest scores by the tail. Below
    /// 1/(n + 1) it is extrapolated (see [`Self::is_extrapolated`]). Between two knots it is rounded up.
    #[inline]
    #[must_use]
    pub fn p_value(&self, calibration: &CalibrationView<'_>, score: f32) -> f32 {
        let counted = calibration.p_value::<f32>(score);
        let reached = self.tail_scores.partition_point(|knot| *knot <= score);
        match reached.checked_sub(1).and_then(|knot| self.tail_p_values.get(knot)) {
            Some(p_value) if *p_value < counted => *p_value,
            _ => counted,
        }
    }

    /// Whether a p-value is one of the tail: an estimate beyond what was seen, and not a count.
    #[inline]
    #[must_use]
    pub fn is_extrapolated(&self, calibration: &CalibrationView<'_>, p_value: f32) -> bool {
        p_value < 1.0 / (calibration.rows as f32 + 1.0)
    }
}
