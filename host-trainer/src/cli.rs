//! The arguments of the `flowlet` command.

mod calibrate;
mod fit_many;
mod groups;
mod monitor;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use calibrate::CalibrateArgs;
pub use fit_many::{FitManyArgs, Shard};
pub use groups::GroupArgs;
pub use monitor::{FeaturesArgs, MonitorArgs, ReplayArgs};

use crate::data::{Missing, Order, Roles};
use crate::layers::Support;
use crate::model::architecture::{Arithmetic, Elementary, Numerics};
use crate::net::{Activation, Body};
use crate::quantization::{self, Formats};
use crate::search::BudgetArgs;
use crate::train::{BaseFamily, Effort, Family, FeatureOrder};

/// Fits normalizing flows for microcontrollers, and scores readings as the device will.
///
/// A table is a CSV file: a header that names the columns, then one reading a line; `-` reads it from standard input. Columns are matched by name. A build with the feature `columnar` reads Parquet and Arrow IPC as well.
#[derive(Debug, Parser)]
#[command(name = "flowlet", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fit a model to normal readings: train, quantize, calibrate, report
    Fit(Box<FitArgs>),
    /// Fit a model to each of many tables, such as those of a fleet of devices
    FitMany(FitManyArgs),
    /// Make a model of weights that zuko, nflows or normflows trained
    Import(ImportArgs),
    /// Calibrate a model anew, on readings of the device that it is for
    Calibrate(CalibrateArgs),
    /// Compute features of windows, as the device does: readings as CSV on standard output
    Features(FeaturesArgs),
    /// Give a model what a device needs to watch a stream: limits that keep to a budget of false alarms
    Monitor(Box<MonitorArgs>),
    /// Say what a device would say of a recorded stream, as CSV on standard output
    Replay(ReplayArgs),
    /// Measure how well a model tells anomalies from normal readings
    Eval(EvalArgs),
    /// Score readings, as CSV on standard output: row, log_prob, score, p_value, alarm
    Score(ScoreArgs),
    /// Draw readings from a model, as CSV on standard output
    Sample(SampleArgs),
    /// Say what is in a model file
    Inspect(InspectArgs),
}

/// Arguments of `flowlet fit`.
#[derive(Args, Debug)]
#[command(after_help = "Writes the model (pump.flow), its unquantized twin (pump.f32.flow) and its Rust type with \
    the checked static (pump.rs). Ctrl-C ends the training and keeps the best model so far; a second Ctrl-C quits.")]
pub struct FitArgs {
    /// The readings, CSV
    pub readings: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Normal readings for calibration, CSV, instead of held-back rows of READINGS
    #[arg(long, value_name = "FILE")]
    pub val: Option<PathBuf>,
    /// Also write the rows that calibration holds back, CSV, with all columns: `eval --per` can calibrate by them
    #[arg(long, value_name = "FILE", conflicts_with = "val")]
    pub held_back: Option<PathBuf>,
    /// Also write the report as JSON; `-` writes to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Threads to train on; the model does not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Memory that readings may take; above it training goes through a temporary file, and gives the same model
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = bytes)]
    pub memory: usize,
    /// No progress and no report
    #[arg(long, short)]
    pub quiet: bool,
    /// File to go on from when the fit is interrupted, by Ctrl-C or otherwise: written while it runs, removed when it is done
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Seconds between checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "checkpoint")]
    pub checkpoint_every: u32,
    /// What the device has to give
    #[command(flatten)]
    pub budget: BudgetArgs,
    /// How to fit.
    #[command(flatten)]
    pub options: FitOptions,
}

