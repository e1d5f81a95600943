//! `flowlet fit`: from a table of normal readings to a model.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use rayon::ThreadPoolBuilder;

use super::interrupt;
use super::model_outputs::ModelOutputs;
use super::output::{Output, to_stdout};
use super::progress::Bar;
use crate::cli::FitArgs;
use crate::data::{Matrix, Readings, Roles, Split, SplitOptions, Table, notes};
use crate::fitting;
use crate::layers::Support;
use crate::quantization;
use crate::report::{FitReport, Parts, to_json};
use crate::train::{Architecture, Options};

pub fn run(args: &FitArgs) -> Result<ExitCode> {
    // Places are checked first: it would be a pity to train for nothing.
    let outputs = prepare(args)?;
    let table = Table::read(&args.readings)?;
    let mut readings = Readings::for_fitting(&table, &args.roles())?;
    readings.name_units(&args.unit)?;
    let (split, calibration) = divide(args, &readings)?;
    if !args.quiet {
        notes(&table, &readings).iter().for_each(|note| eprintln!("note: {note}"));
    }

    let cancel = interrupt::flag()?;
    if !(readings.context.is_empty() || args.family.has_nets()) {
        bail!(
            "--context: the layers of this family have no nets, so they cannot see a context (choose another --family)"
        );
    }
    let supports = supports(args, &table, &readings)?;
    let options = options(args, supports, readings.features.len());
    let threads = ThreadPoolBuilder::new().num_threads(args.threads.map_or(0, usize::from)).build()?;
    let mut bar = Bar::new(args.quiet);
    let begin = Instant::now();
    let fitted = threads
        .install(|| fitting::fit(&readings, &split, &calibration, args.false_alarm_rate, &options, &mut bar, &cancel));
    bar.finish();
    let fitted = fitted?;
    let seconds = begin.elapsed().as_secs_f64();

    let parts = Parts { readings: &readings, split: &split, calibration: &calibration };
    let report = threads.install(|| FitReport::new(&fitted, &parts, seconds))?;
    outputs.write(&fitted.model, Some(&fitted.twin))?;
    let json_on_stdout = args.json.as_deref() == Some(Path::new("-"));
    if !args.quiet && !json_on_stdout {
        to_stdout(|stdout| {
            write!(stdout, "{report}")?;
            let [model, twin, source] = ModelOutputs::paths(&args.out);
            writeln!(stdout, "wrote {}, {} and {}", model.display(), twin.display(), source.display())
        })?;
    }
    if let Some(json) = &args.json {
        Output::prepare(json)?.write(&to_json(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The parts of the readings, and the rows of calibration: held-back ones, or those of `--val`.
fn divide(args: &FitArgs, readings: &Readings) -> Result<(Split, Matrix)> {
    let options = SplitOptions {
        order: args.split.into(),
        false_alarm_rate: args.false_alarm_rate,
        seed: args.seed,
        ..SplitOptions::default()
    };
    let Some(path) = &args.val else {
        let split = Split::new(readings, &options)?;
        let calibration = readings.values.select(&split.calibration);
        return Ok((split, calibration));
    };
    let table = Table::read(path)?;
    let label = args.label.clone().filter(|label| table.columns().contains(label));
    if let (Some(missing), None, false) = (&args.label, &label, args.quiet) {
        eprintln!("note: {} has no column `{missing}`: all of its readings count as normal", table.file());
    }
    let roles = Roles { label, context: readings.context.clone(), missing: args.missing, ..Roles::default() };
    let validation = Readings::with_features(&table, &readings.features, &roles)?;
    if !(validation.incomplete.rows.is_empty() || args.quiet) {
        let left_out = validation.incomplete.rows.len();
        eprintln!("note: {}: {left_out} rows with missing cells do not calibrate", table.file());
    }
    Ok((Split::with_validation(readings, &validation, &options)?, validation.values))
}

/// Where the readings of each feature can be.
fn supports(args: &FitArgs, table: &Table, readings: &Readings) -> Result<Vec<Support>> {
    let positive = args.positive.iter().map(|column| (column, Support::Positive, "--positive"));
    let bounded = args.bounded.iter().map(|(column, support)| (column, *support, "--bounded"));
    let mut supports = vec![Support::All; readings.features.len()];
    for (column, support, option) in positive.chain(bounded) {
        let Some(feature) = readings.features.iter().position(|feature| feature == column) else {
            bail!("{option} {column}: is no feature; the features are {}", readings.features.join(", "));
        };
        if supports[feature] != Support::All {
            bail!("{option} {column}: its range is given twice");
        }
        let rows = readings.values.iter_rows().zip(&readings.rows);
        let mut rows = rows.chain(readings.incomplete.values.iter_rows().zip(&readings.incomplete.rows));
        let outside = |values: &[f32]| !(support.contains(values[feature]) || values[feature].is_nan());
        if let Some((values, row)) = rows.find(|(values, _)| outside(values)) {
            bail!(
                "{}:{}: column `{column}`: {:?} is outside of its range ({option}): remove the row, or widen the range",
                readings.file,
                table.line(*row),
                values[feature],
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

/// Checks every place that something is written to.
fn prepare(args: &FitArgs) -> Result<ModelOutputs> {
    let inputs: Vec<&Path> = [Some(&args.readings), args.val.as_ref()].into_iter().flatten().map(|it| &**it).collect();
    let outputs = ModelOutputs::prepare(&args.out, &inputs)?;
    if let Some(json) = args.json.as_deref().filter(|json| json.as_os_str() != "-") {
        if inputs.contains(&json) {
            bail!("{}: would be overwritten (choose another --json)", json.display());
        }
        if ModelOutputs::paths(&args.out).iter().any(|path| path == json) {
            bail!("--json {}: is where the model goes (choose another)", json.display());
        }
        // Only that it can be written: what else is there may be a pipe, which is opened once.
        drop(Output::prepare(json)?);
    }
    Ok(outputs)
}
