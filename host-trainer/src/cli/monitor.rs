use std::path::PathBuf;

use clap::Args;
use flowlet::monitor::MOST_READINGS;

use crate::data::Missing;
use crate::monitor::{self, Budget, Rate};
use crate::signal::SignalArgs;

/// Arguments of `flowlet features`.
#[derive(Args, Debug)]
#[command(
    after_help = "Every column that is not named below is a channel. A reading has the columns CHANNEL.FEATURE@WINDOW/HOP, and behind them the label, the group \
    and the kept columns as in its last sample; a window with an anomalous sample is anomalous."
)]
pub struct FeaturesArgs {
    /// The samples, CSV, a row for each
    pub samples: PathBuf,
    /// Windows and their features.
    #[command(flatten)]
    pub signal: SignalArgs,
    /// Column with 0 for normal samples and 1 for anomalies
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// Column whose equal values mark samples of one run: no window reaches from one into the next
    #[arg(long, value_name = "COL")]
    pub group: Option<String>,
    /// Columns that are no channels, and stay as they are
    #[arg(long, value_name = "COL,..", value_delimiter = ',')]
    pub keep: Vec<String>,
}

/// Arguments of `flowlet monitor`.
#[derive(Args, Debug)]
#[command(
    after_help = "The recording is of normal operation, in the order of time, and the model has not been trained on it. An alarm is an \
    entry into the alarm state. Its limits are extrapolated where the recording is shorter than the time of one false alarm; the report \
    says so, with their uncertainty. Writes the model (pump.flow) and its Rust type (pump.rs). MODEL itself may be given to --out."
)]
pub struct MonitorArgs {
    /// The model file
    pub model: PathBuf,
    /// The recording, CSV; columns that the model does not name are left out
    pub recording: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// How many false alarms there may be
    #[arg(long, value_name = "BUDGET", default_value = "1 per month", value_parser = monitor::budget)]
    pub false_alarms: Budget,
    /// How often the signal is sampled: 1Hz, 12.8kHz, "1 per 3min"
    #[arg(long, value_name = "RATE", value_parser = monitor::rate)]
    pub rate: Rate,
    /// Windows and their features, if the recording is of samples.
    #[command(flatten)]
    pub signal: SignalArgs,
    /// Column whose equal values mark rows of one run: nothing is carried from one into the next
    #[arg(long, value_name = "COL")]
    pub group: Option<String>,
    /// Column with 0 for normal rows and 1 for anomalies, which are left out
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// What becomes of rows with missing cells: the table is refused, or they are left out
    #[arg(long, value_name = "MISSING", default_value = "error", value_parser = super::calibrate::missing())]
    pub missing: Missing,
    /// k: readings above the threshold that raise the alarm ..
    #[arg(long, value_name = "K", default_value_t = 2, value_parser = readings(), help_heading = "Alarm")]
    pub needed: u32,
    /// .. among the last n
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = readings(), help_heading = "Alarm")]
    pub of: u32,
    /// Readings without one above the threshold that end the alarm
    #[arg(long, value_name = "READINGS", default_value_t = 10, help_heading = "Alarm")]
    pub release: u32,
    /// Readings in a row without a score that are a sensor fault
    #[arg(long, value_name = "READINGS", default_value_t = 3, help_heading = "Alarm")]
    pub faults: u32,
    /// Lets the device follow slow drift of each feature, with this time constant
    #[arg(long, value_name = "READINGS", value_parser = positive, help_heading = "Alarm")]
    pub adapt: Option<f64>,
    /// How far drift is followed, in standard deviations
    #[arg(long, value_name = "DEVIATIONS", default_value_t = 0.5, value_parser = bound, help_heading = "Alarm")]
    pub adapt_bound: f32,
    /// What a feature's sensor can give: beyond, it is broken
    #[arg(long, value_name = "COL=LOW:HIGH,..", value_delimiter = ',', value_parser = super::bounds, help_heading = "Alarm")]
    pub range: Vec<(String, crate::layers::Support)>,
    /// Also write the report as JSON; `-` writes to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// No report
    #[arg(long, short)]
    pub quiet: bool,
}

/// Arguments of `flowlet replay`.
#[derive(Args, Debug)]
#[command(
    after_help = "A line for each reading: row (of its last sample), state, log_prob, p_value, count (of readings above the threshold), cusum, martingale, and sensors: \
    on entering the alarm the three that explain it best, each with + or - for its direction and its nats; for a reading without a score, why."
)]
pub struct ReplayArgs {
    /// The model file, with a monitor
    pub model: PathBuf,
    /// The recorded stream, CSV, in the order of time; columns that the model does not name are left out
    pub stream: PathBuf,
    /// Column whose equal values mark rows of one run: the monitor starts anew with each
    #[arg(long, value_name = "COL")]
    pub group: Option<String>,
}

fn readings() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(MOST_READINGS))
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(readings) if readings.is_finite() && readings >= 1.0 => Ok(readings),
        _ => Err("expected a number of readings, such as 100000".to_owned()),
    }
}

fn bound(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(bound) if bound > 0.0 && bound <= 10.0 => Ok(bound),
        _ => Err("expected standard deviations above 0, up to 10".to_owned()),
    }
}
