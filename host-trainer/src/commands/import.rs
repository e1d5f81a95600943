//! `flowlet import`: from weights that another library trained to a model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use super::files;
use super::model_outputs::ModelOutputs;
use super::output::to_stdout;
use crate::cli::ImportArgs;
use crate::data::{self, Gathered, Matrix, Roles};
use crate::import::Import;
use crate::model::Model;

pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let inputs = [Some(&args.weights), Some(&args.sidecar), args.calibrate.as_ref()];
    let inputs: Vec<&Path> = inputs.into_iter().flatten().map(|input| &**input).collect();
    let outputs = ModelOutputs::prepare(&args.out, &inputs)?;
    let import = Import::new(&read(&args.weights)?, &read(&args.sidecar)?)
        .with_context(|| format!("{} with {}", args.weights.display(), args.sidecar.display()))?;
    let model = match &args.calibrate {
        None => import.model()?,
        Some(path) => {
            let readings = readings(path, &import, args)?;
            import.calibrated(&readings, args.false_alarm_rate).with_context(|| path.display().to_string())?
        }
    };
    outputs.write(&model, None)?;
    if !args.quiet {
        report(args, &model)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// All complete rows, by the names of the model's features and context values.
fn readings(path: &Path, import: &Import, args: &ImportArgs) -> Result<Matrix> {
    let roles = Roles { missing: args.missing, ..Roles::default() };
    let needed_by = "a feature of the imported model";
    let readings = Gathered::with_features(&mut *data::open(path)?, import.names(), needed_by, &roles, usize::MAX)?
        .into_readings()?;
    let left_out = readings.incomplete();
    if !(left_out == 0 || args.quiet) {
        eprintln!("note: {}: {left_out} rows with missing cells do not calibrate", readings.file);
    }
    Ok(readings.values)
}

fn report(args: &ImportArgs, model: &Model) -> Result<()> {
    let architecture = model.architecture();
    let rows = model.metadata().training.calibration_rows;
    to_stdout(|stdout| {
        writeln!(
            stdout,
            "{} of {} features and {} values of context, {} bytes with f32 weights",
            architecture.family(),
            architecture.features,
            architecture.context,
            model.body().len()
        )?;
        match &args.calibrate {
            Some(path) => writeln!(
                stdout,
                "calibrated by {rows} readings of {}: p-values up to {} raise the alarm",
                path.display(),
                args.false_alarm_rate
            )?,
            None => writeln!(
                stdout,
                "not calibrated: the model scores readings, its alarm is off (--calibrate turns it on)"
            )?,
        }
        writeln!(stdout, "wrote {} and {}", args.out.display(), files::source(&args.out).display())
    })
}
