//! `cargo xtask bench costs`: the cost model of `flowlet fit --flash`: what it is made from, and how far off it is.

mod regression;
mod shapes;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flowlet_tests::costs::{self, HELD_OUT, POINTS, Score, Shape};
use flowlet_tests::emulator::{Board, Image};
use flowlet_trainer::cost::work::{self, Work};
use flowlet_trainer::cost::{Coefficients, TOLERANCE, Target, estimate};
use serde::{Deserialize, Serialize};

use crate::setup;
use regression::prices;

/// The boards whose predictions are held to the tolerance: with and without an FPU. On others they are shown.
const CHECKED: [Board; 2] = [Board::Mps2An386, Board::Microbit];

/// A measured shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Figure {
    core: String,
    shape: Shape,
    score: Score,
}

/// What was chosen on the command line.
pub struct Request {
    /// Figures, to which those that are missing are added.
    pub json: PathBuf,
    /// Fits the coefficients anew.
    pub write: bool,
    /// Fails if a prediction is too far off.
    pub check: bool,
}

/// Measures what is missing, fits coefficients, or compares predictions with counts.
pub fn run(request: &Request) -> Result<()> {
    if request.write {
        let mut figures = read(&request.json)?;
        for board in boards() {
            measure(board, &shapes::fitted(), &mut figures, Some(&request.json))?;
        }
        return write(&figures);
    }
    let mut worst = Vec::new();
    println!("| core | shape | instructions | predicted | error | code | predicted | error | stack | RAM |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    for board in boards() {
        let mut figures = Vec::new();
        measure(board, HELD_OUT, &mut figures, None)?;
        for Figure { core, shape, score } in figures {
            let cost = estimate(&shape.architecture().to_core(), Some(target(board)))?;
            let predicted = cost.on_target.context("a target was given")?;
            let error = |predicted: u64, counted: f64| predicted as f64 / counted - 1.0;
            let errors = [
                error(predicted.instructions, score.instructions),
                error(predicted.code_bytes, score.code_bytes as f64),
            ];
            println!(
                "| {core} | `{shape}` | {:.0} | {} | {:+.1} % | {} | {} | {:+.1} % | {} | {} |",
                score.instructions,
                predicted.instructions,
                100.0 * errors[0],
                score.code_bytes,
                predicted.code_bytes,
                100.0 * errors[1],
                score.stack_bytes,
                cost.ram_bytes,
            );
            if CHECKED.contains(&board) && errors.iter().any(|error| error.abs() > TOLERANCE) {
                worst.push(format!("{shape} on {core}"));
            }
        }
    }
    ensure!(
        worst.is_empty() || !request.check,
        "predictions are off by more than {:.0} %: {}. Measure and fit them anew: `cargo xtask bench costs --write`",
        100.0 * TOLERANCE,
        worst.join(", ")
    );
    Ok(())
}

/// The boards, but for the Cortex-M7, which runs the Cortex-M4F's firmware.
fn boards() -> impl Iterator<Item = Board> {
    Board::ALL.into_iter().filter(|board| *board != Board::Mps2An500)
}

fn target(board: Board) -> Target {
    match board {
        Board::Mps2An386 => Target::CortexM4,
        Board::Mps2An500 => Target::CortexM7,
        Board::Mps2An505 => Target::CortexM33,
        Board::Mps2An385 => Target::CortexM3,
        Board::Microbit => Target::CortexM0,
        Board::Virt => Target::Riscv32imc,
    }
}

/// Adds figures of shapes that have none yet, and writes them where it says.
fn measure(board: Board, shapes: &[Shape], figures: &mut Vec<Figure>, path: Option<&Path>) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary directory")?;
    // By the number of features: firmware without scoring differs by nothing else.
    let mut baselines: BTreeMap<usize, Image> = BTreeMap::new();
    for &shape in shapes {
        if figures.iter().any(|figure| figure.shape == shape && figure.core == board.core()) {
            continue;
        }
        eprintln!("{}: {shape}", board.core());
        let model = shape.model()?;
        let linked = |baseline| costs::firmware(board, &model, baseline, folder.path());
        let baseline = match baselines.entry(shape.features) {
            Entry::Occupied(built) => built.into_mut(),
            Entry::Vacant(missing) => missing.insert(linked(true)?),
        };
        let score =
            costs::score(&model, &linked(false)?, baseline, POINTS).with_context(|| format!("{shape} on {board}"))?;
        figures.push(Figure { core: board.core().to_owned(), shape, score });
        if let Some(path) = path {
            let text = serde_json::to_string_pretty(figures)? + "\n";
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Figure>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Fits the coefficients of all cores and writes them to where the trainer reads them when it is built.
fn write(figures: &[Figure]) -> Result<()> {
    let mut all = BTreeMap::new();
    let fitted = shapes::fitted();
    for board in boards() {
        let of_board = figures.iter().filter(|figure| figure.core == board.core() && fitted.contains(&figure.shape));
        let of_board: Vec<_> = of_board.map(|figure| (figure.shape.architecture().to_core(), figure.score)).collect();
        if of_board.is_empty() {
            bail!("there are no figures of {board}");
        }
        let rows = |of: fn(&flowlet::model_file::Architecture) -> Work, total: fn(&Score) -> f64| -> Work {
            prices(&of_board.iter().map(|(architecture, score)| (of(architecture), total(score))).collect::<Vec<_>>())
        };
        let coefficients = Coefficients {
            instructions: rows(work::of_score, |score| score.instructions),
            code_bytes: rows(work::of_code, |score| score.code_bytes as f64),
        };
        all.insert(target(board), coefficients);
    }
    let path = setup::root().join("host-trainer/src/cost/coefficients.json");
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
