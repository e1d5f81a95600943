//! What `flowlet fit` reports.

use std::fmt::{self, Display};

use serde::Serialize;

use super::memory::peak_resident_bytes;
use super::{Inspection, change, nats, percent, ratio, score, thousands};
use crate::data::{Matrix, Readings, Split};
use crate::fitting::Fitted;
use crate::metrics::{alarm_rate, auroc, mean, median};
use crate::model::Model;
use crate::quantization;
use crate::scoring::{ScoringError, assess};
use crate::search;
use crate::train::{PASS_ROWS, Stop};

/// What a fit was made from.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The readings.
    pub readings: &'a Readings,
    /// How they were divided.
    pub split: &'a Split,
    /// The rows of calibration.
    pub calibration: &'a Matrix,
}

/// What the parts of a fit took, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Seconds {
    /// Reading the file.
    pub reading: f64,
    /// Training, quantization and calibration.
    pub fitting: f64,
}

/// How a fit went and what it gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FitReport {
    /// The file of the readings.
    pub readings: String,
    /// Normal readings in it.
    pub rows: usize,
    /// Rows labelled as anomalies, not fitted.
    pub anomalies: usize,
    /// Features.
    pub features: usize,
    /// Rows that were trained on.
    pub training_rows: usize,
    /// Rows that early stopping selected on.
    pub selection_rows: usize,
    /// Rows that calibrated the scores.
    pub calibration_rows: usize,
    /// Rows that were not trained on because of extreme values.
    pub extreme_rows: usize,
    /// Normal rows with missing cells, which are not among `rows`.
    pub incomplete_rows: usize,
    /// Those of them that were filled in and trained on.
    pub imputed_rows: usize,
    /// Groups among those of calibration, if there is a group column and they are from the same file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_groups: Option<usize>,
    /// Whether a pass goes over at most [`PASS_ROWS`] of the training rows, as they are more than are in memory at a time.
    pub in_windows: bool,
    /// Passes over the training rows, or over parts of them.
    pub epochs: usize,
    /// Steps of the optimizer.
    pub steps: usize,
    /// The pass after which the weights were best.
    pub best_epoch: usize,
    /// Why the training ended.
    pub stop: Stop,
    /// How often it diverged.
    pub divergences: usize,
    /// Seconds that reading the file took.
    pub reading_seconds: f64,
    /// Seconds that training, quantization and calibration took.
    pub seconds: f64,
    /// Whether training went through a temporary file.
    pub temporary_file: bool,
    /// The most memory that the program had at a time, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_resident_bytes: Option<u64>,
    /// Mean log-density of the calibration rows under the model, in nats, in their own units.
    pub mean_log_prob: Option<f64>,
    /// The median of the same.
    pub median_log_prob: Option<f64>,
    /// The median under the Gaussian that the training began with, features independent.
    pub gaussian_median_log_prob: Option<f64>,
    /// Mean log-density under the unquantized twin.
    pub f32_mean_log_prob: Option<f64>,
    /// What quantization changed of the mean, in nats: a few far-off rows decide it where there are such.
    pub quantization_mean_nats: Option<f64>,
    /// The median, over the calibration rows, of the size of the change, in nats.
    pub quantization_median_nats: Option<f64>,
    /// What it cost, layer by layer.
    pub quantization: quantization::Report,
    /// AUROC of the rows labelled as anomalies against the calibration rows; `None` if there are none.
    pub auroc: Option<f64>,
    /// The same for the unquantized twin.
    pub f32_auroc: Option<f64>,
    /// The share of the selection rows, not trained on and not calibrated on, that raise the alarm; `None` for a mixture, which
    /// is trained on all of them.
    pub selection_alarm_rate: Option<f64>,
    /// The same for the unquantized twin, at its own threshold.
    pub f32_selection_alarm_rate: Option<f64>,
    /// The share of rows labelled as anomalies that raise the alarm.
    pub detection_rate: Option<f64>,
    /// How the architecture was chosen, if it was searched under a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<search::Report>,
    /// What the model is.
    #[serde(flatten, serialize_with = "facts")]
    pub model: Inspection,
}

/// What of an inspection the report does not say itself.
fn facts<S: serde::Serializer>(model: &Inspection, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("family", model.family)?;
    map.serialize_entry("members", &model.members)?;
    map.serialize_entry("parameters", &model.parameters)?;
    map.serialize_entry("macs", &model.macs)?;
    map.serialize_entry("model_bytes", &model.model_bytes)?;
    map.serialize_entry("ram_bytes", &model.ram_bytes)?;
    map.serialize_entry("file_bytes", &model.file_bytes)?;
    map.serialize_entry("false_alarm_rate", &model.false_alarm_rate)?;
    map.serialize_entry("threshold", &model.threshold)?;
    map.serialize_entry("seed", &model.seed)?;
    map.end()
}

