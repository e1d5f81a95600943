//! `cargo xtask bench`: what things cost.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flowlet_jobs::COSTS;
use flowlet_tests::emulator::{Backend, Board, Build, Options, build};
use flowlet_tests::jobs::{Task, on_device, ordinary_point};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;

/// Points that a count is the mean of: elementary functions take a few instructions more or less.
const POINTS: usize = 20;

/// What one evaluation costs.
#[derive(Serialize)]
struct Figure {
    core: &'static str,
    what: &'static str,
    features: usize,
    /// Mean over the points, the call itself not counted.
    instructions: f64,
    /// Bytes.
    stack: u32,
    /// Bytes.
    parameters: usize,
    /// Multiply-accumulates of the nets, padding included.
    macs: usize,
}

/// Counts the instructions of [`COSTS`], and prints them as tables.
pub fn cost(json: Option<&Path>) -> Result<()> {
    let mut figures = Vec::new();
    for board in Board::ALL {
        figures.extend(count(board)?);
    }
    println!("{}", markdown(&figures));
    if let Some(path) = json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The figures of one core. What has no room there is left out.
fn count(board: Board) -> Result<Vec<Figure>> {
    let firmware = build(&Build { board, example: Some("cost"), ..Build::default() })?;
    let mut tasks = Task::all(COSTS, POINTS, ordinary_point, &mut ChaCha8Rng::seed_from_u64(0));
    tasks.retain(|task| task.size() <= board.buffer());
    let counted = Options { count: Some("flowlet_evaluate".to_owned()), ..Options::default() };
    let (results, outcome) = on_device(Backend::Rsemu, &firmware, &tasks, &counted)?;
    let expected: usize = tasks.iter().map(Task::points).sum();
    ensure!(outcome.calls.len() == expected, "{} calls were counted, expected {expected}", outcome.calls.len());

    let (mut calls, mut besides) = (outcome.calls.iter(), 0.0);
    let mut figures = Vec::new();
    for (task, results) in tasks.iter().zip(&results) {
        ensure!(task.on_host() == *results, "{board} differs from the host: {}", task.job.name);
        let calls: Vec<_> = calls.by_ref().take(task.points()).collect();
        let instructions = calls.iter().map(|call| call.instructions as f64).sum::<f64>() / calls.len() as f64;
        if task.job.name == "nothing" {
            besides = instructions;
            continue;
        }
        figures.push(Figure {
            core: board.core(),
            what: task.job.name,
            features: task.job.features,
            instructions: instructions - besides,
            stack: calls.iter().map(|call| call.stack).max().unwrap_or(0),
            parameters: task.size(),
            macs: task.job.schema.macs(),
        });
    }
    Ok(figures)
}

/// A table for each core: a row for each kind, a column for each number of features.
fn markdown(figures: &[Figure]) -> String {
    let mut text = String::new();
    for core in distinct(figures.iter().map(|figure| figure.core)) {
        let of_core: Vec<_> = figures.iter().filter(|figure| figure.core == core).collect();
        let features = distinct(of_core.iter().map(|figure| figure.features));
        let heads: String = features.iter().map(|features| format!(" D = {features} |")).collect();
        text += &format!("| {core} |{heads}\n|---|{}\n", "---:|".repeat(features.len()));
        for what in distinct(of_core.iter().map(|figure| figure.what)) {
            let cell = |features: &usize| {
                let figure = of_core.iter().find(|figure| figure.what == what && figure.features == *features);
                figure.map_or(" |".to_owned(), |figure| format!(" {} |", grouped(figure.instructions)))
            };
            text += &format!("| {what} |{}\n", features.iter().map(cell).collect::<String>());
        }
        text += "\n";
    }
    text.truncate(text.trim_end().len());
    text
}

/// The values in the order in which they first come.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
