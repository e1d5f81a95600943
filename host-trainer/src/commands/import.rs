//! `flowlet import`: from weights that another library trained to a model.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::files;
use super::output::{Output, to_stdout};
use crate::cli::ImportArgs;
use crate::data::{Matrix, Table};
use crate::import::Import;
use crate::model::{Model, rust_source};

pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let name = args.out.file_name().filter(|_| args.out.as_os_str() != "-");
    let name = name.with_context(|| format!("--out {}: expected the name of a file", args.out.display()))?;
    let Some(name) = name.to_str() else { bail!("--out {}: the name of the file is not UTF-8", args.out.display()) };
    let paths = [args.out.clone(), files::source(&args.out)];
    let inputs = [Some(&args.weights), Some(&args.sidecar), args.calibrate.as_ref()];
    if let Some(path) = paths.iter().find(|path| inputs.contains(&Some(path))) {
        bail!("{}: would be overwritten (choose another --out)", path.display());
    }
    let import = Import::new(&read(&args.weights)?, &read(&args.sidecar)?)
        .with_context(|| format!("{} with {}", args.weights.display(), args.sidecar.display()))?;
    let model = match &args.calibrate {
        None => import.model()?,
        Some(path) => {
            let readings = readings(path, &import)?;
            import.calibrated(&readings, args.false_alarm_rate).with_context(|| path.display().to_string())?
        }
    };
    write(&model, &paths, name)?;
    if !args.quiet {
        report(args, &model, &paths)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// All rows, by the names of the model's features and context values.
fn readings(path: &Path, import: &Import) -> Result<Matrix> {
    let table = Table::read(path)?;
    let columns = table.columns_of(import.names(), Some("a feature of the imported model"))?;
    let rows: Vec<usize> = (0..table.rows()).collect();
    Ok(table.matrix(&rows, &columns)?)
}

fn write(model: &Model, [file, source]: &[PathBuf; 2], name: &str) -> Result<()> {
    let (file, source) = (Output::prepare(file)?, Output::prepare(source)?);
    source.write(rust_source(model, name).as_bytes())?;
    file.write(&model.to_bytes())
}

fn report(args: &ImportArgs, model: &Model, [file, source]: &[PathBuf; 2]) -> Result<()> {
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
        writeln!(stdout, "wrote {} and {}", file.display(), source.display())
    })
}