impl FitReport {
    /// The report of a fit.
    ///
    /// # Errors
    /// If a reading has no score.
    pub fn new(fitted: &Fitted, parts: &Parts<'_>, seconds: Seconds) -> Result<Self, ScoringError> {
        let Parts { readings, split, calibration } = *parts;
        let model = Scored::new(&fitted.model, parts)?;
        let twin = Scored::new(&fitted.twin, parts)?;
        let changes: Vec<f32> = model.calibration.iter().zip(&twin.calibration).map(|(a, b)| (a - b).abs()).collect();
        let (mean_log_prob, f32_mean_log_prob) = (mean(&model.calibration), mean(&twin.calibration));
        let held_back_groups = readings.groups.as_ref().filter(|_| !split.calibration.is_empty()).map(|groups| {
            let mut held_back: Vec<usize> = split.calibration.iter().map(|&row| groups.of_rows[row]).collect();
            held_back.sort_unstable();
            held_back.dedup();
            held_back.len()
        });
        Ok(Self {
            readings: readings.file.clone(),
            rows: readings.count(),
            anomalies: readings.anomalous,
            features: readings.features.len(),
            training_rows: readings.trained(split),
            selection_rows: split.selection.len(),
            calibration_rows: calibration.rows(),
            extreme_rows: readings.extreme(split),
            incomplete_rows: readings.incomplete(),
            imputed_rows: readings.imputed(split),
            calibration_groups: held_back_groups,
            in_windows: readings.large.is_some(),
            epochs: fitted.summary.epochs,
            steps: fitted.summary.steps,
            best_epoch: fitted.summary.best_epoch,
            stop: fitted.summary.stop,
            divergences: fitted.summary.divergences,
            reading_seconds: seconds.reading,
            seconds: seconds.fitting,
            temporary_file: readings.large.as_ref().is_some_and(|large| large.training.is_in_file()),
            peak_resident_bytes: peak_resident_bytes(),
            mean_log_prob,
            median_log_prob: median(&model.calibration),
            gaussian_median_log_prob: median(&fitted.gaussian_log_probs),
            f32_mean_log_prob,
            quantization_mean_nats: mean_log_prob.zip(f32_mean_log_prob).map(|(ours, its)| ours - its),
            quantization_median_nats: median(&changes),
            quantization: fitted.quantization.clone(),
            auroc: model.auroc,
            f32_auroc: twin.auroc,
            selection_alarm_rate: model.selection_alarm_rate,
            f32_selection_alarm_rate: twin.selection_alarm_rate,
            detection_rate: model.detection_rate,
            search: None,
            model: Inspection::new(&fitted.model, fitted.model.to_bytes().len() as u64),
        })
    }
}

impl FitReport {
    /// Whether the model says less of the calibration rows than the Gaussian that the training began with.
    pub fn is_worse_than_gaussian(&self) -> bool {
        self.median_log_prob < self.gaussian_median_log_prob
    }
}

/// What the report needs of a model's scores.
struct Scored {
    calibration: Vec<f32>,
    auroc: Option<f64>,
    selection_alarm_rate: Option<f64>,
    detection_rate: Option<f64>,
}

impl Scored {
    fn new(model: &Model, parts: &Parts<'_>) -> Result<Self, ScoringError> {
        let calibration = assess(model, parts.calibration)?;
        let anomalies = assess(model, &parts.readings.anomalies)?;
        let selection = assess(model, &parts.readings.values.select(&parts.split.selection))?;
        let scores: Vec<f32> = anomalies.iter().chain(&calibration).map(flowlet::Assessment::score).collect();
        let anomalous: Vec<bool> = (0..scores.len()).map(|row| row < anomalies.len()).collect();
        let alarms = |said: &[flowlet::Assessment]| {
            let alarms: Vec<bool> = said.iter().map(|said| said.alarm).collect();
            alarm_rate(&alarms, &vec![true; alarms.len()], true)
        };
        Ok(Self {
            auroc: auroc(&scores, &anomalous),
            // Of a mixture, one flow selects on what the others are trained on.
            selection_alarm_rate: alarms(&selection).filter(|_| model.architecture().members() == 1),
            detection_rate: alarms(&anomalies),
            calibration: calibration.iter().map(|said| said.log_prob).collect(),
        })
    }
}

