//! `flowlet replay`: what a device says of a recorded stream, row for row.

use std::process::ExitCode;

use anyhow::{Context, Result};
use flowlet::monitor::{Fault, State, Suspect};

use super::files::{feature_names, read_model};
use super::output::to_stdout;
use crate::cli::ReplayArgs;
use crate::data::Table;
use crate::monitor::{Replay, Step};
use crate::signal::channel_names;

/// Sensors that are named for an alarm.
const NAMED: usize = 3;

pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let model = read_model(&args.model)?;
    let no_monitor = || format!("{} has no monitor: give it one with `flowlet monitor`", args.model.display());
    let monitor = model.architecture().monitor.with_context(no_monitor)?;
    let names = feature_names(&model);
    let (features, context) = names.split_at(monitor.features);
    let channels = match monitor.signal.recipe() {
        None => features.to_vec(),
        Some(recipe) => channel_names(&recipe, features)
            .with_context(|| format!("{}: its features are not those of its recipe", args.model.display()))?,
    };
    let table = Table::read(&args.stream)?;
    let needed_by = format!("what {} is fed with", args.model.display());
    let channels = table.columns_of(&channels, Some(&needed_by))?;
    let context = table.columns_of(context, Some(&needed_by))?;
    let group = args.group.as_ref().map(|group| table.column(group, Some("--group"))).transpose()?;
    let start = || Replay::new(&model).with_context(no_monitor);
    let mut replay = start()?;
    let (mut alarms, mut faults, mut readings) = (0, 0, 0);
    // What cannot be read is not a number, as it would be on a device.
    let values = |row: usize, columns: &[usize]| -> Vec<f32> {
        columns.iter().map(|column| table.number(row, *column).unwrap_or(f32::NAN)).collect()
    };
    to_stdout(|stdout| {
        writeln!(stdout, "row,state,log_prob,p_value,count,cusum,martingale,sensors")?;
        for row in 0..table.rows() {
            if group.is_some_and(|group| row > 0 && table.text(row, group) != table.text(row - 1, group)) {
                replay = Replay::new(&model).expect("it has a monitor");
            }
            let context = values(row, &context);
            let Some(Step { status, .. }) = replay.push(&values(row, &channels), &context) else { continue };
            readings += 1;
            let (log_prob, p_value) = match &status.outcome {
                Ok(said) => (format!("{:?}", said.log_prob), format!("{:?}", said.p_value)),
                Err(_) => (String::new(), String::new()),
            };
            let entered = status.changed && status.state == State::Alarm;
            alarms += u32::from(entered);
            let sensors = match &status.outcome {
                Err(fault) => {
                    faults += 1;
                    say(fault, features)
                }
                Ok(_) if entered => replay.attribute::<NAMED>(&context).map_or(String::new(), |suspects| {
                    let suspects: Vec<String> = suspects
                        .iter()
                        .filter(|suspect| suspect.ratio > 0.0)
                        .map(|suspect| name(suspect, features))
                        .collect();
                    suspects.join(" ")
                }),
                Ok(_) => String::new(),
            };
            writeln!(
                stdout,
                "{},{},{log_prob},{p_value},{},{:?},{:?},{sensors}",
                row + 1,
                state(status.state),
                status.count,
                status.cusum,
                status.martingale
            )?;
        }
        Ok(())
    })?;
    eprintln!("{readings} readings, {alarms} alarms, {faults} readings without a score");
    if let Some((feature, used)) = replay.drift() {
        let due = if used >= 1.0 { ": fit the model anew" } else { "" };
        eprintln!("drift of `{}` has used up {:.0} % of its bound{due}", features[feature], 100.0 * used);
    }
    Ok(ExitCode::SUCCESS)
}

fn state(state: State) -> &'static str {
    match state {
        State::Normal => "normal",
        State::Suspect => "suspect",
        State::Alarm => "alarm",
        State::SensorFault => "fault",
    }
}

fn name(suspect: &Suspect, features: &[String]) -> String {
    format!("{}{}{:.1}", features[suspect.feature], if suspect.above { "+" } else { "-" }, suspect.ratio)
}

fn say(fault: &Fault, features: &[String]) -> String {
    match fault {
        Fault::OutOfRange { feature } => format!("{} out of range", features[*feature]),
        Fault::Stuck { feature } => format!("{} stuck", features[*feature]),
        Fault::Reading(flowlet::ReadingError::NotFinite { feature }) => format!("{} not finite", features[*feature]),
        Fault::Reading(error) => error.to_string().replace(',', ";"),
    }
}
