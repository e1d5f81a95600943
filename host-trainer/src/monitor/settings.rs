//! The settings of a monitor, from a recording of normal operation.

use std::fmt;

use flowlet::monitor::{Evidence, MOST_READINGS, SettingsView, State};
use nalgebra::DMatrix;
use serde::Serialize;

use super::{Budget, Rate, Replay, Step};
use crate::data::Matrix;
use crate::model::architecture::{Monitor, Signal};
use crate::model::{Model, ModelError};
use crate::scoring::{ScoringError, assess};
use crate::tail::{Tail, TailError};

/// Knots of a stored tail: eight for each factor of ten, so p-values below 1/(n + 1) are rounded up by a third at the most.
pub const TAIL: usize = 48;

/// Knots for each factor of ten.
const KNOTS_A_DECADE: f64 = 8.0;

/// What a monitor is to do.
#[derive(Clone, Debug)]
pub struct MonitorOptions {
    /// False alarms, counted as entries into the alarm state.
    pub budget: Budget,
    /// Samples of the signal in a time.
    pub rate: Rate,
    /// k: readings above the threshold that raise the alarm ..
    pub needed: u32,
    /// .. among the last n.
    pub of: u32,
    /// Readings without one that end it.
    pub release: u32,
    /// Readings in a row without a score that are a sensor fault.
    pub faults: u32,
    /// The time constant of drift, in readings; `None` follows nothing.
    pub drift: Option<f64>,
    /// How far drift is followed, in standard deviations.
    pub drift_bound: f32,
    /// What sensors can give: feature, lowest, highest.
    pub ranges: Vec<(usize, f32, f32)>,
}

/// Readings of normal operation, in the order of time.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The readings, each followed by its context.
    pub readings: Matrix,
    /// For each reading the number of the run that it belongs to: nothing is carried from one to the next.
    pub runs: Vec<usize>,
}

/// Why there is no monitor.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// A reading has no score.
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    /// Scores have no tail.
    #[error("the {of} of the recording: {error}")]
    Tail {
        /// Of what.
        of: &'static str,
        /// Why not.
        error: TailError,
    },
    /// The model was never calibrated.
    #[error("the model has no calibration yet: run `flowlet calibrate` first")]
    Uncalibrated,
    /// k of n makes no sense.
    #[error("--of {of}: an alarm looks back on 1 to {MOST_READINGS} readings, and on --needed {needed} or more")]
    Debounce {
        /// k.
        needed: u32,
        /// n.
        of: u32,
    },
    /// Features depend on each other exactly, or one is constant.
    #[error("feature {0} of the recording is constant, or determined by the others: nothing can be said of it alone")]
    Determined(usize),
    /// The device would refuse the settings.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A limit that alarms are raised at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limit {
    /// What it is a limit of.
    pub of: &'static str,
    /// Where it is.
    pub at: f64,
    /// Its uncertainty: 95 %.
    pub interval: (f64, f64),
    /// The highest that the recording has.
    pub highest: f64,
    /// It is beyond that: an extrapolation.
    pub extrapolated: bool,
    /// Shape ξ of the tail: below 0 it ends, above 0 it is heavy.
    pub shape: f64,
    /// Clusters per reading above a high level: 1 for readings that do not depend on each other.
    pub extremal_index: f64,
}

/// What a monitor was made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The budget, as it was said.
    pub budget: String,
    /// The rate, as it was said.
    pub rate: String,
    /// Readings from one alarm of the budget to the next.
    pub readings_between_alarms: f64,
    /// Readings of the recording.
    pub readings: usize,
    /// Its runs.
    pub runs: usize,
    /// k and n.
    pub debounce: (u32, u32),
    /// Limits of the debounced score and of the CUSUM.
    pub limits: Vec<Limit>,
    /// Alarms that the monitor raises in the recording.
    pub alarms: usize,
    /// Correlation of a score with the next one: exchangeable readings have none.
    pub autocorrelation: f64,
    /// The lowest p-value that is a count.
    pub lowest_counted: f64,
    /// The lowest one that the stored tail gives.
    pub lowest_estimated: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, of) = self.debounce;
        writeln!(
            f,
            "{:<14}{} at {}: one alarm in {:.0} readings; the recording has {} in {} runs",
            "budget", self.budget, self.rate, self.readings_between_alarms, self.readings, self.runs
        )?;
        writeln!(f, "{:<14}{needed} of {of} readings above the threshold, or the CUSUM above its limit", "alarm")?;
        for limit in &self.limits {
            let (low, high) = limit.interval;
            writeln!(
                f,
                "{:<14}{:.4} (95 %: {low:.4} to {high:.4}), {}the recording's highest is {:.4}; tail {:+.2}, {:.2} clusters a reading",
                limit.of,
                limit.at,
                if limit.extrapolated { "extrapolated: " } else { "" },
                limit.highest,
                limit.shape,
                limit.extremal_index,
            )?;
        }
        writeln!(
            f,
            "{:<14}{} in the recording; scores correlate with their successors at {:.2}{}",
            "alarms",
            self.alarms,
            self.autocorrelation,
            if self.autocorrelation > 0.2 {
                ": p-values are those of single readings, the budget counts clusters"
            } else {
                ""
            }
        )?;
        writeln!(
            f,
            "{:<14}counted down to {:.1e}, estimated by the tail down to {:.1e}",
            "p-values", self.lowest_counted, self.lowest_estimated
        )
    }
}