impl Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize| thousands(number as u64);
        write!(f, "{}: {} normal readings of {} features", self.readings, count(self.rows), self.features)?;
        match self.anomalies {
            0 => writeln!(f)?,
            anomalies => writeln!(f, " ({} labelled as anomalies are not fitted)", count(anomalies))?,
        }
        write!(f, "{:<14}{} trained on, ", "rows", count(self.training_rows))?;
        write!(f, "{} selected on, {} calibrated on", count(self.selection_rows), count(self.calibration_rows))?;
        if let Some(groups) = self.calibration_groups {
            write!(f, " ({groups} whole groups)")?;
        }
        match self.extreme_rows {
            0 => writeln!(f)?,
            rows => writeln!(f, ", {} left out for extreme values", count(rows))?,
        }
        if self.incomplete_rows > 0 {
            write!(f, "{:<14}{} more with missing cells: ", "", count(self.incomplete_rows))?;
            match self.imputed_rows {
                0 => writeln!(f, "left out")?,
                rows => writeln!(
                    f,
                    "{} of them filled in and trained on, by draws from a normal distribution given the other cells; {} left out",
                    count(rows),
                    count(self.incomplete_rows - rows)
                )?,
            }
        }
        let why = match self.stop {
            Stop::Finished => "all were done",
            Stop::Patience => "no longer better",
            Stop::Cancelled => "interrupted",
            Stop::Diverged => "diverged too often",
        };
        let (passes, pass) = match self.in_windows {
            true => (format!("passes of {} rows", count(PASS_ROWS)), "pass"),
            false => ("epochs".to_owned(), "epoch"),
        };
        writeln!(
            f,
            "{:<14}{} {passes} in {:.0} s ({why}), best after {pass} {}",
            "training", self.epochs, self.seconds, self.best_epoch
        )?;
        if self.divergences > 0 {
            let times = if self.divergences == 1 { "once".to_owned() } else { format!("{} times", self.divergences) };
            writeln!(
                f,
                "{:<14}diverged {times}: went on from the best weights, each time at half the learning rate",
                ""
            )?;
        }
        if let Some(bytes) = self.peak_resident_bytes {
            let file = if self.temporary_file { "; the training rows in a temporary file" } else { "" };
            writeln!(f, "{:<14}{} MiB at the most{file}", "memory", bytes.div_ceil(1 << 20))?;
        }
        if let members @ 2.. = self.model.members {
            writeln!(
                f,
                "{:<14}{members} flows, from as many seeds, and the model is their mixture (--members 1 for a single one)",
                "members"
            )?;
        }
        if self.best_epoch == 0 {
            let why = match self.stop {
                Stop::Cancelled => "interrupted before a pass was done",
                _ => "nothing better was found",
            };
            writeln!(f, "{:<14}the model is a plain Gaussian: {why}", "")?;
        }
        writeln!(
            f,
            "{:<14}{} nats (median {}), mean of the calibration rows",
            "log-density",
            nats(self.mean_log_prob),
            nats(self.median_log_prob)
        )?;
        if self.is_worse_than_gaussian() {
            writeln!(
                f,
                "{:<14}warning: a plain Gaussian does better (median {}): the readings may not be alike, or hold extreme values",
                "",
                nats(self.gaussian_median_log_prob)
            )?;
        }
        if !self.quantization.layers.is_empty() {
            writeln!(
                f,
                "{:<14}{} nats off f32 (median), {} in the mean",
                self.model.number_format,
                nats(self.quantization_median_nats),
                change(self.quantization_mean_nats)
            )?;
            write!(f, "{}", self.quantization)?;
        }
        match self.auroc.zip(self.f32_auroc) {
            Some((ours, its)) => writeln!(
                f,
                "{:<14}{} for the labelled anomalies ({:+.4} against f32), {} of them detected",
                "AUROC",
                ratio(Some(ours)),
                ours - its,
                percent(self.detection_rate)
            )?,
            None => writeln!(f, "{:<14}unknown without labelled anomalies: `flowlet eval` measures it", "AUROC")?,
        }
        write!(
            f,
            "{:<14}score above {}, for {} of normal readings",
            "alarm",
            score(self.model.threshold),
            percent(Some(f64::from(self.model.false_alarm_rate))),
        )?;
        match self.selection_alarm_rate.zip(self.f32_selection_alarm_rate) {
            Some((ours, its)) => {
                writeln!(f, "; {} of the selection rows ({} with f32)", percent(Some(ours)), percent(Some(its)))?;
            }
            None => writeln!(f)?,
        }
        writeln!(
            f,
            "{:<14}{} bytes of flash, {} of stack, {} multiply-accumulates a score",
            "on the device",
            count(self.model.model_bytes),
            count(self.model.ram_bytes),
            count(self.model.macs)
        )
    }
}
