//! `flowlet monitor`: gives a model what a device needs to watch a stream.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};

use super::files::{feature_names, read_model, read_twin};
use super::model_outputs::ModelOutputs;
use super::output::{Output, to_stdout};
use crate::cli::MonitorArgs;
use crate::data::{Readings, Roles, Table};
use crate::layers::Support;
use crate::model::Model;
use crate::model::architecture::Signal;
use crate::monitor::{MonitorError, MonitorOptions, Recording, monitored};
use crate::report::to_json;
use crate::signal::{Others, channel_names, windowed};

pub fn run(args: &MonitorArgs) -> Result<ExitCode> {
    let outputs = ModelOutputs::prepare(&args.out, &[&args.recording])?;
    let json = args.json.as_deref().map(Output::prepare).transpose()?;
    let model = read_model(&args.model)?;
    let twin = read_twin(&args.model, &model);
    let (table, signal) = readings(args, &model)?;
    let roles =
        Roles { label: args.label.clone(), group: args.group.clone(), missing: args.missing, ..Roles::default() };
    let needed_by = format!("a feature of {}", args.model.display());
    let readings = Readings::with_columns(&table, &feature_names(&model), &needed_by, &roles)?;
    let runs = match &readings.groups {
        None => vec![0; readings.values.rows()],
        // Numbered as they come: a name that comes back is another run.
        Some(groups) => {
            let runs = groups.of_rows.chunk_by(|a, b| a == b).enumerate();
            runs.flat_map(|(run, rows)| vec![run; rows.len()]).collect()
        }
    };
    let recording = Recording { readings: readings.values.clone(), runs };
    let options = MonitorOptions {
        budget: args.false_alarms.clone(),
        rate: args.rate.clone(),
        needed: args.needed,
        of: args.of,
        release: args.release,
        faults: args.faults,
        drift: args.adapt,
        drift_bound: args.adapt_bound,
        ranges: ranges(args, &model)?,
    };
    let told = |error| match error {
        MonitorError::Scoring(error) => {
            anyhow!("{}:{}: {}", table.file(), readings.places.of(error.row), error.reason)
        }
        MonitorError::Determined(feature) => {
            let name = &feature_names(&model)[feature];
            anyhow!("{}: column `{name}` is constant, or determined by the others: record more", table.file())
        }
        other => anyhow!("{}: {other}", table.file()),
    };
    let (model, report) = monitored(&model, signal, &recording, &options).map_err(told)?;
    outputs.write(&model, twin.as_ref())?;
    if !args.quiet && args.json.as_deref() != Some(Path::new("-")) {
        to_stdout(|stdout| {
            write!(stdout, "{report}")?;
            let [model, _, source] = ModelOutputs::paths(&args.out);
            writeln!(stdout, "wrote {} and {}", model.display(), source.display())
        })?;
    }
    if let Some(json) = json {
        json.write(&to_json(&report))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The table of readings, and what they are made of.
fn readings(args: &MonitorArgs, model: &Model) -> Result<(Table, Signal)> {
    let table = Table::read(&args.recording)?;
    if args.signal.window.is_none() {
        return Ok((table, Signal::Raw {}));
    }
    let features = &feature_names(model)[..model.architecture().features];
    // As many channels as the features are of.
    let recipe = (1..=features.len()).find_map(|channels| {
        let recipe = args.signal.recipe(channels).ok().flatten()?;
        Some((recipe, channel_names(&recipe, features)?))
    });
    let Some((recipe, channels)) = recipe else {
        // What cannot be computed of any number of channels is wrong in itself.
        if let Err(problem) = args.signal.recipe(features.len()) {
            bail!("{problem}");
        }
        bail!(
            "--window, --hop, --features: {} has other features: {} (give the --window, --hop and --features that its readings were computed with)",
            args.model.display(),
            features.join(", ")
        );
    };
    let kept: Vec<String> = table
        .columns()
        .iter()
        .filter(|name| {
            !channels.contains(name) && Some(*name) != args.label.as_ref() && Some(*name) != args.group.as_ref()
        })
        .cloned()
        .collect();
    table.columns_of(&channels, Some(&format!("a channel of {}", args.model.display())))?;
    let others = Others { label: args.label.as_deref(), group: args.group.as_deref(), kept: &kept };
    let (readings, _) = windowed(&table, &others, |_| Ok(recipe))?;
    Ok((readings, Signal::of(&recipe)))
}

fn ranges(args: &MonitorArgs, model: &Model) -> Result<Vec<(usize, f32, f32)>> {
    let features = &feature_names(model)[..model.architecture().features];
    let range = |(column, support): &(String, Support)| match (features.iter().position(|name| name == column), support)
    {
        (Some(feature), Support::Between(low, high)) => Ok((feature, *low, *high)),
        _ => bail!("--range {column}: is no feature; the features are {}", features.join(", ")),
    };
    args.range.iter().map(range).collect()
}
