//! `flowlet calibrate`: a model with p-values and an alarm for one device.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Error, Result, anyhow, bail};

use super::files::{feature_names, read_model, read_twin};
use super::model_outputs::ModelOutputs;
use super::output::{Output, to_stdout};
use crate::calibrate::{CalibrationError, attainable_rate};
use crate::cli::CalibrateArgs;
use crate::data::{self, Gathered, Readings, Roles};
use crate::model::Model;
use crate::recalibrate::{RecalibrationError, recalibrate};
use crate::report::{CalibrationReport, to_json};
use crate::scoring::assess;

pub fn run(args: &CalibrateArgs) -> Result<ExitCode> {
    let outputs = ModelOutputs::prepare(&args.out, &[&args.readings])?;
    let json = args.json.as_deref().map(Output::prepare).transpose()?;
    let model = read_model(&args.model)?;
    let twin = read_twin(&args.model, &model);
    let rate = match (args.false_alarm_rate, *model.scorer().calibration()) {
        (Some(rate), _) => rate,
        (None, calibration) if calibration.rows > 0 => calibration.false_alarm_rate,
        (None, _) => bail!("{} has no calibration yet: give its --false-alarm-rate", args.model.display()),
    };
    let mut source = data::open(&args.readings)?;
    // Context values are columns like any other here: the model's, in its order.
    let roles = Roles { label: args.label.clone(), missing: args.missing, ..Roles::default() };
    let needed_by = format!("a feature of {}", args.model.display());
    // As numbers, all of them are in memory: every one calibrates.
    let gathered = Gathered::with_features(&mut *source, &feature_names(&model), &needed_by, &roles, usize::MAX)?;
    let readings = gathered.into_readings()?;

    let told = |error| told(error, &readings);
    let calibrated = recalibrate(&model, &readings.values, rate).map_err(told)?;
    let twin = twin.map(|twin| recalibrate(&twin, &readings.values, rate)).transpose().map_err(told)?;
    let said = assess(&model, &readings.values).map_err(|error| told(error.into()))?;
    let names = [args.model.display().to_string(), readings.file.clone()];
    let report = CalibrationReport::new(names, [&model, &calibrated], &said, readings.incomplete());
    outputs.write(&calibrated, twin.as_ref())?;
    if !args.quiet && args.json.as_deref() != Some(Path::new("-")) {
        print(args, &report, twin.as_ref())?;
    }
    if let Some(json) = json {
        json.write(&to_json(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The error with the line that it is about, and what to do.
fn told(error: RecalibrationError, readings: &Readings) -> Error {
    let file = &readings.file;
    match error {
        RecalibrationError::Scoring(error) => {
            anyhow!("{file}:{}: {}", readings.places.of(error.row), error.reason)
        }
        RecalibrationError::Calibration(error @ CalibrationError::TooFewRows { found, .. }) if found > 0 => {
            let attainable = attainable_rate(found);
            anyhow!("{file}: {error} (record more, or use --false-alarm-rate {attainable} or higher)")
        }
        other => anyhow!("{file}: {other}"),
    }
}

fn print(args: &CalibrateArgs, report: &CalibrationReport, twin: Option<&Model>) -> Result<()> {
    let [model, twin_path, source] = ModelOutputs::paths(&args.out);
    to_stdout(|stdout| {
        write!(stdout, "{report}")?;
        match twin {
            Some(_) => writeln!(stdout, "wrote {}, {} and {}", model.display(), twin_path.display(), source.display()),
            None => writeln!(stdout, "wrote {} and {}", model.display(), source.display()),
        }
    })
}
