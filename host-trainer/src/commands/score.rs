//! `flowlet score`: a line for every reading.

use std::process::ExitCode;

use anyhow::Result;
use flowlet::Assessment;
use rayon::prelude::*;

use super::files::{feature_names, read_model};
use super::output::to_stdout;
use crate::cli::ScoreArgs;
use crate::data::Table;
use crate::model::Model;

/// The exit status when some readings could not be scored.
const SOME_NOT_SCORED: u8 = 3;

pub fn run(args: &ScoreArgs) -> Result<ExitCode> {
    let model = read_model(&args.model)?;
    let table = Table::read(&args.readings)?;
    let columns = table.columns_of(&feature_names(&model), Some(&format!("a feature of {}", args.model.display())))?;
    let assessments = assess(&model, &table, &columns);
    to_stdout(|stdout| {
        writeln!(stdout, "row,log_prob,score,p_value,alarm")?;
        for (row, assessment) in (1..).zip(&assessments) {
            match assessment {
                Ok(Assessment { log_prob, p_value, alarm }) => {
                    // A number that reads back as the same number, in as few digits as that takes.
                    writeln!(stdout, "{row},{log_prob:?},{:?},{p_value:?},{}", -log_prob, u8::from(*alarm))?;
                }
                Err(_) => writeln!(stdout, "{row},,,,fault")?,
            }
        }
        Ok(())
    })?;
    let mut faults = assessments.iter().enumerate().filter_map(|(row, said)| said.as_ref().err().map(|why| (row, why)));
    match faults.next() {
        None => Ok(ExitCode::SUCCESS),
        Some((row, why)) => {
            eprintln!(
                "warning: {} of {} readings could not be scored and have `fault` in the alarm column; the first is row {} ({}:{}: {why})",
                1 + faults.count(),
                assessments.len(),
                row + 1,
                table.file(),
                table.line(row),
            );
            Ok(ExitCode::from(SOME_NOT_SCORED))
        }
    }
}

/// What the model says of each row, or why it can say nothing.
fn assess(model: &Model, table: &Table, columns: &[usize]) -> Vec<Result<Assessment, String>> {
    let scorer = model.scorer();
    let assess = |row| {
        let reading = table.numbers(row, columns).map_err(|cell| cell.statement())?;
        // As many numbers as there are columns.
        let (reading, context) = reading.split_at(model.architecture().features);
        scorer.assess(reading, context).map_err(|error| error.to_string())
    };
    (0..table.rows()).into_par_iter().map(assess).collect()
}
