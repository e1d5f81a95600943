//! `flowlet fit`: from a table of normal readings to a model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rayon::ThreadPoolBuilder;

use super::output::{Output, to_stdout};
use super::progress::Bar;
use super::{files, interrupt};
use crate::cli::FitArgs;
use crate::data::{self, Gathered, Matrix, Readings, Roles, Split, SplitOptions, notes};
use crate::fitting::{self, Fitted};
use crate::layers::Support;
use crate::model::{Model, rust_source};
use crate::quantization;
use crate::report::{FitReport, Parts, Seconds, to_json};
use crate::train::{Architecture, Options};

pub fn run(args: &FitArgs) -> Result<ExitCode> {
    // Places are checked first: it would be a pity to train for nothing.
    let outputs = Outputs::prepare(args)?;
    let begin = Instant::now();
    let gathered = Gathered::for_fitting(&mut *data::open(&args.readings)?, &args.roles(), args.memory)?;
    let reading = begin.elapsed().as_secs_f64();
    let supports = supports(args, &gathered)?;
    let (mut readings, split, calibration) = divide(args, gathered)?;
    readings.name_units(&args.unit)?;
    if !args.quiet {
        notes(&readings).iter().for_each(|note| eprintln!("note: {note}"));
    }

    let cancel = interrupt::flag()?;
    if !(readings.context.is_empty() || args.family.has_nets()) {
        bail!(
            "--context: the layers of this family have no nets, so they cannot see a context (choose another --family)"
        );
    }
    let options = options(args, supports, readings.features.len());
    let threads = ThreadPoolBuilder::new().num_threads(args.threads.map_or(0, usize::from)).build()?;
    let mut bar = Bar::new(args.quiet);
    let begin = Instant::now();
    let fitted = threads
        .install(|| fitting::fit(&readings, &split, &calibration, args.false_alarm_rate, &options, &mut bar, &cancel));
    bar.finish();
    let fitted = fitted?;
    let seconds = Seconds { reading, fitting: begin.elapsed().as_secs_f64() };

    let parts = Parts { readings: &readings, split: &split, calibration: &calibration };
    let report = threads.install(|| FitReport::new(&fitted, &parts, seconds))?;
    outputs.write(&fitted)?;
    let json_on_stdout = args.json.as_deref() == Some(Path::new("-"));
    if !args.quiet && !json_on_stdout {
        to_stdout(|stdout| {
            write!(stdout, "{report}")?;
            let [model, twin, source] = paths(&args.out);
            writeln!(stdout, "wrote {}, {} and {}", model.display(), twin.display(), source.display())
        })?;
    }
    if let Some(json) = &args.json {
        Output::prepare(json)?.write(&to_json(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The parts of the readings, and the rows of calibration: held-back ones, or those of `--val`.
fn divide(args: &FitArgs, gathered: Gathered) -> Result<(Readings, Split, Matrix)> {
    let options = SplitOptions {
        order: args.split.into(),
        false_alarm_rate: args.false_alarm_rate,
        seed: args.seed,
        ..SplitOptions::default()
    };
    let Some(path) = &args.val else {
        let (readings, split) = gathered.divide(&options)?;
        let calibration = readings.values.select(&split.calibration);
        return Ok((readings, split, calibration));
    };
    let mut source = data::open(path)?;
    let label = args.label.clone().filter(|label| source.columns().contains(label));
    if let (Some(missing), None, false) = (&args.label, &label, args.quiet) {
        eprintln!("note: {} has no column `{missing}`: all of its readings count as normal", source.file());
    }
    let roles = Roles { label, context: gathered.context().to_vec(), ..Roles::default() };
    let validation = Gathered::with_features(&mut *source, gathered.features(), &roles, args.memory)?;
    let validation = validation.into_validation(&options)?;
    let (readings, split) = gathered.divide_beside(&validation, &options)?;
    Ok((readings, split, validation.values))
}

/// Where the readings of each feature can be.
fn supports(args: &FitArgs, gathered: &Gathered) -> Result<Vec<Support>> {
    let positive = args.positive.iter().map(|column| (column, Support::Positive, "--positive"));
    let bounded = args.bounded.iter().map(|(column, support)| (column, *support, "--bounded"));
    let features = gathered.features();
    let mut supports = vec![Support::All; features.len()];
    for (column, support, option) in positive.chain(bounded) {
        let Some(feature) = features.iter().position(|feature| feature == column) else {
            bail!("{option} {column}: is no feature; the features are {}", features.join(", "));
        };
        if supports[feature] != Support::All {
            bail!("{option} {column}: its range is given twice");
        }
        if let Some((place, value)) = gathered.find(feature, |value| !support.contains(value))? {
            bail!(
                "{}:{place}: column `{column}`: {value:?} is outside of its range ({option}): remove the row, or widen the range",
                gathered.file(),
            );
        }
        supports[feature] = support;
    }
    Ok(if supports.iter().all(|support| *support == Support::All) { Vec::new() } else { supports })
}

fn options(args: &FitArgs, supports: Vec<Support>, features: usize) -> Options {
    let mut options = Options { seed: args.seed, ..Options::for_features(features) };
    options.quantization = quantization::Options { budget: args.quantization_budget, formats: args.format };
    options.architecture = Architecture::of(args.family, features);
    let shape = &mut options.architecture;
    shape.body = args.net.into();
    shape.activation = args.activation.map_or(shape.activation, Into::into);
    shape.base = args.base;
    shape.components = args.components.map_or(shape.components, usize::from);
    shape.supports = supports;
    shape.bins = args.bins.map_or(shape.bins, usize::from);
    shape.layers = args.layers.map_or(shape.layers, usize::from);
    shape.hidden = args.hidden.map_or(shape.hidden, usize::from);
    shape.hidden_layers = args.hidden_layers.map_or(shape.hidden_layers, usize::from);
    options.numerics = args.arithmetic.into();
    options.epochs = args.epochs.map_or(options.epochs, |epochs| epochs as usize);
    options
}

/// The files of a fit: the model, its twin, its Rust source.
fn paths(out: &Path) -> [PathBuf; 3] {
    [out.to_owned(), files::twin(out), files::source(out)]
}

struct Outputs {
    model: Output,
    twin: Output,
    source: Output,
    /// The model file's name, as the Rust source has it.
    name: String,
}

impl Outputs {
    fn prepare(args: &FitArgs) -> Result<Self> {
        let out = &args.out;
        let name = out.file_name().filter(|_| out.as_os_str() != "-");
        let name = name.with_context(|| format!("--out {}: expected the name of a file", out.display()))?;
        let Some(name) = name.to_str() else { bail!("--out {}: the name of the file is not UTF-8", out.display()) };
        let inputs = [Some(&args.readings), args.val.as_ref()];
        let paths = paths(out);
        for path in paths.iter().chain(&args.json) {
            if inputs.contains(&Some(path)) {
                bail!("{}: would be overwritten (choose another --out)", path.display());
            }
        }
        if let Some(json) = args.json.as_ref().filter(|json| json.as_os_str() != "-") {
            if paths.contains(json) {
                bail!("--json {}: is where the model goes (choose another)", json.display());
            }
            // Only that it can be written: what else is there may be a pipe, which is opened once.
            drop(Output::prepare(json)?);
        }
        let [model, twin, source] = paths.map(|path| Output::prepare(&path));
        Ok(Self { model: model?, twin: twin?, source: source?, name: name.to_owned() })
    }

    fn write(self, fitted: &Fitted) -> Result<()> {
        let source = rust_source(&fitted.model, &self.name);
        self.twin.write(&Model::to_bytes(&fitted.twin))?;
        self.source.write(source.as_bytes())?;
        self.model.write(&fitted.model.to_bytes())
    }
}
