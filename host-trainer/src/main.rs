//! The `flowlet` command.

use std::process::ExitCode;

use clap::Parser;
use flowlet_trainer::cli::Cli;
use flowlet_trainer::commands;

fn main() -> ExitCode {
    commands::run(Cli::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