/// What decides the model of given readings.
#[derive(Args, Clone, Debug)]
pub struct FitOptions {
    /// Column with 0 for normal readings and 1 for anomalies, which are not fitted
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COL,..", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Columns that condition the density and are no part of it, such as speed, ambient temperature or operating mode
    #[arg(long, value_name = "COL,..", value_delimiter = ',')]
    pub context: Vec<String>,
    /// Column whose equal values mark rows that belong together, such as cycles or runs: whole groups are held back for
    /// calibration
    #[arg(long, value_name = "COL")]
    pub group: Option<String>,
    /// Columns whose readings are above 0: no density is spent on others, and a device refuses them
    #[arg(long, value_name = "COL,..", value_delimiter = ',')]
    pub positive: Vec<String>,
    /// Columns whose readings lie between two bounds, and at neither
    #[arg(long, value_name = "COL=LOW:HIGH,..", value_delimiter = ',', value_parser = bounds)]
    pub bounded: Vec<(String, Support)>,
    /// What becomes of normal rows with missing cells: empty ones, or NaN
    #[arg(long, value_enum, default_value_t = Missing::Error)]
    pub missing: Missing,
    /// Units of columns, for whoever reads the model
    #[arg(long, value_name = "COL=UNIT,..", value_delimiter = ',', value_parser = unit)]
    pub unit: Vec<(String, String)>,
    /// Which rows are held back for calibration: drawn at random, or the last
    #[arg(long, value_enum, default_value_t = Split::Shuffled)]
    pub split: Split,
    /// Share of normal readings that may raise an alarm
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = rate)]
    pub false_alarm_rate: f32,
    /// Decides everything that is random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Nats of mean log-density that quantization may cost the selection rows: above it the weights are trained on as int8
    /// holds them
    #[arg(long, value_name = "NATS", default_value_t = quantization::Options::default().budget, value_parser = budget)]
    pub quantization_budget: f64,
    /// How the nets' weights are stored
    #[arg(long, value_enum, default_value_t = Formats::Int8)]
    pub format: Formats,
    /// The family of flows [default: by the numbers of rows and columns, in at most 64 KiB]
    #[arg(long, value_enum, help_heading = "Architecture")]
    pub family: Option<Family>,
    /// In which order the layers see the features; in a fixed one `score --terms` gives an exact account by features
    #[arg(long, value_enum, default_value_t = FeatureOrder::Mixed, help_heading = "Architecture")]
    pub order: FeatureOrder,
    /// Flows that the model is a mixture of, from as many seeds [default: up to 3 where rows are few and the family is not chosen]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8), help_heading = "Architecture")]
    pub members: Option<u16>,
    /// How much work the fit is
    #[arg(long, value_enum, default_value_t = Effort::Normal)]
    pub effort: Effort,
    /// Layers that transform [default: by the family]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=64), help_heading = "Architecture")]
    pub layers: Option<u16>,
    /// Width of the conditioners' hidden layers, a multiple of 4 [default: by the number of features]
    #[arg(long, value_name = "N", value_parser = width, help_heading = "Architecture")]
    pub hidden: Option<u16>,
    /// Hidden layers of each net; blocks of residual and gated ones [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=8), help_heading = "Architecture")]
    pub hidden_layers: Option<u16>,
    /// How the hidden layers of the nets are connected
    #[arg(long, value_enum, default_value_t = NetBody::Plain, help_heading = "Architecture")]
    pub net: NetBody,
    /// The activation of the nets' hidden units [default: relu; tanh for continuous flows]
    #[arg(long, value_enum, help_heading = "Architecture")]
    pub activation: Option<NetActivation>,
    /// The base distribution
    #[arg(long, value_enum, default_value_t = BaseFamily::Normal, help_heading = "Architecture")]
    pub base: BaseFamily,
    /// Components of a mixture base [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64), help_heading = "Architecture")]
    pub components: Option<u16>,
    /// Bins of splines, or sigmoids of a neural autoregressive flow [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=32), help_heading = "Architecture")]
    pub bins: Option<u16>,
    /// What the device computes in outside of the nets: floating-point numbers, the same with faster exponentials and
    /// logarithms, or fixed-point numbers, for cores without an FPU
    #[arg(long, value_enum, default_value_t = DeviceArithmetic::F32, help_heading = "Architecture")]
    pub arithmetic: DeviceArithmetic,
    /// Most passes over the training rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Architecture")]
    pub epochs: Option<u32>,
}

impl FitOptions {
    /// What the columns of the table are.
    pub fn roles(&self) -> Roles {
        Roles {
            label: self.label.clone(),
            group: self.group.clone(),
            context: self.context.clone(),
            ignore: self.ignore.clone(),
            missing: self.missing,
        }
    }
}

/// Arguments of `flowlet import`.
#[derive(Args, Debug)]
#[command(after_help = "Writes the model (pump.flow), with f32 weights, and its Rust type with the checked static \
    (pump.rs). Without --calibrate the model scores readings but never raises an alarm.")]
pub struct ImportArgs {
    /// The state dictionary, safetensors
    pub weights: PathBuf,
    /// What the state dictionary does not hold, JSON: library and version, flow, activation, slope, bins and so on
    #[arg(long, value_name = "META")]
    pub sidecar: PathBuf,
    /// The model file to write
    #[arg(long, value_name = "MODEL")]
    pub out: PathBuf,
    /// Normal readings that the model has not been trained on, CSV, for p-values and the alarm
    #[arg(long, value_name = "FILE")]
    pub calibrate: Option<PathBuf>,
    /// What becomes of rows of that file with missing cells: it is refused, or they are left out
    #[arg(long, value_name = "MISSING", default_value = "error", value_parser = calibrate::missing(), requires = "calibrate")]
    pub missing: Missing,
    /// Share of normal readings that may raise an alarm
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = rate)]
    pub false_alarm_rate: f32,
    /// No report
    #[arg(long, short)]
    pub quiet: bool,
}

