//! `cargo xtask bench device`: what kernels, a whole score and a watched stream cost on emulated devices.

mod models;
mod stream;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use flowlet_jobs::{ELEMENTARY, Job, KERNELS};
use flowlet_tests::costs::{self, Mean};
use flowlet_tests::emulator::{Backend, Board, Build, Image, Options, build};
use flowlet_tests::jobs::{Task, on_device, ordinary_point};
use flowlet_trainer::model::Model;
use models::{Counted, MODELS};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::setup;

/// Points that a count is of.
const POINTS: usize = 200;

/// By how much a figure may grow over the committed one.
const TOLERANCE: f64 = 0.02;

/// What one thing costs on one device.
#[derive(Serialize, Deserialize)]
struct Figure {
    what: String,
    target: String,
    core: String,
    emulator: String,
    /// Mean over the points.
    instructions: f64,
    instructions_max: u64,
    /// Mean over the points, by the emulator's model.
    modelled_cycles: f64,
    /// Multiply-accumulates, padding included.
    macs: usize,
    /// Flash for code and constants; of a score only.
    code_bytes: Option<i64>,
    model_bytes: usize,
    stack_bytes: u32,
    /// RAM for variables: of a stream, its state.
    static_bytes: i64,
}

/// What was chosen on the command line.
pub struct Request {
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Figures that none may exceed.
    pub check: Option<PathBuf>,
    /// Only devices with these cores; all of them if there are none.
    pub cores: Vec<String>,
}

/// What can be chosen.
pub fn cores() -> [&'static str; Board::ALL.len()] {
    Board::ALL.map(Board::core)
}

/// Counts, prints tables, and compares.
pub fn bench(request: &Request) -> Result<()> {
    let mut figures = Vec::new();
    let path = setup::root().join("firmware/model/rig.flow");
    let file = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let committed = Model::from_bytes(&file).with_context(|| path.display().to_string())?;
    let is_counted = |core: &str| request.cores.is_empty() || request.cores.iter().any(|counted| counted == core);
    for board in Board::ALL.into_iter().filter(|board| is_counted(board.core())) {
        figures.extend(alone(board, "kernels", KERNELS, POINTS)?);
        let firmware = build(&Build { board, ..Build::default() })?;
        let baseline = build(&Build { board, baseline: true, ..Build::default() })?;
        figures.push(score(board, "score coupling int8", &committed, &firmware, &baseline)?);
        // The Cortex-M7 runs the Cortex-M4F's firmware.
        if board != Board::Mps2An500 {
            figures.extend(others(board)?);
        }
        if in_full(board) {
            figures.extend(alone(board, "elementary", ELEMENTARY, POINTS)?);
        }
        figures.extend(stream::figures(board)?);
    }
    println!("{}", markdown(&figures));
    if let Some(path) = &request.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    request.check.as_deref().map_or(Ok(()), |path| compare(&figures, path, is_counted))
}

