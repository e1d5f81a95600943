//! Readings a second in scoring, by family and number format, with the device's bits.

use std::hint::black_box;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, Table};
use flowlet_trainer::fitting::fit;
use flowlet_trainer::model::Model;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::Family;
use serde::Serialize;

use super::{FEATURES, ROWS, train};

/// Passes over the readings, of which the fastest counts.
const PASSES: usize = 100;
/// Steps of the fit: the weights have to be some weights.
const STEPS: usize = 200;
/// Readings that are calibrated on.
const CALIBRATION_ROWS: usize = 2048;
/// Readings whose bits are compared with those of one reading after the other.
const COMPARED: usize = 1000;

/// What one family gave: readings a second, from the raw reading to the p-value and the alarm.
#[derive(Serialize)]
pub struct Scoring {
    pub family: String,
    pub f32: f64,
    pub int8: f64,
    /// int8 on one core, one reading after the other by the core's own layers.
    pub one_by_one: f64,
}

pub fn measure(family: Family, name: String, rows: &Matrix) -> Result<Scoring> {
    let all: Vec<usize> = (0..rows.rows()).collect();
    let (selection, training) = all.split_at(CALIBRATION_ROWS);
    let split = Split { train: training.to_vec(), selection: selection.to_vec(), ..Split::default() };
    let readings = Readings::for_fitting(&table(rows)?, &Roles::default())?;
    let mut options = train::options(family);
    options.steps = STEPS;
    let fitted = fit(&readings, &split, &rows.select(selection), 0.01, &options, &mut (), &AtomicBool::new(false))?;
    for model in [&fitted.model, &fitted.twin] {
        let scorer = model.scorer();
        let said = assess(model, &rows.select(&all[..COMPARED]))?;
        for (row, said) in said.iter().enumerate() {
            let alone = scorer.assess(rows.row(row), &[]).with_context(|| format!("reading {row}"))?;
            ensure!(alone == *said, "reading {row} of `{name}` has other bits among others than alone");
        }
    }
    let scorer = fitted.model.scorer();
    let one_by_one = rate(COMPARED, || {
        for row in 0..COMPARED {
            black_box(scorer.assess(rows.row(row), &[]))?;
        }
        Ok(())
    })?;
    let many = |model: &Model| {
        rate(ROWS, || {
            black_box(assess(model, rows)?);
            Ok(())
        })
    };
    Ok(Scoring { family: name, f32: many(&fitted.twin)?, int8: many(&fitted.model)?, one_by_one })
}

/// The rows as a user would have them.
fn table(rows: &Matrix) -> Result<Table> {
    let line = |values: Vec<String>| values.join(",") + "\n";
    let header = line((0..FEATURES).map(|feature| format!("x{feature}")).collect());
    let lines = rows.iter_rows().map(|row| line(row.iter().map(|value| format!("{value:?}")).collect()));
    Ok(Table::parse("the fixed job", [header].into_iter().chain(lines).collect::<String>().as_bytes())?)
}

/// Readings a second, in the fastest of some passes.
fn rate(readings: usize, pass: impl Fn() -> Result<()>) -> Result<f64> {
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        let start = Instant::now();
        pass()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    Ok(readings as f64 / fastest)
}
