//! `flowlet fit`: from a table of normal readings to a model.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rayon::ThreadPoolBuilder;
use serde_json::json;

use super::checkpoint::{Checkpoint, Identity, Kept};
use super::fingerprint::Fingerprint;
use super::held_back::HeldBack;
use super::model_outputs::ModelOutputs;
use super::output::{Output, to_stdout};
use super::progress::Bar;
use super::{files, interrupt, search};
use crate::cli::{FitArgs, FitOptions};
use crate::data::{self, Gathered, Matrix, Readings, Roles, Split, SplitOptions};
use crate::fitting::{self, Fitted};
use crate::layers::Support;
use crate::quantization::{self, Formats};
use crate::report::{FitReport, Parts, Seconds, to_json};
use crate::search::svg;
use crate::train::{Architecture, Effort, Family, FeatureOrder, MOST_BYTES, Options, Progress};

pub fn run(args: &FitArgs) -> Result<ExitCode> {
    // Places are checked first: it would be a pity to train for nothing.
    let budget = args.budget.budget()?;
    let outputs = prepare(args)?;
    let held_back = HeldBack::prepare(&args.readings, args.held_back.as_deref())?;
    let picture = budget.map(|_| Output::prepare(&files::front(&args.out))).transpose()?;
    if args.checkpoint.is_some() && args.options.effort == Effort::Best {
        bail!("--checkpoint: is of one fit, and --effort best makes several (leave out one of the two)");
    }
    if budget.is_some() && args.options.members.is_some_and(|members| members > 1) {
        bail!("--members: a search under a budget chooses single flows (leave out one of the two)");
    }
    let mut job = Job::new(&args.readings, args.val.as_deref(), &args.options, args.memory)?;
    if budget.is_some() {
        job.candidates.iter_mut().for_each(|options| options.architecture.members = 1);
    }
    if !args.quiet {
        job.notes.iter().for_each(|note| eprintln!("note: {note}"));
    }
    let cancel = interrupt::flag("ending the training and keeping the best model so far")?;
    let threads = ThreadPoolBuilder::new().num_threads(args.threads.map_or(0, usize::from)).build()?;
    let json_on_stdout = args.json.as_deref() == Some(Path::new("-"));
    let found = match &budget {
        None => None,
        Some(budget) => {
            let found = threads.install(|| search::run(args, budget, &job, &cancel))?;
            job.candidates.iter_mut().for_each(|options| options.architecture = found.architecture.clone());
            if !args.quiet && !json_on_stdout {
                to_stdout(|stdout| write!(stdout, "{}", found.report))?;
            }
            Some(found.report)
        }
    };
    let open =
        |path: &PathBuf| Checkpoint::open(path, Duration::from_secs(args.checkpoint_every.into()), job.identity()?);
    let mut checkpoint = args.checkpoint.as_ref().map(open).transpose()?;
    if let (Some(epochs @ 1..), false) = (checkpoint.as_ref().map(Checkpoint::epochs), args.quiet) {
        eprintln!("note: going on from the checkpoint, after {epochs} epochs");
    }
    let mut bar = Bar::new(args.quiet);
    let mut kept = Kept { progress: &mut bar, checkpoint: checkpoint.as_mut() };
    let done = threads.install(|| job.fit(&mut kept, &cancel));
    bar.finish();
    let (fitted, mut report) = done?;
    report.search = found;

    if let Some((picture, search)) = picture.zip(report.search.as_ref()) {
        picture.write(svg(search)?.as_bytes())?;
    }
    outputs.write(&fitted.model, Some(&fitted.twin))?;
    held_back.map(|held_back| held_back.write(&job.readings, &job.split)).transpose()?;
    let is_cancelled = cancel.load(Ordering::Relaxed);
    match checkpoint {
        Some(mut checkpoint) if is_cancelled => {
            checkpoint.write()?;
            if checkpoint.epochs() > 0 {
                eprintln!("note: the checkpoint is kept: the same command goes on from it");
            }
        }
        Some(checkpoint) => checkpoint.remove()?,
        None => {}
    }
    if !args.quiet && !json_on_stdout {
        to_stdout(|stdout| {
            write!(stdout, "{report}")?;
            let [model, twin, source] = ModelOutputs::paths(&args.out);
            if report.search.is_some() {
                writeln!(stdout, "wrote {}", files::front(&args.out).display())?;
            }
            writeln!(stdout, "wrote {}, {} and {}", model.display(), twin.display(), source.display())
        })?;
    }
    if let Some(json) = &args.json {
        Output::prepare(json)?.write(&to_json(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A table that is ready to be fitted.
pub(super) struct Job {
    pub readings: Readings,
    pub split: Split,
    calibration: Matrix,
    /// What is fitted; of several the best stays.
    pub candidates: Vec<Options>,
    false_alarm_rate: f32,
    /// Seconds that reading took.
    reading: f64,
    /// What is odd about the table.
    pub notes: Vec<String>,
}

impl Job {
    /// Reads and divides the tables of readings, and of those that calibrate if these are others. Each may take so many
    /// bytes of memory.
    pub fn new(readings: &Path, validation: Option<&Path>, args: &FitOptions, memory: usize) -> Result<Self> {
        let begin = Instant::now();
        let gathered = Gathered::for_fitting(&mut *data::open(readings)?, &args.roles(), memory)?;
        let reading = begin.elapsed().as_secs_f64();
        let supports = supports(args, &gathered)?;
        let mut notes = Vec::new();
        let (mut readings, split, calibration) = divide(args, validation, gathered, memory, &mut notes)?;
        readings.name_units(&args.unit)?;
        notes.extend(data::notes(&readings).iter().map(ToString::to_string));
        if !(readings.context.is_empty() || args.family.is_none_or(Family::has_nets)) {
            bail!(
                "--context: the layers of this family have no nets, so they cannot see a context (choose another --family)"
            );
        }
        check_order(args, readings.features.len(), readings.context.len())?;
        let candidates = candidates(args, supports, &readings, &split);
        Ok(Self { readings, split, calibration, candidates, false_alarm_rate: args.false_alarm_rate, reading, notes })
    }

    /// Fits on the threads of the pool that it is called in; the report says how long that took.
    pub fn fit(&self, progress: &mut dyn Progress, cancel: &AtomicBool) -> Result<(Fitted, FitReport)> {
        let Self { readings, split, calibration, candidates, false_alarm_rate, .. } = self;
        let begin = Instant::now();
        let fitted = fitting::fit_best(readings, split, calibration, *false_alarm_rate, candidates, progress, cancel)?;
        let seconds = Seconds { reading: self.reading, fitting: begin.elapsed().as_secs_f64() };
        let report = FitReport::new(&fitted, &Parts { readings, split, calibration }, seconds)?;
        Ok((fitted, report))
    }

    /// What decides the bits of the model.
    fn identity(&self) -> Result<Identity> {
        let Self { readings, split, calibration, .. } = self;
        // By name where there is one, so that what differs can be told.
        let options = match &self.candidates[..] {
            [one] => json!(one),
            all => json!(all),
        };
        let options = json!({ "options": options, "false_alarm_rate": self.false_alarm_rate });
        let names = readings.features.iter().chain(&readings.context).chain(&readings.units);
        let table = Fingerprint::default().matrix(&readings.values).matrix(&readings.incomplete.values);
        let table = match &readings.large {
            Some(large) => table.store(&large.training)?,
            None => table,
        };
        let parts = [&split.train, &split.selection, &split.imputed];
        let rows = parts.into_iter().fold(Fingerprint::default(), |rows, part| rows.rows(part));
        let data = [
            ("readings", names.fold(table, |table, name| table.text(name)).finish()),
            ("rows that are trained and selected on", rows.finish()),
            ("rows of the calibration", Fingerprint::default().matrix(calibration).finish()),
        ];
        Ok(Identity::new(&options, data))
    }
}

/// The parts of the readings, and the rows of calibration: held-back ones, or those of a file of their own.
fn divide(
    args: &FitOptions,
    validation: Option<&Path>,
    gathered: Gathered,
    memory: usize,
    notes: &mut Vec<String>,
) -> Result<(Readings, Split, Matrix)> {
    let options = SplitOptions {
        order: args.split.into(),
        false_alarm_rate: args.false_alarm_rate,
        seed: args.seed,
        ..SplitOptions::default()
    };
    let Some(path) = validation else {
        let (readings, split) = gathered.divide(&options)?;
        let calibration = readings.values.select(&split.calibration);
        return Ok((readings, split, calibration));
    };
    let mut source = data::open(path)?;
    let label = args.label.clone().filter(|label| source.columns().contains(label));
    if let (Some(missing), None) = (&args.label, &label) {
        notes.push(format!("{} has no column `{missing}`: all of its readings count as normal", source.file()));
    }
    let roles = Roles { label, context: gathered.context().to_vec(), missing: args.missing, ..Roles::default() };
    let validation = Gathered::with_features(&mut *source, gathered.features(), data::OF_FITTED, &roles, memory)?;
    let left_out = validation.incomplete_rows();
    if left_out > 0 {
        notes.push(format!("{}: {left_out} rows with missing cells do not calibrate", source.file()));
    }
    let validation = validation.into_validation(&options)?;
    let (readings, split) = gathered.divide_beside(&validation, &options)?;
    Ok((readings, split, validation.values))
}

/// Where the readings of each feature can be.
fn supports(args: &FitOptions, gathered: &Gathered) -> Result<Vec<Support>> {
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

/// Layers that see the features in a fixed order are autoregressive ones, with nets of some width.
fn check_order(args: &FitOptions, features: usize, context: usize) -> Result<()> {
    if args.family.is_some_and(|family| !args.order.suits(family)) {
        bail!(
            "--order fixed: the layers of this family do not condition each feature on those before it (choose --family maf-spline, naf or maf)"
        );
    }
    let narrowest = Architecture::narrowest_in_fixed_order(features, context);
    match args.hidden {
        Some(hidden) if args.order == FeatureOrder::Fixed && usize::from(hidden) < narrowest => bail!(
            "--hidden {hidden}: with --order fixed, nets narrower than {narrowest} units leave some of {features} features out (choose at least {narrowest})"
        ),
        _ => Ok(()),
    }
}

/// What is fitted: the first one, or several of which the best stays.
fn candidates(args: &FitOptions, supports: Vec<Support>, readings: &Readings, split: &Split) -> Vec<Options> {
    let (features, context) = (readings.features.len(), readings.context.len());
    let complete = readings.trained(split) - readings.imputed(split);
    let mut options = Options { seed: args.seed, ..Options::for_features(features) };
    options.quantization = quantization::Options { budget: args.quantization_budget, formats: args.format };
    options.architecture = match args.family {
        Some(family) => Architecture::of(family, features),
        None => Architecture::for_table(complete, features, context, MOST_BYTES),
    };
    if args.order == FeatureOrder::Fixed {
        options.architecture = options.architecture.in_fixed_order(features, context);
    }
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
    // What is chosen for a table is a mixture where that pays; what somebody chose is not, unless it is said.
    let single = args.family.is_some()
        || args.order == FeatureOrder::Fixed
        || args.format != Formats::Int8
        || args.effort == Effort::Quick;
    shape.members = match args.members {
        Some(members) => members.into(),
        None if single => 1,
        None => shape.most_members(complete, features, context, MOST_BYTES),
    };
    options.numerics = args.arithmetic.into();
    options.epochs = args.epochs.map_or(options.epochs, |epochs| epochs as usize);
    options.candidates(args.effort, args.family.is_some(), features, context)
}

/// Checks every place that something is written to.
fn prepare(args: &FitArgs) -> Result<ModelOutputs> {
    let inputs: Vec<&Path> = [Some(&args.readings), args.val.as_ref()].into_iter().flatten().map(|it| &**it).collect();
    let outputs = ModelOutputs::prepare(&args.out, &inputs)?;
    let json = args.json.as_deref().filter(|json| json.as_os_str() != "-");
    let others = [("--json", json), ("--checkpoint", args.checkpoint.as_deref())];
    let mut taken = ModelOutputs::paths(&args.out).to_vec();
    for (option, path) in others.into_iter().filter_map(|(option, path)| Some((option, path?))) {
        if inputs.contains(&path) {
            bail!("{}: would be overwritten (choose another {option})", path.display());
        }
        if taken.iter().any(|taken| taken == path) {
            bail!(
                "{option} {}: is where the {} goes (choose another)",
                path.display(),
                if taken.len() > 3 { "report" } else { "model" }
            );
        }
        taken.push(path.to_owned());
        // Only that it can be written: what else is there may be a pipe, which is opened once.
        drop(Output::prepare(path)?);
    }
    Ok(outputs)
}
