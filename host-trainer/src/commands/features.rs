//! `flowlet features`: from samples to readings, as the device computes them.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::output::to_stdout;
use crate::cli::FeaturesArgs;
use crate::data::Table;
use crate::signal::{Others, windowed};

pub fn run(args: &FeaturesArgs) -> Result<ExitCode> {
    if args.signal.window.is_none() {
        bail!("--window: expected the samples of a window (and what is computed of it with --features)");
    }
    let table = Table::read(&args.samples)?;
    let others = Others { label: args.label.as_deref(), group: args.group.as_deref(), kept: &args.keep };
    let recipe = |channels| args.signal.recipe(channels).map(|recipe| recipe.expect("windows were asked for"));
    let (readings, _) = windowed(&table, &others, recipe)?;
    to_stdout(|stdout| {
        let mut writer = csv::Writer::from_writer(stdout);
        writer.write_record(readings.columns())?;
        for row in 0..readings.rows() {
            writer.write_record((0..readings.columns().len()).map(|column| readings.text(row, column).into_owned()))?;
        }
        writer.flush()?;
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
