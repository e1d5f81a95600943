//! What `flowlet eval` reports.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use flowlet::Assessment;
use serde::Serialize;

use super::{GroupEvaluation, nats, percent, ratio};
use crate::metrics::{alarm_rate, auroc, average_precision, mean, median};

/// How a model does on labelled readings. What needs anomalies or normal readings is `None` where there are none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measures {
    /// Readings.
    pub rows: usize,
    /// Readings that are labelled 1.
    pub anomalies: usize,
    /// Area under the receiver operating characteristic.
    pub auroc: Option<f64>,
    /// Average precision.
    pub average_precision: Option<f64>,
    /// Of the readings labelled 0, in nats, in their own units.
    pub mean_log_prob: Option<f64>,
    /// Of the readings labelled 0, in nats, in their own units.
    pub median_log_prob: Option<f64>,
    /// The share of anomalies that raise the alarm.
    pub detection_rate: Option<f64>,
    /// The share of normal readings that raise the alarm.
    pub false_alarm_rate: Option<f64>,
}

impl Measures {
    /// The measures of what a model said of readings with these labels.
    ///
    /// # Panics
    /// If there is not one label for each.
    pub fn new(assessments: &[Assessment], anomalous: &[bool]) -> Self {
        let scores: Vec<f32> = assessments.iter().map(Assessment::score).collect();
        let alarms: Vec<bool> = assessments.iter().map(|assessment| assessment.alarm).collect();
        let labelled = assessments.iter().zip(anomalous);
        let normal: Vec<f32> = labelled.filter(|(_, anomalous)| !**anomalous).map(|(said, _)| said.log_prob).collect();
        Self {
            rows: assessments.len(),
            anomalies: assessments.len() - normal.len(),
            auroc: auroc(&scores, anomalous),
            average_precision: average_precision(&scores, anomalous),
            mean_log_prob: mean(&normal),
            median_log_prob: median(&normal),
            detection_rate: alarm_rate(&alarms, anomalous, true),
            false_alarm_rate: alarm_rate(&alarms, anomalous, false),
        }
    }
}

/// How a model does on one kind of readings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Kind {
    /// Readings of the kind.
    pub rows: usize,
    /// Those that are labelled 1.
    pub anomalies: usize,
    /// Of the kind's anomalies against all normal readings.
    pub auroc: Option<f64>,
    /// The share of its anomalies that raise the alarm.
    pub detection_rate: Option<f64>,
    /// The share of its normal readings that raise the alarm.
    pub false_alarm_rate: Option<f64>,
}

impl Kind {
    /// The measures of the readings whose `kinds` is `kind`.
    ///
    /// # Panics
    /// If there is not one label and one kind for each reading.
    pub fn new(assessments: &[Assessment], anomalous: &[bool], kinds: &[usize], kind: usize) -> Self {
        let pick = |keep: &dyn Fn(usize) -> bool| -> (Vec<Assessment>, Vec<bool>) {
            let rows = (0..assessments.len()).filter(|&row| keep(row));
            rows.map(|row| (assessments[row], anomalous[row])).unzip()
        };
        let (own, own_labels) = pick(&|row| kinds[row] == kind);
        let (against, against_labels) = pick(&|row| !anomalous[row] || kinds[row] == kind);
        let own = Measures::new(&own, &own_labels);
        Self {
            rows: own.rows,
            anomalies: own.anomalies,
            auroc: Measures::new(&against, &against_labels).auroc.filter(|_| own.anomalies > 0),
            detection_rate: own.detection_rate,
            false_alarm_rate: own.false_alarm_rate,
        }
    }
}

/// What `flowlet eval` reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Of the model.
    #[serde(flatten)]
    pub model: Measures,
    /// Of its unquantized twin.
    #[serde(rename = "f32", skip_serializing_if = "Option::is_none")]
    pub twin: Option<Measures>,
    /// Of each kind of readings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<BTreeMap<String, Kind>>,
    /// Of whole groups of readings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per: Option<GroupEvaluation>,
}

impl Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, twin, by, per } = self;
        writeln!(f, "{} readings, {} of them anomalies", model.rows, model.anomalies)?;
        writeln!(f)?;
        let lines: [Line; 6] = [
            ("AUROC", |of| of.auroc, ratio),
            ("average precision", |of| of.average_precision, ratio),
            ("detection rate", |of| of.detection_rate, percent),
            ("false-alarm rate", |of| of.false_alarm_rate, percent),
            ("mean log-density, normal (nats)", |of| of.mean_log_prob, nats),
            ("median log-density, normal (nats)", |of| of.median_log_prob, nats),
        ];
        measures(f, &lines, model, twin.as_ref())?;
        if let Some(kinds) = by {
            writeln!(f)?;
            kinds_table(f, kinds, "rows")?;
        }
        match per {
            Some(per) => write!(f, "\n{per}"),
            None => Ok(()),
        }
    }
}

/// A measure, with its name and how it is written.
pub(super) type Line = (&'static str, fn(&Measures) -> Option<f64>, fn(Option<f64>) -> String);

/// A line for each measure, with the twin's beside it.
pub(super) fn measures(
    f: &mut fmt::Formatter<'_>,
    lines: &[Line],
    model: &Measures,
    twin: Option<&Measures>,
) -> fmt::Result {
    let heading = if twin.is_some() { format!("{:>12}{:>12}", "f32 twin", "difference") } else { String::new() };
    writeln!(f, "{:<34}{:>12}{heading}", "", "model")?;
    for (name, measure, show) in lines {
        write!(f, "{name:<34}{:>12}", show(measure(model)))?;
        if let Some(twin) = twin {
            let difference = measure(model).zip(measure(twin)).map(|(ours, its)| ours - its);
            let sign = if difference.is_some_and(|difference| difference >= 0.0) { "+" } else { "" };
            write!(f, "{:>12}{:>12}", show(measure(twin)), format!("{sign}{}", show(difference)))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// A line for each kind.
pub(super) fn kinds_table(f: &mut fmt::Formatter<'_>, kinds: &BTreeMap<String, Kind>, counted: &str) -> fmt::Result {
    let width = kinds.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(4) + 2;
    writeln!(
        f,
        "{:<width$}{counted:>8}{:>11}{:>8}{:>10}{:>14}",
        "kind", "anomalies", "AUROC", "detected", "false alarms"
    )?;
    for (name, kind) in kinds {
        writeln!(
            f,
            "{name:<width$}{:>8}{:>11}{:>8}{:>10}{:>14}",
            kind.rows,
            kind.anomalies,
            ratio(kind.auroc),
            percent(kind.detection_rate),
            percent(kind.false_alarm_rate)
        )?;
    }
    Ok(())
}
