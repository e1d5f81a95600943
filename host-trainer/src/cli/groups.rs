use std::path::PathBuf;

use clap::Args;

use super::rate;
use crate::groups::Aggregate;

/// Arguments of `flowlet eval` that judge whole groups of readings.
#[derive(Args, Debug)]
#[command(next_help_heading = "Groups of readings")]
pub struct GroupArgs {
    /// Column whose equal values mark readings that belong together, such as cycles or runs: also report on whole groups. A
    /// group is an anomaly if one of its readings is
    #[arg(long, value_name = "COL")]
    pub per: Option<String>,
    /// Normal readings that the model was not trained on, CSV, with the same column: whole groups calibrate the alarm of
    /// groups. `fit --group COL --held-back FILE` writes them
    #[arg(long, value_name = "FILE", requires = "per")]
    pub calibration: Option<PathBuf>,
    /// How the scores of a group's readings become its own
    #[arg(long, value_enum, default_value_t = Aggregate::default(), requires = "per")]
    pub aggregate: Aggregate,
    /// Share of normal groups that may raise an alarm [default: the model's, or the lowest that the groups reach]
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "per")]
    pub group_false_alarm_rate: Option<f32>,
}