/// Settings that own their values.
struct Owned {
    low: Vec<f32>,
    high: Vec<f32>,
    longest_run: Vec<u32>,
    mean: Vec<f32>,
    deviation: Vec<f32>,
    regression: Vec<f32>,
    residual: Vec<f32>,
    tail_scores: Vec<f32>,
    tail_p_values: Vec<f32>,
    golden: Vec<f32>,
}

impl Owned {
    fn view(&self, options: &MonitorOptions) -> SettingsView<'_> {
        SettingsView {
            low: &self.low,
            high: &self.high,
            longest_run: &self.longest_run,
            mean: &self.mean,
            deviation: &self.deviation,
            regression: &self.regression,
            residual: &self.residual,
            tail_scores: &self.tail_scores,
            tail_p_values: &self.tail_p_values,
            drift_rate: options.drift.map_or(0.0, |readings| (1.0 / readings) as f32),
            drift_bound: options.drift_bound,
            threshold: f32::MAX,
            needed: options.needed,
            of: options.of,
            release: options.release,
            faults: options.faults,
            // Twice the mean surprise of normal readings: evidence below that is taken for chance.
            cusum_reference: 2.0,
            // No single reading makes a CUSUM's alarm.
            cusum_cap: 6.0,
            cusum_limit: f32::MAX,
            golden: &self.golden,
            golden_log_prob: 0.0,
        }
    }
}

/// The model with a monitor for readings that `signal` makes, whose limits keep to the budget on the recording; and how that went.
///
/// # Errors
/// [`MonitorError`] for a recording that is too short, or says nothing of a feature.
pub fn monitored(
    model: &Model,
    signal: Signal,
    recording: &Recording,
    options: &MonitorOptions,
) -> Result<(Model, Report), MonitorError> {
    let (needed, of) = (options.needed, options.of);
    if needed == 0 || needed > of || of > MOST_READINGS {
        return Err(MonitorError::Debounce { needed, of });
    }
    let rows = model.scorer().calibration().rows;
    if rows == 0 {
        return Err(MonitorError::Uncalibrated);
    }
    let features = model.architecture().features;
    let said = assess(model, &recording.readings)?;
    let scores: Vec<f32> = said.iter().map(flowlet::Assessment::score).collect();
    let of_scores = |error| MonitorError::Tail { of: "scores", error };
    let tail = Tail::fit(&scores).map_err(of_scores)?;
    let (tail_scores, tail_p_values) = knots(&tail, rows);
    let moments = Moments::new(&recording.readings, features);
    let (regression, residual) = moments.regression()?;
    let mut owned = Owned {
        low: vec![-f32::MAX; features],
        high: vec![f32::MAX; features],
        longest_run: longest_runs(recording, features),
        mean: moments.mean.iter().map(|value| *value as f32).collect(),
        deviation: moments.deviations().iter().map(|value| *value as f32).collect(),
        regression,
        residual,
        tail_scores,
        tail_p_values,
        golden: recording.readings.row(median_row(&scores))[..features].to_vec(),
    };
    for &(feature, low, high) in &options.ranges {
        (owned.low[feature], owned.high[feature]) = (low, high);
    }
    let mut settings = owned.view(options);
    let context = vec![0.0; model.architecture().context];
    let golden = model.scorer().log_prob(&owned.golden, &context);
    settings.golden_log_prob = golden.map_err(|reason| ScoringError { row: median_row(&scores), reason })?;

    let hop = signal.recipe().map_or(1, |recipe| recipe.hop);
    let alarms_per_reading = options.budget.per_second / options.rate.per_second * hop as f64;
    let p_values: Vec<f32> =
        scores.iter().map(|score| settings.p_value(model.scorer().calibration(), *score)).collect();
    let run = options.release.max(options.of) as usize;
    let mut limits = Vec::new();
    for (of, series) in [
        ("threshold", debounced(&scores, &recording.runs, needed as usize, options.of as usize)),
        ("CUSUM", cusum(&p_values, &recording.runs, &settings)),
    ] {
        let failed = |error| MonitorError::Tail { of, error };
        let clusters = Tail::fit_declustered(&series, run).map_err(failed)?;
        // Steps of a CUSUM are bounded, and go down in the mean: its maxima have an exponential tail (Asmussen, "Applied probability and
        // queues", 2003, chapter XIII).
        let clusters = if of == "CUSUM" { clusters.exponential() } else { clusters };
        let half = 0.5 * alarms_per_reading;
        let at = clusters.threshold_for(half);
        let highest = series.iter().copied().fold(f32::MIN, f32::max).into();
        limits.push(Limit {
            of,
            at,
            interval: clusters.threshold_interval(half, 0),
            highest,
            extrapolated: at > highest,
            shape: clusters.shape,
            extremal_index: clusters.extremal_index,
        });
    }
    settings.threshold = above(limits[0].at);
    settings.cusum_limit = above(limits[1].at).max(0.0);

    let monitor = Monitor { features, tail: TAIL, signal };
    let model = model.with_monitor(monitor, &settings)?;
    let report = Report {
        budget: options.budget.to_string(),
        rate: options.rate.to_string(),
        readings_between_alarms: 1.0 / alarms_per_reading,
        readings: scores.len(),
        runs: recording.runs.last().map_or(0, |last| last + 1),
        debounce: (needed, options.of),
        limits,
        alarms: alarms(&model, recording),
        autocorrelation: autocorrelation(&scores),
        lowest_counted: 1.0 / (f64::from(rows) + 1.0),
        lowest_estimated: settings.tail_p_values.last().copied().unwrap_or(1.0).into(),
    };
    Ok((model, report))
}

