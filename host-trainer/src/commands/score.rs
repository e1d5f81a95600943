//! `flowlet score`: a line for every reading.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use anyhow::Result;
use flowlet::Assessment;
use rayon::prelude::*;

use super::files::{feature_names, read_model};
use super::output::to_stdout;
use crate::cli::ScoreArgs;
use crate::data::{self, DataError, Place, Table, for_each_block};
use crate::model::{Model, ROWS};

/// The exit status when some readings could not be scored.
const SOME_NOT_SCORED: u8 = 3;

pub fn run(args: &ScoreArgs) -> Result<ExitCode> {
    let model = read_model(&args.model)?;
    let mut source = data::open(&args.readings)?;
    let columns = source.columns_of(&feature_names(&model), Some(&format!("a feature of {}", args.model.display())))?;
    let file = source.file().to_owned();
    let (mut rows, mut faults) = (0, 0);
    let mut first = None;
    let mut ended = Ok(());
    to_stdout(|stdout| {
        writeln!(stdout, "row,log_prob,score,p_value,alarm")?;
        ended = for_each_block(&mut *source, |block| {
            for part in score(&model, &block, &columns, rows) {
                stdout.write_all(part.lines.as_bytes())?;
                faults += part.faults;
                first = first.take().or(part.first);
            }
            rows += block.rows();
            Ok(())
        });
        match &mut ended {
            // Whoever reads the scores may have left, which is for `to_stdout` to judge.
            Err(Ended::Output(error)) => Err(std::mem::replace(error, io::ErrorKind::Other.into())),
            _ => Ok(()),
        }
    })?;
    if let Err(Ended::Input(error)) = ended {
        return Err(error.into());
    }
    match first {
        None => Ok(ExitCode::SUCCESS),
        Some(Fault { row, place, why }) => {
            eprintln!(
                "warning: {faults} of {rows} readings could not be scored and have `fault` in the alarm column; the first is row {row} ({file}:{place}: {why})",
            );
            Ok(ExitCode::from(SOME_NOT_SCORED))
        }
    }
}

/// Why the scoring ended early.
enum Ended {
    Input(DataError),
    Output(io::Error),
}

impl From<DataError> for Ended {
    fn from(error: DataError) -> Self {
        Self::Input(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A reading that has no score.
struct Fault {
    /// Counted from 1.
    row: usize,
    place: Place,
    why: String,
}

/// The lines of some rows.
#[derive(Default)]
struct Part {
    lines: String,
    faults: usize,
    first: Option<Fault>,
}

/// What the model says of each row of a block behind `before` others, as it is written, in the rows' order.
fn score(model: &Model, block: &Table, columns: &[usize], before: usize) -> Vec<Part> {
    let scorer = model.scorer();
    let part = |start: &usize| {
        let rows = *start..block.rows().min(start + ROWS);
        let numbers: Vec<_> = rows.clone().map(|row| block.numbers(row, columns)).collect();
        // Those that are all numbers, side by side.
        let readings: Vec<&Vec<f32>> = numbers.iter().flatten().collect();
        let mut said = scorer.assess_rows(&readings).into_iter();
        let mut part = Part::default();
        for (row, numbers) in rows.zip(&numbers) {
            let number = before + row + 1;
            let assessed = match numbers {
                Ok(_) => said.next().map(|said| said.map_err(|error| error.to_string())),
                Err(cell) => Some(Err(cell.statement())),
            };
            let written = match assessed {
                Some(Ok(Assessment { log_prob, p_value, alarm })) => {
                    // A number that reads back as the same number, in as few digits as that takes.
                    writeln!(part.lines, "{number},{log_prob:?},{:?},{p_value:?},{}", -log_prob, u8::from(alarm))
                }
                Some(Err(why)) => {
                    part.faults += 1;
                    part.first.get_or_insert_with(|| Fault { row: number, place: block.place(row), why });
                    writeln!(part.lines, "{number},,,,fault")
                }
                None => unreachable!("every reading is assessed"),
            };
            debug_assert!(written.is_ok(), "a string takes all text");
        }
        part
    };
    let starts: Vec<usize> = (0..block.rows()).step_by(ROWS).collect();
    starts.par_iter().map(part).collect()
}