/// Every job alone on one board, at so many points; what the call costs besides is subtracted.
fn alone(board: Board, example: &'static str, jobs: &'static [&'static [Job]], points: usize) -> Result<Vec<Figure>> {
    let firmware = build(&Build { board, example: Some(example), ..Build::default() })?;
    let tasks = Task::all(jobs, points, ordinary_point, &mut ChaCha8Rng::seed_from_u64(0));
    let counted = Options { count: Some("flowlet_evaluate".to_owned()), ..Options::default() };
    let (results, outcome) = on_device(Backend::Rsemu, &firmware, &tasks, &counted)?;
    let mut calls = outcome.calls.chunks_exact(points);
    let mut figures = Vec::new();
    for (pair, results) in tasks.chunks_exact(2).zip(results.chunks_exact(2)) {
        let [_, task] = pair else { bail!("a job has none for what it costs besides") };
        ensure!(task.on_host() == results[1], "{board} differs from the host: {}", task.job.name);
        let (Some(besides), Some(calls)) = (calls.next(), calls.next()) else { bail!("calls were not counted") };
        let besides = Mean::of(besides);
        let mean = Mean::of(calls);
        figures.push(Figure {
            what: task.job.name.to_owned(),
            target: board.target().to_owned(),
            core: board.core().to_owned(),
            emulator: Backend::Rsemu.to_string(),
            instructions: mean.instructions - besides.instructions,
            instructions_max: mean.most - besides.instructions as u64,
            modelled_cycles: mean.cycles - besides.cycles,
            macs: task.job.schema.macs(),
            code_bytes: None,
            model_bytes: task.size(),
            stack_bytes: mean.stack - besides.stack,
            static_bytes: 0,
        });
    }
    Ok(figures)
}

/// Whether all families and functions are counted on a board: one with, two without an FPU.
fn in_full(board: Board) -> bool {
    matches!(board, Board::Mps2An386 | Board::Microbit | Board::Virt)
}

/// Scores of other models on one board.
fn others(board: Board) -> Result<Vec<Figure>> {
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    let mut baseline = None;
    let counted = MODELS.iter().filter(|counted| counted.everywhere || in_full(board));
    let figure = |counted: &Counted| {
        let model = counted.model()?;
        let linked = |baseline| costs::firmware(board, &model, baseline, directory.path());
        // All models have the same features, so their firmware without scoring is the same.
        let baseline = match &mut baseline {
            Some(baseline) => baseline,
            none => none.insert(linked(true)?),
        };
        score(board, counted.what, &model, &linked(false)?, baseline)
    };
    counted.map(figure).collect()
}

/// A score, p-value included, which the firmware has and the baseline has not.
fn score(board: Board, what: &str, model: &Model, firmware: &Image, baseline: &Image) -> Result<Figure> {
    let score = costs::score(model, firmware, baseline, POINTS).with_context(|| what.to_owned())?;
    Ok(Figure {
        what: what.to_owned(),
        target: board.target().to_owned(),
        core: board.core().to_owned(),
        emulator: Backend::Rsemu.to_string(),
        instructions: score.instructions,
        instructions_max: score.instructions_max,
        modelled_cycles: score.modelled_cycles,
        macs: model.core().macs(),
        code_bytes: Some(score.code_bytes),
        model_bytes: score.model_bytes,
        stack_bytes: score.stack_bytes,
        static_bytes: score.static_bytes,
    })
}

/// A table for each target.
fn markdown(figures: &[Figure]) -> String {
    let mut text = String::new();
    for board in Board::ALL {
        let mut counted = figures.iter().filter(|figure| figure.core == board.core()).peekable();
        if counted.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            text,
            "| {} | instructions | most | a multiply-accumulate | modelled cycles | a multiply-accumulate | code | model | stack | state |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
            board.core()
        );
        for figure in counted {
            let a_mac = |value: f64| match figure.macs {
                0 => String::new(),
                macs => format!("{:.2}", value / macs as f64),
            };
            let _ = writeln!(
                text,
                "| {} | {:.0} | {} | {} | {:.0} | {} | {} | {} | {} | {} |",
                figure.what,
                figure.instructions,
                figure.instructions_max,
                a_mac(figure.instructions),
                figure.modelled_cycles,
                a_mac(figure.modelled_cycles),
                figure.code_bytes.map_or(String::new(), |bytes| bytes.to_string()),
                figure.model_bytes,
                figure.stack_bytes,
                if figure.static_bytes == 0 { String::new() } else { figure.static_bytes.to_string() },
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Fails if a figure of a core that was counted is above the committed one by more than the tolerance.
fn compare(figures: &[Figure], path: &Path, is_counted: impl Fn(&str) -> bool) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let committed: Vec<Figure> = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let mut worse = Vec::new();
    for committed in committed.iter().filter(|figure| is_counted(&figure.core)) {
        let same = |figure: &&Figure| figure.what == committed.what && figure.core == committed.core;
        let Some(found) = figures.iter().find(same) else {
            bail!("{} has {} on {}, which was not measured", path.display(), committed.what, committed.core);
        };
        let code = |figure: &Figure| figure.code_bytes.unwrap_or(0) as f64;
        for (name, now, before) in [
            ("instructions", found.instructions, committed.instructions),
            ("code_bytes", code(found), code(committed)),
            ("stack_bytes", f64::from(found.stack_bytes), f64::from(committed.stack_bytes)),
            ("static_bytes", found.static_bytes as f64, committed.static_bytes as f64),
        ] {
            if now > before * (1.0 + TOLERANCE) {
                worse.push(format!("{} on {}: {name} {now:.0}, was {before:.0}", found.what, found.core));
            }
        }
    }
    ensure!(
        worse.is_empty(),
        "worse than {} by more than {:.0} %:\n{}\nIf that is meant to be, write the file again: \
         `cargo xtask bench device --json {}`",
        path.display(),
        100.0 * TOLERANCE,
        worse.join("\n"),
        path.display()
    );
    Ok(())
}