/// The least f32 that is no lower.
fn above(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) < value { nearest.next_up().min(f32::MAX) } else { nearest }
}

/// The tail as a device has it: scores with their probabilities from 1/(n + 1) down.
fn knots(tail: &Tail, rows: u32) -> (Vec<f32>, Vec<f32>) {
    let first = 1.0 / (f64::from(rows) + 1.0);
    let p_values: Vec<f64> = (0..TAIL).map(|knot| first * 10_f64.powf(-(knot as f64) / KNOTS_A_DECADE)).collect();
    // Each score is one that is exceeded with the probability or less: p-values are rounded up.
    let scores = p_values.iter().map(|p| above(tail.quantile(*p).min(f64::from(f32::MAX))));
    let ascending = scores.scan(f32::MIN, |highest, score| {
        *highest = highest.max(score);
        Some(*highest)
    });
    (ascending.collect(), p_values.iter().map(|p| above(*p)).collect())
}

/// What raises the alarm of k of n: the k-th highest of the last n scores.
fn debounced(scores: &[f32], runs: &[usize], needed: usize, of: usize) -> Vec<f32> {
    (0..scores.len())
        .map(|row| {
            let begin = (row + 1).saturating_sub(of);
            let mut last: Vec<f32> =
                (begin..=row).filter(|other| runs[*other] == runs[row]).map(|other| scores[other]).collect();
            last.sort_unstable_by(|a, b| b.total_cmp(a));
            // Too few readings raise no alarm.
            last.get(needed - 1).copied().unwrap_or(f32::MIN)
        })
        .filter(|score| *score > f32::MIN)
        .collect()
}

/// The CUSUM after each reading, by the device's arithmetic.
fn cusum(p_values: &[f32], runs: &[usize], settings: &SettingsView<'_>) -> Vec<f32> {
    let mut evidence = Evidence::NONE;
    let values = p_values.iter().enumerate().map(|(row, p_value)| {
        if row > 0 && runs[row] != runs[row - 1] {
            evidence = Evidence::NONE;
        }
        evidence.update(settings, *p_value);
        evidence.cusum
    });
    values.collect()
}

