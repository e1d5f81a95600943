//! `flowlet score`: a line for every reading.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use flowlet::Assessment;
use flowlet::model_file::MOST_FEATURES;
use flowlet::terms::Order;
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
    let order = match args.terms {
        false => None,
        true => Some(model.order().with_context(|| format!("--terms: {}", args.model.display()))?),
    };
    let (mut rows, mut faults) = (0, 0);
    let mut first = None;
    let mut ended = Ok(());
    to_stdout(|stdout| {
        writeln!(stdout, "row,log_prob,score,p_value,alarm{}", term_columns(&model, order.as_ref()))?;
        ended = for_each_block(&mut *source, |block| {
            for part in score(&model, order.as_ref(), &block, &columns, rows) {
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

/// The names of the terms' columns, as they follow in the header: features in the order of conditioning.
fn term_columns(model: &Model, order: Option<&Order<MOST_FEATURES>>) -> String {
    let Some(order) = order else { return String::new() };
    let names = (0..model.architecture().features).map(|n| &model.metadata().features[order.feature(n)].name);
    names.flat_map(|name| ["log_prob", "z"].map(|what| format!(",{}", quoted(&format!("{name}.{what}"))))).collect()
}

/// A cell of a CSV: in quotes where it has to be.
fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// What the model says of each row of a block behind `before` others, as it is written, in the rows' order.
fn score(
    model: &Model,
    order: Option<&Order<MOST_FEATURES>>,
    block: &Table,
    columns: &[usize],
    before: usize,
) -> Vec<Part> {
    let scorer = model.scorer();
    let features = model.architecture().features;
    let no_terms = ",,".repeat(if order.is_some() { features } else { 0 });
    // Two cells for each feature, in order.
    let terms = |lines: &mut String, numbers: &[f32]| {
        let Some(order) = order else { return Ok(()) };
        let (reading, context) = numbers.split_at(features);
        match scorer.conditional_terms(order, reading, context) {
            Ok(terms) => terms.iter().try_for_each(|term| write!(lines, ",{:?},{:?}", term.log_prob, term.z)),
            // Where one term is infinite and another one the opposite, the score saturates and they have no sense.
            Err(_) => write!(lines, "{no_terms}"),
        }
    };
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
            let written = match (numbers, assessed) {
                (Ok(numbers), Some(Ok(Assessment { log_prob, p_value, alarm }))) => {
                    let alarm = u8::from(alarm);
                    // A number that reads back as the same number, in as few digits as that takes.
                    write!(part.lines, "{number},{log_prob:?},{:?},{p_value:?},{alarm}", -log_prob)
                        .and_then(|()| terms(&mut part.lines, numbers))
                        .and_then(|()| writeln!(part.lines))
                }
                (_, Some(Err(why))) => {
                    part.faults += 1;
                    part.first.get_or_insert_with(|| Fault { row: number, place: block.place(row), why });
                    writeln!(part.lines, "{number},,,,fault{no_terms}")
                }
                _ => unreachable!("every reading is assessed"),
            };
            debug_assert!(written.is_ok(), "a string takes all text");
        }
        part
    };
    let starts: Vec<usize> = (0..block.rows()).step_by(ROWS).collect();
    starts.par_iter().map(part).collect()
}
