use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::rate;
use crate::data::Missing;

/// Arguments of `flowlet calibrate`.
#[derive(Args, Debug)]
#[command(
    after_help = "The layers stay as they are, bit for bit: only p-values and the alarm's threshold change. The readings \
    must be normal ones that the model has not been trained on. Writes the model (device.flow), its Rust type \
    (device.rs) and, if the twin of MODEL lies beside it, the calibrated twin (device.f32.flow). MODEL itself may be \
    given to --out."
)]
pub struct CalibrateArgs {
    /// The model file
    pub model: PathBuf,
    /// Normal readings of the device, CSV; columns that the model does not name are left out
    pub readings: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Share of normal readings that may raise an alarm [default: the model's]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub false_alarm_rate: Option<f32>,
    /// Column with 0 for normal readings and 1 for anomalies, which are left out
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// What becomes of rows with missing cells: the table is refused, or they are left out
    #[arg(long, value_name = "MISSING", default_value = "error", value_parser = missing())]
    pub missing: Missing,
    /// Also write the report as JSON; `-` writes to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// No report
    #[arg(long, short)]
    pub quiet: bool,
}

/// What may become of rows that calibrate: they are never filled in.
pub(super) fn missing() -> impl TypedValueParser<Value = Missing> {
    let word = PossibleValuesParser::new(["error", "drop"]);
    word.map(|word| if word == "drop" { Missing::Drop } else { Missing::Error })
}
