//! Fits every folder of a directory and prints how well anomalies are told apart and how probable normal test rows are,
//! so that defaults can be compared:
//!
//! ```text
//! cargo run --release -p flowlet-trainer --example quality -- --data data/anomaly --seeds 3 --set noise=0.1
//! ```
//!
//! A folder holds `train.csv` (or `train_normal.csv`) with normal rows and `test.csv`; without the column `anomaly` in it
//! only the density is measured. `val.csv` is validated with if it is there, else a tenth of the training rows.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use flowlet_trainer::data::{Readings, Roles, Table as Csv, quantization_steps};
use flowlet_trainer::metrics::{auroc, mean, median};
use flowlet_trainer::train::{Architecture, BaseFamily, Family, Options, TrainingData, fit};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Compares defaults of the fit over data sets.
#[derive(Parser)]
struct Arguments {
    /// A folder of data sets, or one data set.
    #[arg(long)]
    data: PathBuf,
    /// Seeds 0 to N - 1 are fitted.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Columns that are no features.
    #[arg(long, default_value = "cycle,fault,anomaly", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Overrides of the defaults, as `name=value`; a family before what else is overridden.
    #[arg(long = "set", value_delimiter = ' ')]
    overrides: Vec<String>,
}

fn set(options: &mut Options, features: usize, assignment: &str) -> Result<()> {
    let (name, value) = assignment.split_once('=').context("an override is name=value")?;
    match name {
        "family" => {
            let family = Family::from_str(value, false).map_err(anyhow::Error::msg)?;
            options.architecture = Architecture::of(family, features);
        }
        "layers" => options.architecture.layers = value.parse()?,
        "hidden" => options.architecture.hidden = value.parse()?,
        "hidden_layers" => options.architecture.hidden_layers = value.parse()?,
        "base" => options.architecture.base = BaseFamily::from_str(value, false).map_err(anyhow::Error::msg)?,
        "bins" => options.architecture.bins = value.parse()?,
        "bound" => options.architecture.bound = value.parse()?,
        "batch_rows" => options.batch_rows = value.parse()?,
        "learning_rate" => options.learning_rate = value.parse()?,
        "warm_up" => options.warm_up = value.parse()?,
        "epochs" => options.epochs = value.parse()?,
        "steps" => options.steps = value.parse()?,
        "patience" => options.patience = value.parse()?,
        "weight_decay" => options.weight_decay = Some(value.parse()?),
        "clip_norm" => options.clip_norm = value.parse()?,
        "noise" => options.noise = Some(value.parse()?),
        "averaging" => options.averaging = value.parse()?,
        _ => bail!("no option {name:?}"),
    }
    Ok(())
}

/// One fit's figures: AUROC, and mean, median and lowest log-density of normal test rows in standardized units.
struct Figures {
    auroc: f64,
    mean: f64,
    median: f64,
    lowest: f32,
}

