//! `cargo xtask bench quality`: how well the defaults fit, by data set.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use flowlet_trainer::fitting::Fitted;
use flowlet_trainer::model::Model;
use flowlet_trainer::report::Measures;
use flowlet_trainer::scoring::assess;
use flowlet_trainer::train::{Architecture, Family, MOST_BYTES};
use serde::Serialize;

use crate::sets::{self, Set};

/// What a small model has at the most, in bytes.
const SMALL_BYTES: usize = 16 << 10;

/// Families whose densities are compared.
const FAMILIES: [Family; 8] = [
    Family::Nice,
    Family::Realnvp,
    Family::Spline,
    Family::Glow,
    Family::Maf,
    Family::MafSpline,
    Family::Naf,
    Family::Sylvester,
];

/// What the command line chose.
pub struct Request {
    /// A folder that holds `anomaly` or `density`.
    pub data: PathBuf,
    /// Densities, by family, in place of anomalies.
    pub density: bool,
    /// Anomalies are told apart by fits from seeds 0 to this one, exclusive.
    pub seeds: u64,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Fits that only show that all works.
    pub quick: bool,
}

/// One model on the test rows, with int8 weights.
#[derive(Serialize)]
struct Figure {
    set: String,
    seed: u64,
    family: String,
    /// Who decided the architecture: the defaults, a limit of bytes, or the family.
    choice: String,
    parameters: usize,
    /// Of the model in flash.
    bytes: usize,
    int8: Measures,
    f32: Measures,
}

pub fn run(request: &Request) -> Result<()> {
    let folder = request.data.join(if request.density { "density" } else { "anomaly" });
    let folders = sets::of_kind(&folder)?;
    ensure!(!folders.is_empty(), "{}: has no SET/test.csv", folder.display());
    let figures = match request.density {
        true => densities(&folders, request.quick)?,
        false => anomalies(&folders, request.seeds, request.quick)?,
    };
    if let Some(path) = &request.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// AUROC of the default model, and of the one that small flash is chosen for: from the first seed, and the mean over all.
fn anomalies(folders: &[PathBuf], seeds: u64, quick: bool) -> Result<Vec<Figure>> {
    println!(
        "| set | rows | features | family | bytes | AUROC, int8 | f32 | false alarms | int8, mean of {seeds} | family, 16 KiB | bytes | AUROC, int8 | mean of {seeds} |\n\
         |---|---:|---:|---|---:|---:|---:|---:|---:|---|---:|---:|---:|"
    );
    let mut figures = Vec::new();
    let mut sums = [0.0; 5];
    for folder in folders {
        let sets = (0..seeds).map(|seed| read(folder, seed)).collect::<Result<Vec<_>>>()?;
        let set = sets.first().context("there is a seed")?;
        let rows = set.training_rows();
        let fit = |most, choice| {
            let architecture = Architecture::for_table(rows, set.features(), 0, most);
            let fits = sets.iter().map(|set| measure(set, architecture.clone(), choice, quick));
            fits.collect::<Result<Vec<_>>>()
        };
        let [defaults, smalls] = [fit(MOST_BYTES, "default")?, fit(SMALL_BYTES, "at most 16 KiB")?];
        let (default, small) = (&defaults[0], &smalls[0]);
        let auroc = |measures: &Measures| measures.auroc.unwrap_or(f64::NAN);
        let mean = |all: &[Figure]| all.iter().map(|figure| auroc(&figure.int8)).sum::<f64>() / seeds as f64;
        let aurocs = [auroc(&default.int8), auroc(&default.f32), mean(&defaults), auroc(&small.int8), mean(&smalls)];
        sums.iter_mut().zip(aurocs).for_each(|(sum, auroc)| *sum += auroc);
        println!(
            "| {} | {rows} | {} | `{}` | {} | {:.4} | {:.4} | {:.2} % | {:.4} | `{}` | {} | {:.4} | {:.4} |",
            set.name,
            set.features(),
            default.family,
            default.bytes,
            aurocs[0],
            aurocs[1],
            100.0 * default.int8.false_alarm_rate.unwrap_or(f64::NAN),
            aurocs[2],
            small.family,
            small.bytes,
            aurocs[3],
            aurocs[4],
        );
        figures.extend(defaults.into_iter().chain(smalls));
    }
    let [default, f32, default_mean, small, small_mean] = sums.map(|sum| sum / folders.len() as f64);
    println!(
        "| **mean** | | | | | **{default:.4}** | **{f32:.4}** | | **{default_mean:.4}** | | | **{small:.4}** | **{small_mean:.4}** |"
    );
    Ok(figures)
}

/// Mean log-densities of the test rows, by family.
fn densities(folders: &[PathBuf], quick: bool) -> Result<Vec<Figure>> {
    println!(
        "| set | family | parameters | bytes | nats, int8 | f32 | median, int8 |\n|---|---|---:|---:|---:|---:|---:|"
    );
    let mut figures = Vec::new();
    for folder in folders {
        let set = read(folder, 0)?;
        let default = Architecture::for_table(set.training_rows(), set.features(), 0, MOST_BYTES);
        let all = FAMILIES.into_iter().map(|family| (Architecture::of(family, set.features()), "family"));
        for (architecture, choice) in [(default, "default")].into_iter().chain(all) {
            let figure = measure(&set, architecture, choice, quick)?;
            let nats = |value: Option<f64>| value.unwrap_or(f64::NAN);
            let Figure { family, parameters, bytes, int8, f32, .. } = &figure;
            let family = if choice == "default" { format!("default: `{family}`") } else { format!("`{family}`") };
            println!(
                "| {} | {family} | {parameters} | {bytes} | {:.3} | {:.3} | {:.3} |",
                set.name,
                nats(int8.mean_log_prob),
                nats(f32.mean_log_prob),
                nats(int8.median_log_prob),
            );
            figures.push(figure);
        }
    }
    Ok(figures)
}

fn read(folder: &Path, seed: u64) -> Result<Set> {
    Set::read(folder, seed).with_context(|| folder.display().to_string())
}

fn measure(set: &Set, architecture: Architecture, choice: &str, quick: bool) -> Result<Figure> {
    let family = architecture.family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let fitted: Fitted = set.fit(architecture, quick).with_context(|| set.name.clone())?;
    let said = |model: &Model| anyhow::Ok(Measures::new(&assess(model, &set.test)?, &set.anomalous));
    Ok(Figure {
        set: set.name.clone(),
        seed: set.seed(),
        family,
        choice: choice.to_owned(),
        parameters: fitted.model.architecture().parameters(),
        bytes: fitted.model.body().len(),
        int8: said(&fitted.model)?,
        f32: said(&fitted.twin)?,
    })
}
