//! The commands of `flowlet`, one a file: arguments in, files and reports out.

mod calibrate;
mod checkpoint;
mod eval;
mod eval_groups;
mod features;
mod files;
mod fingerprint;
mod fit;
mod fit_many;
mod held_back;
mod import;
mod inspect;
mod interrupt;
mod model_outputs;
mod monitor;
mod output;
mod progress;
mod replay;
mod sample;
mod score;
mod search;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};

/// Runs a command; the exit status says whether all of its work was done.
///
/// # Errors
/// If it could not be done; the message says what to do.
pub fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Fit(args) => fit::run(&args),
        Command::FitMany(args) => fit_many::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Features(args) => features::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}
