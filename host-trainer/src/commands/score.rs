//! `flowlet score`: a line for every reading.

use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use flowlet::Assessment;
use flowlet::model_file::MOST_FEATURES;
use flowlet::monitor::marginal_log_prob;
use flowlet::terms::Order;
use rayon::prelude::*;

use super::files::{feature_names, read_model};
use super::output::to_stdout;
use crate::cli::ScoreArgs;
use crate::data::{self, DataError, Place, Table, for_each_block};
use crate::model::{Model, ROWS, Scorer};

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
    if args.marginal && model.architecture().monitor.is_none() {
        bail!(
            "--marginal: {} has no monitor, which knows what features suggest of each other: give it one with `flowlet monitor`",
            args.model.display()
        );
    }
    let scoring = Scoring { model: &model, order: order.as_ref(), columns: &columns, is_marginal: args.marginal };
    let (mut rows, mut partial, mut faults) = (0, 0, 0);
    let mut first = None;
    let mut ended = Ok(());
    to_stdout(|stdout| {
        writeln!(stdout, "row,log_prob,score,p_value,alarm{}", term_columns(&model, order.as_ref()))?;
        ended = for_each_block(&mut *source, |block| {
            for part in scoring.score(&block, rows) {
                stdout.write_all(part.lines.as_bytes())?;
                partial += part.partial;
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
    if partial > 0 {
        eprintln!(
            "note: {partial} of {rows} readings lack one feature and have the log-density of the others: `partial` in the alarm column, and no p-value"
        );
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
    /// Readings scored without one of their features.
    partial: usize,
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

/// What every row is scored by.
struct Scoring<'a> {
    model: &'a Model,
    /// Whether terms are written, and in which order.
    order: Option<&'a Order<MOST_FEATURES>>,
    columns: &'a [usize],
    /// Whether readings that lack one feature are scored by the others.
    is_marginal: bool,
}

impl Scoring<'_> {
    /// What the model says of each row of a block behind `before` others, as it is written, in the rows' order.
    fn score(&self, block: &Table, before: usize) -> Vec<Part> {
        let scorer = self.model.scorer();
        let starts: Vec<usize> = (0..block.rows()).step_by(ROWS).collect();
        let part = |start: &usize| self.part(&scorer, block, *start..block.rows().min(start + ROWS), before);
        starts.par_iter().map(part).collect()
    }

    fn part(&self, scorer: &Scorer<'_>, block: &Table, rows: Range<usize>, before: usize) -> Part {
        let numbers: Vec<_> = rows.clone().map(|row| block.numbers(row, self.columns)).collect();
        // Those that are all numbers, side by side.
        let readings: Vec<&[f32]> = numbers.iter().flatten().map(Vec::as_slice).collect();
        let mut said = Vec::with_capacity(readings.len());
        scorer.assess_rows(readings.into_iter(), |one| said.push(one));
        let mut said = said.into_iter();
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
                        .and_then(|()| self.write_terms(scorer, numbers, &mut part.lines))
                        .and_then(|()| writeln!(part.lines))
                }
                (_, Some(Err(why))) => match self.marginal(scorer, block, row) {
                    Some(log_prob) => {
                        part.partial += 1;
                        writeln!(part.lines, "{number},{log_prob:?},{:?},,partial{}", -log_prob, self.no_terms())
                    }
                    None => {
                        part.faults += 1;
                        part.first.get_or_insert_with(|| Fault { row: number, place: block.place(row), why });
                        writeln!(part.lines, "{number},,,,fault{}", self.no_terms())
                    }
                },
                _ => unreachable!("every reading is assessed"),
            };
            debug_assert!(written.is_ok(), "a string takes all text");
        }
        part
    }

    /// The log-density of a row that lacks one feature and nothing else; `None` for others.
    fn marginal(&self, scorer: &Scorer<'_>, block: &Table, row: usize) -> Option<f32> {
        let settings = scorer.monitor().filter(|_| self.is_marginal)?;
        let mut missing = self.columns.iter().enumerate().filter(|(_, column)| block.is_missing(row, **column));
        let (missing, more) = (missing.next()?.0, missing.next());
        let features = self.model.architecture().features;
        if more.is_some() || missing >= features {
            return None;
        }
        let value = |(index, column): (usize, &usize)| {
            // Whatever stands there.
            if index == missing { Ok(settings.mean[missing]) } else { block.number(row, *column) }
        };
        let numbers: Vec<f32> = self.columns.iter().enumerate().map(value).collect::<Result<_, _>>().ok()?;
        let (reading, context) = numbers.split_at(features);
        marginal_log_prob(settings, &mut reading.to_vec(), missing, |reading| scorer.log_prob(reading, context)).ok()
    }

    /// Two cells for each feature, in order.
    fn write_terms(&self, scorer: &Scorer<'_>, numbers: &[f32], lines: &mut String) -> std::fmt::Result {
        let Some(order) = self.order else { return Ok(()) };
        let (reading, context) = numbers.split_at(self.model.architecture().features);
        match scorer.conditional_terms(order, reading, context) {
            Ok(terms) => terms.iter().try_for_each(|term| write!(lines, ",{:?},{:?}", term.log_prob, term.z)),
            // Where one term is infinite and another one the opposite, the score saturates and they have no sense.
            Err(_) => write!(lines, "{}", self.no_terms()),
        }
    }

    fn no_terms(&self) -> String {
        ",,".repeat(if self.order.is_some() { self.model.architecture().features } else { 0 })
    }
}