fn measure(folder: &Path, arguments: &Arguments, seed: u64) -> Result<Figures> {
    let ignore = |table: &Csv| -> Vec<String> {
        table.columns().iter().filter(|name| arguments.ignore.contains(name)).cloned().collect()
    };
    let training_file = ["train.csv", "train_normal.csv"].map(|name| folder.join(name));
    let training_file = training_file.iter().find(|path| path.exists()).context("no train.csv")?;
    let table = Csv::read(training_file)?;
    // The command asks the user to name constant columns; here it is enough to leave them out.
    let every_row: Vec<usize> = (0..table.rows()).collect();
    let mut roles = Roles { ignore: ignore(&table), ..Roles::default() };
    for (column, name) in table.columns().iter().enumerate() {
        if !roles.ignore.contains(name)
            && table.matrix(&every_row, &[column])?.values().windows(2).all(|pair| pair[0] == pair[1])
        {
            roles.ignore.push(name.clone());
        }
    }
    let readings = Readings::for_fitting(&table, &roles)?;
    let features = readings.features.len();
    let test = Csv::read(&folder.join("test.csv"))?;
    let test_rows = test.matrix(&(0..test.rows()).collect::<Vec<_>>(), &test.columns_of(&readings.features, None)?)?;
    let labels =
        test.columns().iter().position(|name| name == "anomaly").map(|column| test.labels(column)).transpose()?;
    let steps = quantization_steps(&readings.values);
    let validation_file = folder.join("val.csv");
    let (training, validation) = if validation_file.exists() {
        let validation = Readings::with_features(&Csv::read(&validation_file)?, &readings.features, &Roles::default())?;
        (readings.values, validation.values)
    } else {
        let mut rows: Vec<usize> = (0..readings.values.rows()).collect();
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let (validation, training) = rows.split_at((rows.len() / 10).max(20));
        (readings.values.select(training), readings.values.select(validation))
    };

    let mut options = Options::for_features(features);
    options.seed = seed;
    for assignment in &arguments.overrides {
        set(&mut options, features, assignment)?;
    }
    let features = training.columns();
    let data = TrainingData {
        features,
        training: &training,
        stored: None,
        validation: &validation,
        quantization_steps: &steps,
    };
    let start = Instant::now();
    let result = fit(data, &options, &mut (), &AtomicBool::new(false))?;
    let seconds = start.elapsed().as_secs_f64();

    let log_probs = result.model.log_probs(&test_rows);
    let units: f64 = result.model.inverse_scale.iter().map(|scale| f64::from(*scale).ln()).sum();
    let is_normal = |row: &usize| labels.as_ref().is_none_or(|labels| !labels[*row]);
    let normal: Vec<f32> = (0..log_probs.len()).filter(is_normal).map(|row| log_probs[row] - units as f32).collect();
    let scores: Vec<f32> = log_probs.iter().map(|value| -value).collect();
    let figures = Figures {
        auroc: labels.and_then(|labels| auroc(&scores, &labels)).unwrap_or(f64::NAN),
        mean: mean(&normal).context("no normal row")?,
        median: median(&normal).context("no normal row")?,
        lowest: normal.iter().copied().fold(f32::INFINITY, f32::min),
    };
    let summary = result.summary;
    println!(
        "{:20} {seed:4} {:8.4} {:12.3} {:9.3} {:12.3e} | {:9.3} {:5} {:5} {:6} {:8?} {:2} {:7} {seconds:6.1}",
        folder.file_name().unwrap_or_default().to_string_lossy(),
        figures.auroc,
        figures.mean,
        figures.median,
        figures.lowest,
        -summary.validation_loss - units,
        summary.epochs,
        summary.best_epoch,
        summary.steps,
        summary.stop,
        summary.divergences,
        result.model.parameters.len(),
    );
    Ok(figures)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut folders: Vec<PathBuf> = if arguments.data.join("test.csv").exists() {
        vec![arguments.data.clone()]
    } else {
        std::fs::read_dir(&arguments.data)
            .with_context(|| arguments.data.display().to_string())?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?
    };
    folders.retain(|folder| folder.join("test.csv").exists());
    folders.sort();
    println!(
        "{:20} {:>4} {:>8} {:>12} {:>9} {:>12} | {:>9} {:>5} {:>5} {:>6} {:8} {:>2} {:>7} {:>6}",
        "set",
        "seed",
        "auroc",
        "mean",
        "median",
        "lowest",
        "valid",
        "pass",
        "best",
        "steps",
        "stop",
        "d",
        "params",
        "s"
    );
    let mut all = Vec::new();
    for folder in &folders {
        for seed in 0..arguments.seeds {
            all.push(measure(folder, &arguments, seed)?);
        }
    }
    let over_all = |of: fn(&Figures) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    println!(
        "mean auroc {:.4}, log-density mean {:.3} median {:.3}",
        over_all(|f| f.auroc),
        over_all(|f| f.mean),
        over_all(|f| f.median)
    );
    Ok(())
}
