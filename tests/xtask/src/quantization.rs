//! `cargo xtask bench quantization`: what int8 weights cost against f32, by data set.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flowlet_trainer::fitting::Fitted;
use flowlet_trainer::metrics::{mean, median};
use flowlet_trainer::model::Model;
use flowlet_trainer::quantization::Report;
use flowlet_trainer::report::Measures;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::{Architecture, Family};
use serde::Serialize;

use crate::sets::{self, Set};

/// Of these the one with the higher log-density of the selection rows, with f32 weights, is measured.
const FAMILIES: [Family; 2] = [Family::Spline, Family::MafSpline];

/// What the command line chose.
pub struct Request {
    /// A folder of data sets beside the bundled one.
    pub data: Option<PathBuf>,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Fits that only show that all works.
    pub quick: bool,
}

/// What one data set gave: of the test rows, and in `quantization` of the selection rows.
#[derive(Serialize)]
struct Figure {
    set: String,
    family: Family,
    f32: Measures,
    int8: Measures,
    /// Mean over the normal test rows of the change in log-density, in nats.
    mean_change: f64,
    /// Its median.
    median_change: f64,
    quantization: Report,
}

/// Fits every data set, measures both models on its test rows, and prints a table.
pub fn run(request: &Request) -> Result<()> {
    let mut figures = Vec::new();
    println!("{HEAD}");
    for folder in sets::folders(request.data.as_deref())? {
        let figure = measure(&folder, request.quick).with_context(|| folder.display().to_string())?;
        println!("{}", row(&figure));
        figures.push(figure);
    }
    if let Some(path) = &request.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn measure(folder: &Path, quick: bool) -> Result<Figure> {
    let set = Set::read(folder, 0)?;
    eprintln!("{}", set.name);
    let mut best: Option<(Family, Fitted)> = None;
    for family in FAMILIES {
        let architecture = Architecture::of(family, set.features());
        let fitted = set.fit(architecture, quick)?;
        let better = |(_, best): &(Family, Fitted)| fitted.summary.validation_loss < best.summary.validation_loss;
        if best.as_ref().is_none_or(better) {
            best = Some((family, fitted));
        }
    }
    let (family, fitted) = best.context("there are families")?;
    let said = |model: &Model| assess(model, &set.test);
    let (int8, f32) = (said(&fitted.model)?, said(&fitted.twin)?);
    let normal = (0..set.test.rows()).filter(|row| !set.anomalous[*row]);
    let changes: Vec<f32> = normal.map(|row| int8[row].log_prob - f32[row].log_prob).collect();
    Ok(Figure {
        family,
        f32: Measures::new(&f32, &set.anomalous),
        int8: Measures::new(&int8, &set.anomalous),
        mean_change: mean(&changes).context("no normal row")?,
        median_change: median(&changes).context("no normal row")?,
        quantization: fitted.quantization,
        set: set.name,
    })
}

const HEAD: &str = "\
| set | family | mean nats, f32 | int8 | change | median nats, f32 | int8 | change | AUROC, f32 | int8 | change | false alarms, f32 | int8 |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

fn row(figure: &Figure) -> String {
    let Figure { set, f32, int8, mean_change, median_change, .. } = figure;
    let family = match figure.family {
        Family::MafSpline => "maf-spline",
        _ => "spline",
    };
    let nats = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    let percent = |value: Option<f64>| value.map_or(String::new(), |value| format!("{:.2} %", 100.0 * value));
    let auroc = f32.auroc.zip(int8.auroc).map_or(String::new(), |(f32, int8)| format!("{:+.4}", int8 - f32));
    format!(
        "| {set} | `{family}` | {} | {} | {mean_change:+.4} | {} | {} | {median_change:+.4} | {} | {} | {auroc} | {} | {} |",
        nats(f32.mean_log_prob),
        nats(int8.mean_log_prob),
        nats(f32.median_log_prob),
        nats(int8.median_log_prob),
        nats(f32.auroc),
        nats(int8.auroc),
        percent(f32.false_alarm_rate),
        percent(int8.false_alarm_rate),
    )
}
