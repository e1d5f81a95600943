//! `cargo xtask bench quantization`: what int8 weights cost against f32, by data set.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::fitting::{Fitted, fit};
use flowlet_trainer::metrics::{mean, median};
use flowlet_trainer::model::Model;
use flowlet_trainer::quantization::Report;
use flowlet_trainer::report::Measures;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::{Architecture, Family, Options};
use serde::Serialize;

use crate::setup;

/// Of these the one with the higher log-density of the selection rows, with f32 weights, is measured.
const FAMILIES: [Family; 2] = [Family::Spline, Family::MafSpline];

/// Columns that are no features.
const NO_FEATURES: [&str; 3] = ["cycle", "fault", "anomaly"];

/// What marks anomalies.
const LABEL: &str = "anomaly";

/// The share of normal readings that may raise an alarm.
const FALSE_ALARM_RATE: f32 = 0.01;

/// The limit of steps of a quick run.
const QUICK_STEPS: usize = 200;

/// What the command line chose.
pub struct Request {
    /// A folder of data sets beside the bundled one.
    pub data: Option<PathBuf>,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Fits that only show that all works.
    pub quick: bool,
}

/// A data set, its rows divided.
struct Set {
    name: String,
    readings: Readings,
    split: Split,
    calibration: Matrix,
    test: Matrix,
    anomalous: Vec<bool>,
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
    for folder in folders(request.data.as_deref())? {
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

/// The bundled data set, then those of `density` and `anomaly` by their names.
fn folders(data: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut folders = vec![setup::root().join("tests/data/hydraulic")];
    let Some(data) = data else { return Ok(folders) };
    for kind in ["density", "anomaly"] {
        let folder = data.join(kind);
        if !folder.exists() {
            continue;
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        let mut sets = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        sets.retain(|set| set.join("test.csv").exists());
        sets.sort();
        folders.extend(sets);
    }
    ensure!(
        folders.len() > 1,
        "--data {}: has no density/SET/test.csv and no anomaly/SET/test.csv: name the folder that holds `density` or `anomaly`",
        data.display()
    );
    Ok(folders)
}

fn measure(folder: &Path, quick: bool) -> Result<Figure> {
    let set = Set::read(folder)?;
    eprintln!("{}", set.name);
    let mut best: Option<(Family, Fitted)> = None;
    for family in FAMILIES {
        let fitted = set.fit(family, quick)?;
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

impl Set {
    fn read(folder: &Path) -> Result<Self> {
        let training = ["train.csv", "train_normal.csv"].map(|name| folder.join(name));
        let training = training.iter().find(|path| path.exists()).context("has no train.csv")?;
        let mut readings = features(&Table::read(training)?)?;
        let test = Table::read(&folder.join("test.csv"))?;
        let rows: Vec<usize> = (0..test.rows()).collect();
        let mut test_rows = test.matrix(&rows, &test.columns_of(&readings.features, None)?)?;
        let label = test.columns().iter().position(|name| name == LABEL);
        let anomalous = label.map_or(Ok(vec![false; rows.len()]), |label| test.labels(label))?;
        let validation = folder.join("val.csv");
        let (split, calibration) = if validation.exists() {
            // These sets are compared in units of standard deviations.
            let moments = moments(&readings.values);
            let table = Table::read(&validation)?;
            let mut validation = Readings::with_features(&table, &readings.features, &Roles::default())?.values;
            for rows in [&mut readings.values, &mut validation, &mut test_rows] {
                standardize(rows, &moments);
            }
            let (selection, calibration) = (0..validation.rows()).partition::<Vec<_>, _>(|row| row % 2 == 0);
            let split = append(&mut readings, &validation.select(&selection));
            (split, validation.select(&calibration))
        } else {
            let split = Split::new(&readings, &SplitOptions::default())?;
            let calibration = readings.values.select(&split.calibration);
            (split, calibration)
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, readings, split, calibration, test: test_rows, anomalous })
    }

    fn fit(&self, family: Family, quick: bool) -> Result<Fitted> {
        let features = self.readings.features.len();
        let mut options = Options::for_features(features);
        options.architecture = Architecture::of(family, features);
        if quick {
            options.steps = QUICK_STEPS;
        }
        let (readings, split, calibration) = (&self.readings, &self.split, &self.calibration);
        Ok(fit(readings, split, calibration, FALSE_ALARM_RATE, &options, &mut (), &AtomicBool::new(false))?)
    }
}

/// The rows of a table by its features: columns with another meaning and constant ones are left out.
fn features(table: &Table) -> Result<Readings> {
    let rows: Vec<usize> = (0..table.rows()).collect();
    let mut roles = Roles::default();
    for (column, name) in table.columns().iter().enumerate() {
        let other = NO_FEATURES.contains(&name.as_str());
        if other || table.matrix(&rows, &[column])?.values().windows(2).all(|pair| pair[0] == pair[1]) {
            roles.ignore.push(name.clone());
        }
    }
    Ok(Readings::for_fitting(table, &roles)?)
}

/// Adds rows to those of a fit, which are then selected on; the others are trained on.
fn append(readings: &mut Readings, selection: &Matrix) -> Split {
    let (trained, all) = (readings.values.rows(), readings.values.rows() + selection.rows());
    let values = [readings.values.values(), selection.values()].concat();
    readings.values = Matrix::new(all, selection.columns(), values);
    readings.rows = (0..all).collect();
    Split {
        train: (0..trained).collect(),
        selection: (trained..all).collect(),
        calibration: Vec::new(),
        extreme: Vec::new(),
        imputed: Vec::new(),
    }
}

/// Mean and standard deviation of each column.
fn moments(rows: &Matrix) -> Vec<(f64, f64)> {
    let of = |column: usize| {
        let count = rows.rows() as f64;
        let mean = rows.column(column).map(f64::from).sum::<f64>() / count;
        let variance = rows.column(column).map(|value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    };
    (0..rows.columns()).map(of).collect()
}

fn standardize(rows: &mut Matrix, moments: &[(f64, f64)]) {
    for row in rows.values_mut().chunks_exact_mut(moments.len()) {
        for (value, (mean, deviation)) in row.iter_mut().zip(moments) {
            *value = ((f64::from(*value) - mean) / deviation) as f32;
        }
    }
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
