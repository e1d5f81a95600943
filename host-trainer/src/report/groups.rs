use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Serialize;

use super::evaluation::{Line, kinds_table, measures};
use super::{Kind, Measures, percent, ratio};
use crate::groups::Aggregate;

/// What `flowlet eval --per` reports: the measures of whole groups, whose `rows` are groups and whose log-density is minus the
/// score of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupEvaluation {
    /// The column that says which readings belong together.
    pub column: String,
    /// How scores of readings became those of groups.
    pub aggregate: Aggregate,
    /// Normal groups that calibrate.
    pub calibration_groups: usize,
    /// The lowest rate that they can promise.
    pub lowest_rate: f64,
    /// The share of normal groups that may raise an alarm.
    pub nominal_rate: f64,
    /// Of the model.
    #[serde(flatten)]
    pub model: Measures,
    /// Of its unquantized twin.
    #[serde(rename = "f32", skip_serializing_if = "Option::is_none")]
    pub twin: Option<Measures>,
    /// Of each kind of groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<BTreeMap<String, Kind>>,
}

impl Display for GroupEvaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, aggregate, calibration_groups, lowest_rate, nominal_rate, model, twin, by } = self;
        writeln!(f, "{} groups by `{column}`, {} of them anomalies", model.rows, model.anomalies)?;
        writeln!(
            f,
            "a group scores as its readings do ({}), and alarms at {} by {calibration_groups} normal groups, which reach {} at the lowest",
            aggregate.name(),
            percent(Some(*nominal_rate)),
            percent(Some(*lowest_rate)),
        )?;
        writeln!(f)?;
        let lines: [Line; 4] = [
            ("AUROC", |of| of.auroc, ratio),
            ("average precision", |of| of.average_precision, ratio),
            ("detection rate", |of| of.detection_rate, percent),
            ("false-alarm rate", |of| of.false_alarm_rate, percent),
        ];
        measures(f, &lines, model, twin.as_ref())?;
        if let Some(kinds) = by {
            writeln!(f)?;
            kinds_table(f, kinds, "groups")?;
        }
        Ok(())
    }
}