/// Which rows are held back for calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Split {
    /// Drawn at random.
    Shuffled,
    /// The last ones.
    Ordered,
}

impl From<Split> for Order {
    fn from(split: Split) -> Self {
        match split {
            Split::Shuffled => Self::Shuffled,
            Split::Ordered => Self::Ordered,
        }
    }
}

/// What a device computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceArithmetic {
    /// Floating point, accurate to the last bits
    F32,
    /// Floating point with exponentials and logarithms by tables
    F32Fast,
    /// Multiples of 1/65536 up to 32767, without any floating-point operation
    Fixed,
}

impl From<DeviceArithmetic> for Numerics {
    fn from(arithmetic: DeviceArithmetic) -> Self {
        let default = Self::default();
        match arithmetic {
            DeviceArithmetic::F32 => default,
            DeviceArithmetic::F32Fast => Self { elementary: Elementary::Fast, ..default },
            DeviceArithmetic::Fixed => Self { arithmetic: Arithmetic::Fixed16Saturating, ..default },
        }
    }
}

/// How the hidden layers of nets are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetBody {
    /// One after the other
    Plain,
    /// Blocks of two layers add to their input
    Residual,
    /// Blocks of two layers, of which one gates the other
    Gated,
}

impl From<NetBody> for Body {
    fn from(body: NetBody) -> Self {
        match body {
            NetBody::Plain => Self::Plain,
            NetBody::Residual => Self::Residual,
            NetBody::Gated => Self::Gated,
        }
    }
}

/// The activation of hidden units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetActivation {
    /// max(0, x): the cheapest
    Relu,
    /// x above zero, e^x - 1 below
    Elu,
    /// tanh x
    Tanh,
}

impl From<NetActivation> for Activation {
    fn from(activation: NetActivation) -> Self {
        match activation {
            NetActivation::Relu => Self::Relu,
            NetActivation::Elu => Self::Elu,
            NetActivation::Tanh => Self::Tanh,
        }
    }
}

/// Arguments of `flowlet eval`.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model file; its unquantized twin is measured too if it lies beside it
    pub model: PathBuf,
    /// The readings, CSV, normal and anomalous
    pub readings: PathBuf,
    /// Column with 0 for normal readings and 1 for anomalies
    #[arg(long, value_name = "COL")]
    pub label: Option<String>,
    /// Columns to leave out; any that the model does not name are left out anyway
    #[arg(long, value_name = "COL,..", value_delimiter = ',')]
    pub ignore: Vec<String>,
    /// Column that names kinds of readings, such as faults: also report on each of them
    #[arg(long, value_name = "COL")]
    pub by: Option<String>,
    /// Whole groups of readings.
    #[command(flatten)]
    pub groups: GroupArgs,
    /// Also write the report as JSON; `-` writes to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Arguments of `flowlet score`.
#[derive(Args, Debug)]
#[command(
    after_help = "A reading with an empty, NaN or infinite feature cannot be scored: it has `fault` in the alarm \
    column and nothing in the others. The exit status is 0 if all readings were scored, 3 if some were not, 1 if an \
    error ended the run."
)]
pub struct ScoreArgs {
    /// The model file
    pub model: PathBuf,
    /// The readings, CSV; columns that the model does not name are left out
    pub readings: PathBuf,
    /// Also write what each feature contributes: its log-density given the features before it, in nats, and how many
    /// deviations it is above what these suggest (models of `fit --order fixed`)
    #[arg(long)]
    pub terms: bool,
    /// Score a reading that lacks one feature by the density of the others, without a p-value (models with a monitor)
    #[arg(long)]
    pub marginal: bool,
}

/// Arguments of `flowlet sample`.
#[derive(Args, Debug)]
pub struct SampleArgs {
    /// The model file
    pub model: PathBuf,
    /// How many readings to draw
    #[arg(short = 'n', long = "count", value_name = "N", default_value_t = 1000)]
    pub count: u64,
    /// Decides which
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The context to draw for, of a model that takes one
    #[arg(long, value_name = "COL=VALUE,..", value_delimiter = ',', value_parser = context_value)]
    pub context: Vec<(String, f32)>,
}

/// Arguments of `flowlet inspect`.
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The model file
    pub model: PathBuf,
    /// Also write the report as JSON; `-` writes to standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

