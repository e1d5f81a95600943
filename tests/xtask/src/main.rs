//! The project's own commands, run as `cargo xtask <command>`.

mod alarms;
mod bases;
mod bench;
mod bits;
mod costs;
mod demo;
mod device;
mod gallery;
mod peers;
mod quality;
mod quantization;
mod sets;
mod setup;
mod speed;
mod test;
mod vi;

use std::num::NonZeroU8;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use flowlet_tests::emulator::Backend;
use flowlet_trainer::train::Family;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// From the readings of a hydraulic rig to alarms on an emulated Cortex-M4F, and to the same bits on the host
    Demo {
        /// What runs the firmware: `rsemu` comes with the build, `qemu` is the trusted second opinion
        #[arg(long, default_value_t, value_name = "rsemu|qemu")]
        emulator: Backend,
        /// Seed of the fit
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Writes the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where the model goes [default: the demo folder of cargo's target directory]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Whether emulated devices give the host's bits, for every layer family, in every direction
    Bits {
        /// Readings for each of them on the Cortex-M4F
        #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..))]
        points: u16,
        /// The same on the other cores
        #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..))]
        elsewhere: u16,
        /// What runs the firmware
        #[arg(long, default_value_t, value_name = "rsemu|qemu")]
        emulator: Backend,
    },
    /// What things cost, counted or measured
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// Every family fitted to eleven densities in the plane: a table of distances, and pictures; an interrupted run goes on
    Gallery {
        /// Where results and pictures go [default: the gallery folder of cargo's target directory]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Only these families
        #[arg(long, value_name = "FAMILY,..", value_delimiter = ',', value_enum, hide_possible_values = true)]
        family: Vec<Family>,
        /// Only these densities
        #[arg(long, value_name = "DENSITY,..", value_delimiter = ',')]
        density: Vec<String>,
        /// Fits that only show that all works
        #[arg(long)]
        quick: bool,
    },
    /// Detectors of other libraries on an emulated Cortex-M4F, and the smallest flow that reaches their AUROC on the rig
    Peers {
        /// Looks for that flow among many, in place of measuring
        #[arg(long)]
        search: bool,
        /// Writes the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Runs every test there is, the emulated device included
    Test {
        /// Requires QEMU instead of skipping what needs it, and installs it where the system allows
        #[arg(long)]
        qemu: bool,
    },
    /// Fits flows to energies whose normalization is known, and prints what they are off by
    Vi {
        /// Also writes the table here, as `variational.md`
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Fewer flows, a third of the steps
        #[arg(long)]
        quick: bool,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// What a richer base brings, by the depth of the flow
    Bases,
    /// Instructions, cycles, code, model and stack of kernels and of a whole score on emulated devices
    Device {
        /// Writes the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Fails if a figure is over 2 % above the one in this file
        #[arg(long, value_name = "FILE")]
        check: Option<PathBuf>,
        /// Only devices with these cores
        #[arg(long = "core", value_name = "CORE,..", value_delimiter = ',', value_parser = PossibleValuesParser::new(device::cores()))]
        cores: Vec<String>,
    },
    /// How well the defaults fit: AUROC of int8 models, or densities by family
    Quality {
        /// A folder with anomaly/SET, each with train.csv and test.csv, whose column `anomaly` is 1 for anomalies, or with
        /// density/SET, each with train.csv, val.csv and test.csv
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Densities, by family, in place of anomalies
        #[arg(long)]
        density: bool,
        /// Anomalies are told apart from so many seeds: how much chance does
        #[arg(long, value_name = "N", default_value = "1", conflicts_with = "density")]
        seeds: NonZeroU8,
        /// Writes the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Fits that only show that all works
        #[arg(long)]
        quick: bool,
    },
    /// The cost model of `flowlet fit --flash`: predictions for shapes that it was not fitted on, against counts
    Costs {
        /// Measures many shapes and fits the model anew, in place of checking it; an interrupted run goes on
        #[arg(long, conflicts_with = "check")]
        write: bool,
        /// Fails if a prediction for a Cortex-M4F or a Cortex-M0 is off by more than 10 %
        #[arg(long)]
        check: bool,
        /// The figures that the model is fitted to [default: tests/cost/shapes.json]
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Whole load cycles of the bundled rig: AUROC, and the rate that calibration by cycles keeps to
    Cycles {
        /// Of these families the one with the most nats on held-back cycles is taken [default: all with int8 nets]
        #[arg(long, value_name = "FAMILY,..", value_delimiter = ',', value_enum, hide_possible_values = true)]
        family: Vec<Family>,
        /// Parts that cycles are held back in, one at a time
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
        folds: u16,
        #[command(flatten)]
        output: Alarms,
    },
    /// Faults of the Tennessee Eastman process: the flow beside the T² and SPE charts of process control
    Process {
        /// A folder with normal_train.csv, normal_test.csv and faults_test.csv, whose column `fault` names runs and whose
        /// column `anomaly` is 1 from the onset on
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Between two rows
        #[arg(long, value_name = "MINUTES", default_value_t = 3.0)]
        minutes: f64,
        #[command(flatten)]
        output: Alarms,
    },
    /// Realized false-alarm rates beside those that were calibrated for, with the interval of chance
    Rates {
        /// A folder with anomaly/SET, each with train.csv of normal rows and test.csv, whose last column is 1 for anomalies
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Divisions of the held-back rows into those that calibrate and those that test
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        divisions: u16,
        #[command(flatten)]
        output: Alarms,
    },
    /// What int8 weights cost against f32: log-density, AUROC and false alarms, by data set
    Quantization {
        /// Also measures the sets of this folder: density/SET with train.csv, val.csv and test.csv, and anomaly/SET with
        /// train.csv and test.csv, whose column `anomaly` is 1 for anomalies [default: the bundled set alone]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Writes the figures and the reports of the quantization as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Fits that only show that all works
        #[arg(long)]
        quick: bool,
    },
    /// Rows a second in training, by family, and what share of the processor's peak that is
    Train(Speed),
    /// Readings a second in scoring, by family and number format, with the device's bits
    Score(Speed),
    /// Seconds of training until held-out rows are as probable as other libraries find them, which it installs
    Reach {
        /// Also measures density/power and density/gas of this folder, with train.csv and val.csv [default: the bundled set
        /// alone]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Only these families [default: maf,spline]
        #[arg(long, value_name = "FAMILY,..", value_delimiter = ',', value_enum, hide_possible_values = true)]
        family: Vec<Family>,
        /// Seconds of training that each flow of another library has, at each of two learning rates
        #[arg(long, value_name = "N", default_value_t = 30.0)]
        seconds: f64,
        /// Writes the curves as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Instructions of layers and log-determinants on emulated cores, by the number of features
    Cost {
        /// Writes the figures as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Alarms {
    /// Also writes the table and the picture here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Fits that only show that all works
    #[arg(long)]
    quick: bool,
}

impl From<Alarms> for alarms::Output {
    fn from(Alarms { out, quick }: Alarms) -> Self {
        Self { out, quick }
    }
}

#[derive(clap::Args)]
struct Speed {
    /// Also trains the same flows by FlowJAX, zuko and normflows, whose Python packages it installs into a virtual
    /// environment
    #[arg(long)]
    peers: bool,
    /// Only these families
    #[arg(long, value_name = "FAMILY,..", value_delimiter = ',', value_enum, hide_possible_values = true)]
    family: Vec<Family>,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl From<Speed> for speed::Request {
    fn from(Speed { peers, family, json }: Speed) -> Self {
        Self { peers, families: family, json }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Demo { emulator, seed, json, out } => demo::run(&demo::Options { emulator, seed, json, out }),
        Command::Bits { points, elsewhere, emulator } => {
            bits::run(&bits::Request { points: points.into(), elsewhere: elsewhere.into(), emulator })
        }
        Command::Bench { what: Bench::Bases } => bases::run(),
        Command::Bench { what: Bench::Costs { write, check, json } } => {
            let json = json.unwrap_or_else(|| setup::root().join("tests/cost/shapes.json"));
            costs::run(&costs::Request { json, write, check })
        }
        Command::Bench { what: Bench::Device { json, check, cores } } => {
            device::bench(&device::Request { json, check, cores })
        }
        Command::Bench { what: Bench::Quality { data, density, seeds, json, quick } } => {
            let seeds = seeds.get().into();
            quality::run(&quality::Request { data, density, seeds, json, quick })
        }
        Command::Bench { what: Bench::Quantization { data, json, quick } } => {
            quantization::run(&quantization::Request { data, json, quick })
        }
        Command::Bench { what: Bench::Cycles { family, folds, output } } => {
            let (families, folds, output) = (family, folds.into(), output.into());
            alarms::cycles::run(&alarms::cycles::Request { families, folds, output })
        }
        Command::Bench { what: Bench::Process { data, minutes, output } } => {
            alarms::process::run(&alarms::process::Request { data, minutes, output: output.into() })
        }
        Command::Bench { what: Bench::Rates { data, divisions, output } } => {
            let (divisions, output) = (divisions.into(), output.into());
            alarms::rates::run(&alarms::rates::Request { data, divisions, output })
        }
        Command::Bench { what: Bench::Train(arguments) } => speed::train(&arguments.into()),
        Command::Bench { what: Bench::Score(arguments) } => speed::score(&arguments.into()),
        Command::Bench { what: Bench::Reach { data, family, seconds, json } } => {
            speed::reach::run(&speed::reach::Request { data, families: family, seconds, json })
        }
        Command::Bench { what: Bench::Cost { json } } => bench::cost(json.as_deref()),
        Command::Gallery { out, family, density, quick } => {
            gallery::run(&gallery::Options { out, families: family, densities: density, quick })
        }
        Command::Peers { search, json } => peers::run(&peers::Options { search, json }),
        Command::Test { qemu } => test::run(qemu),
        Command::Vi { out, quick } => vi::run(out.as_deref(), quick),
    }
}
