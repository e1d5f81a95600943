//! What `flowlet fit-many` reports.

use serde::{Deserialize, Serialize};

use super::FitReport;

/// What became of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has a new model.
    Fitted,
    /// It had the model that it would have been given.
    UpToDate,
    /// It has none.
    Failed,
    /// It has none, because the run was interrupted.
    Interrupted,
}

/// The line of a table in the summary of many fits. What is not known is empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The table.
    pub file: String,
    /// What became of it.
    pub status: Status,
    /// Normal readings without missing cells.
    pub rows: Option<usize>,
    /// Mean log-density of the calibration rows, in nats, in their own units.
    pub mean_log_prob: Option<f64>,
    /// The median of the same.
    pub median_log_prob: Option<f64>,
    /// Scores above it raise an alarm.
    pub threshold: Option<f32>,
    /// The share of normal readings that may.
    pub false_alarm_rate: Option<f32>,
    /// The share of the rows that do of those that were selected on, neither trained nor calibrated on.
    pub selection_alarm_rate: Option<f64>,
    /// How often the training diverged.
    pub divergences: Option<usize>,
    /// Seconds that the fit took.
    pub seconds: Option<f64>,
    /// The model's file.
    pub model: Option<String>,
    /// Oddities of the table, which its report lists.
    pub notes: Option<usize>,
    /// Why there is no model.
    pub error: Option<String>,
}

impl Entry {
    /// Of a table whose fit gave this report.
    pub fn fitted(file: String, model: String, report: &FitReport, notes: usize) -> Self {
        Self {
            rows: Some(report.rows),
            mean_log_prob: report.mean_log_prob,
            median_log_prob: report.median_log_prob,
            threshold: Some(report.model.threshold),
            false_alarm_rate: Some(report.model.false_alarm_rate),
            selection_alarm_rate: report.selection_alarm_rate,
            divergences: Some(report.divergences),
            seconds: Some(report.seconds),
            model: Some(model),
            notes: Some(notes),
            ..Self::without_model(file, Status::Fitted, None)
        }
    }

    /// Of a table that has no model.
    pub fn without_model(file: String, status: Status, error: Option<String>) -> Self {
        Self {
            file,
            status,
            rows: None,
            mean_log_prob: None,
            median_log_prob: None,
            threshold: None,
            false_alarm_rate: None,
            selection_alarm_rate: None,
            divergences: None,
            seconds: None,
            model: None,
            notes: None,
            error,
        }
    }
}