fn rate(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(rate) if rate > 0.0 && rate < 1.0 => Ok(rate),
        _ => Err("expected a number between 0 and 1, such as 0.01".to_owned()),
    }
}

fn budget(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(nats) if nats.is_finite() && nats >= 0.0 => Ok(nats),
        _ => Err("expected a number of nats, 0 or above, such as 0.01".to_owned()),
    }
}

pub(crate) fn bytes(text: &str) -> Result<usize, String> {
    let expected = || "expected a number of MiB or GiB, such as 512MiB or 2GiB".to_owned();
    let (digits, shift) = [("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .ok_or_else(expected)?;
    let number: usize = digits.trim().parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

fn unit(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((column, unit)) if !column.is_empty() && !unit.is_empty() => Ok((column.to_owned(), unit.to_owned())),
        _ => Err("expected a column and its unit, such as pressure=bar".to_owned()),
    }
}

fn bounds(text: &str) -> Result<(String, Support), String> {
    let parsed = text.split_once('=').and_then(|(column, bounds)| {
        let (low, high) = bounds.split_once(':')?;
        Some((column.to_owned(), low.parse::<f32>().ok()?, high.parse::<f32>().ok()?))
    });
    parsed
        .filter(|(column, low, high)| !column.is_empty() && low < high && (high - low).is_finite())
        .map(|(column, low, high)| (column, Support::Between(low, high)))
        .ok_or_else(|| "expected a column and its bounds, the lower first, such as duty=0:100".to_owned())
}

fn context_value(text: &str) -> Result<(String, f32), String> {
    let parsed = text.split_once('=').and_then(|(column, value)| Some((column.to_owned(), value.parse::<f32>().ok()?)));
    parsed
        .filter(|(column, value)| !column.is_empty() && value.is_finite())
        .ok_or_else(|| "expected a column and a number, such as rpm=1500".to_owned())
}

/// The widest hidden layer that the device's accumulators allow.
const WIDEST: u16 = 4 * flowlet::conditioner::WIDEST as u16;

fn width(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(width) if (4..=WIDEST).contains(&width) && width % 4 == 0 => Ok(width),
        Ok(width) if (1..WIDEST).contains(&width) => {
            Err(format!("the device computes four units at a time: take {}", width.next_multiple_of(4)))
        }
        _ => Err(format!("expected a multiple of 4 up to {WIDEST}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lists_and_options_parse() {
        let line = "flowlet fit a.csv --out a.flow --ignore x,y --ignore z --split ordered --false-alarm-rate 1e-3";
        let Command::Fit(fit) = Cli::try_parse_from(line.split(' ')).unwrap().command else { panic!() };
        let args = fit.options;
        assert_eq!(args.ignore, ["x", "y", "z"]);
        assert_eq!((args.split, args.false_alarm_rate, args.seed), (Split::Ordered, 1e-3, 0));
    }

    #[test]
    fn bad_values_are_refused_with_what_is_expected() {
        for (option, expected) in [
            ("--false-alarm-rate=0", "expected a number between 0 and 1"),
            ("--false-alarm-rate=1", "expected a number between 0 and 1"),
            ("--false-alarm-rate=nan", "expected a number between 0 and 1"),
            ("--quantization-budget=-1", "expected a number of nats"),
            ("--quantization-budget=inf", "expected a number of nats"),
            ("--hidden=30", "take 32"),
            ("--hidden=0", "expected a multiple of 4"),
            ("--hidden=516", "expected a multiple of 4 up to 512"),
            ("--unit=pressure", "such as pressure=bar"),
            ("--hidden-layers=0", "0 is not in 1..=8"),
            ("--threads=0", "0 is not in 1..=1024"),
            ("--missing=fill", "[possible values: error, drop, impute]"),
            ("--checkpoint-every=9", "--checkpoint <FILE>"),
            ("--memory=512", "expected a number of MiB or GiB, such as 512MiB"),
            ("--memory=0.5GiB", "expected a number of MiB or GiB"),
            ("--memory=99999999999GiB", "expected a number of MiB or GiB"),
        ] {
            let error = Cli::try_parse_from(["flowlet", "fit", "a.csv", "--out", "a.flow", option]).unwrap_err();
            assert!(error.to_string().contains(expected), "{option}: {error}");
        }
        let line = ["flowlet", "calibrate", "a.flow", "a.csv", "--out", "b.flow", "--missing=impute"];
        let error = Cli::try_parse_from(line).unwrap_err().to_string();
        assert!(error.contains("[possible values: error, drop]"), "{error}");
    }
}