/// Entries into the alarm state along the recording.
fn alarms(model: &Model, recording: &Recording) -> usize {
    let features = model.architecture().features;
    let (mut alarms, mut replay) = (0, Replay::new(model));
    for (row, reading) in recording.readings.iter_rows().enumerate() {
        if row > 0 && recording.runs[row] != recording.runs[row - 1] {
            replay = Replay::new(model);
        }
        let (reading, context) = reading.split_at(features);
        let step = replay.as_mut().and_then(|replay| replay.judge(reading.to_vec(), context));
        let entered = |step: &Step| step.status.changed && step.status.state == State::Alarm;
        alarms += usize::from(step.as_ref().is_some_and(entered));
    }
    alarms
}

fn median_row(scores: &[f32]) -> usize {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    rows.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    rows[rows.len() / 2]
}

fn autocorrelation(scores: &[f32]) -> f64 {
    // Of ranks: one wild score would rule a correlation of scores.
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let mut ranks = vec![0.0; scores.len()];
    order.iter().enumerate().for_each(|(rank, row)| ranks[*row] = rank as f64);
    let middle = (scores.len() as f64 - 1.0) / 2.0;
    let total: f64 = ranks.iter().map(|rank| (rank - middle).powi(2)).sum();
    ranks.windows(2).map(|pair| (pair[0] - middle) * (pair[1] - middle)).sum::<f64>() / total
}

/// The most readings in a row with one value that a sensor may have: four times what it had, and 8 at least. A sensor whose value is the same
/// in a twentieth of the recording may have it for ever.
fn longest_runs(recording: &Recording, features: usize) -> Vec<u32> {
    let rows = recording.readings.rows();
    let longest = |feature: usize| {
        let (mut longest, mut run) = (1_usize, 1_usize);
        for row in 1..rows {
            let same = recording.readings.row(row)[feature] == recording.readings.row(row - 1)[feature];
            run = if same && recording.runs[row] == recording.runs[row - 1] { run + 1 } else { 1 };
            longest = longest.max(run);
        }
        if longest * 20 > rows { 0 } else { (4 * longest).max(8) as u32 }
    };
    (0..features).map(longest).collect()
}

/// Means and covariances.
struct Moments {
    mean: Vec<f64>,
    covariance: DMatrix<f64>,
}

impl Moments {
    fn new(readings: &Matrix, features: usize) -> Self {
        let rows = readings.rows();
        let mut mean = vec![0.0; features];
        for reading in readings.iter_rows() {
            mean.iter_mut().zip(reading).for_each(|(mean, value)| *mean += f64::from(*value) / rows as f64);
        }
        let mut covariance = DMatrix::zeros(features, features);
        for reading in readings.iter_rows() {
            let away: Vec<f64> = reading.iter().zip(&mean).map(|(value, mean)| f64::from(*value) - mean).collect();
            for row in 0..features {
                for column in 0..features {
                    covariance[(row, column)] += away[row] * away[column] / rows as f64;
                }
            }
        }
        Self { mean, covariance }
    }

    fn deviations(&self) -> Vec<f64> {
        self.covariance.diagonal().iter().map(|variance| variance.sqrt()).collect()
    }

    /// Coefficients of each feature's regression on the others, row by row, and the deviations from it.
    ///
    /// From the inverse of the covariance P: the coefficient of j for i is -P_ij / P_ii, and the variance 1 / P_ii. A little is added to the
    /// diagonal of the correlations, so that features that nearly determine each other have coefficients that a device can use.
    fn regression(&self) -> Result<(Vec<f32>, Vec<f32>), MonitorError> {
        const RIDGE: f64 = 1e-4;
        let (features, deviations) = (self.mean.len(), self.deviations());
        if let Some(feature) = deviations.iter().position(|deviation| *deviation <= 0.0 || !deviation.is_finite()) {
            return Err(MonitorError::Determined(feature));
        }
        let correlation = DMatrix::from_fn(features, features, |row, column| {
            let ridge = if row == column { RIDGE } else { 0.0 };
            self.covariance[(row, column)] / (deviations[row] * deviations[column]) + ridge
        });
        let Some(precision) = correlation.cholesky().map(|cholesky| cholesky.inverse()) else {
            return Err(MonitorError::Determined(0));
        };
        let mut coefficients = Vec::with_capacity(features * features);
        for row in 0..features {
            for column in 0..features {
                let coefficient =
                    -precision[(row, column)] / precision[(row, row)] * deviations[row] / deviations[column];
                coefficients.push(if row == column { 0.0 } else { coefficient as f32 });
            }
        }
        let residual = (0..features).map(|row| (deviations[row] / precision[(row, row)].sqrt()) as f32);
        Ok((coefficients, residual.collect()))
    }
}
