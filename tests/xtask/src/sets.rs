//! Data sets that fits are compared on: folders of tables.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, ensure};
use flowlet_trainer::data::{Matrix, Readings, Roles, Split, SplitOptions, Table, quantization_steps};
use flowlet_trainer::fitting::{Fitted, fit};
use flowlet_trainer::train::{Architecture, Options};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::setup;

/// Columns that are no features.
const NO_FEATURES: [&str; 3] = ["cycle", "fault", "anomaly"];

/// What marks anomalies.
const LABEL: &str = "anomaly";

/// The share of normal readings that may raise an alarm.
const FALSE_ALARM_RATE: f32 = 0.01;

/// The limit of steps of a quick run.
const QUICK_STEPS: usize = 200;

/// A data set, its rows divided.
pub struct Set {
    pub name: String,
    /// What divides the rows, and what a fit begins from.
    seed: u64,
    readings: Readings,
    split: Split,
    calibration: Matrix,
    pub test: Matrix,
    pub anomalous: Vec<bool>,
}

/// The bundled data set, then those of `density` and `anomaly` by their names.
pub fn folders(data: Option<&Path>) -> Result<Vec<PathBuf>> {
    let mut folders = vec![setup::root().join("tests/data/hydraulic")];
    let Some(data) = data else { return Ok(folders) };
    for kind in ["density", "anomaly"] {
        let folder = data.join(kind);
        if folder.exists() {
            folders.extend(of_kind(&folder)?);
        }
    }
    ensure!(
        folders.len() > 1,
        "--data {}: has no density/SET/test.csv and no anomaly/SET/test.csv: name the folder that holds `density` or `anomaly`",
        data.display()
    );
    Ok(folders)
}

/// The sets in a folder, by their names.
pub fn of_kind(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut sets = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    sets.retain(|set| set.join("test.csv").exists());
    sets.sort();
    Ok(sets)
}

impl Set {
    /// The rows of a folder's files, divided by a seed where no file says how.
    pub fn read(folder: &Path, seed: u64) -> Result<Self> {
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
            let split = Split::new(&readings, &SplitOptions { seed, ..SplitOptions::default() })?;
            let calibration = readings.values.select(&split.calibration);
            (split, calibration)
        };
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, seed, readings, split, calibration, test: test_rows, anomalous })
    }

    /// The rows that a fit trains on and those that it selects by, in units of standard deviations of the former. Rows of a
    /// grid are spread over its cells, so that none of them is infinitely probable.
    pub fn training_and_selection(&self) -> (Matrix, Matrix) {
        let Self { readings, split, .. } = self;
        let steps = quantization_steps(&readings.values.select(&split.train));
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut spread = |rows: &[usize]| {
            let mut rows = readings.values.select(rows);
            for row in rows.values_mut().chunks_exact_mut(steps.len()) {
                row.iter_mut().zip(&steps).for_each(|(value, step)| *value += step * rng.random_range(-0.5..0.5));
            }
            rows
        };
        let [mut training, mut selection] = [spread(&split.train), spread(&split.selection)];
        let moments = moments(&training);
        [&mut training, &mut selection].into_iter().for_each(|rows| standardize(rows, &moments));
        (training, selection)
    }

    /// What divided the rows, and what a fit begins from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Features.
    pub fn features(&self) -> usize {
        self.readings.features.len()
    }

    /// Rows that are trained on.
    pub fn training_rows(&self) -> usize {
        self.split.train.len()
    }

    /// A fit by the defaults but for the architecture; a quick one only shows that all works.
    pub fn fit(&self, architecture: Architecture, quick: bool) -> Result<Fitted> {
        let mut options = Options::for_features(self.features());
        options.architecture = architecture;
        options.seed = self.seed;
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
