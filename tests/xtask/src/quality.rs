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
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Fits that only show that all works.
    pub quick: bool,
}

/// One model on the test rows, with int8 weights.
#[derive(Serialize)]
struct Figure {
    set: String,
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
    let figures =
        if request.density { densities(&folders, request.quick)? } else { anomalies(&folders, request.quick)? };
    if let Some(path) = &request.json {
        let text = serde_json::to_string_pretty(&figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// AUROC of the default model, and of the one that small flash is chosen for.
fn anomalies(folders: &[PathBuf], quick: bool) -> Result<Vec<Figure>> {
    println!(
        "| set | rows | features | family | bytes | AUROC, int8 | f32 | false alarms | family, 16 KiB | bytes | AUROC, int8 |\n\
         |---|---:|---:|---|---:|---:|---:|---:|---|---:|---:|"
    );
    let mut figures = Vec::new();
    let mut sums = [0.0; 3];
    for folder in folders {
        let set = read(folder)?;
        let rows = set.training_rows();
        let choose = |most| Architecture::for_table(rows, set.features(), 0, most);
        let default = measure(&set, choose(MOST_BYTES), "default", quick)?;
        let small = measure(&set, choose(SMALL_BYTES), "at most 16 KiB", quick)?;
        let aurocs = [&default.int8, &default.f32, &small.int8].map(|measures| measures.auroc.unwrap_or(f64::NAN));
        sums.iter_mut().zip(aurocs).for_each(|(sum, auroc)| *sum += auroc);
        println!(
            "| {} | {rows} | {} | `{}` | {} | {:.4} | {:.4} | {:.2} % | `{}` | {} | {:.4} |",
            set.name,
            set.features(),
            default.family,
            default.bytes,
            aurocs[0],
            aurocs[1],
            100.0 * default.int8.false_alarm_rate.unwrap_or(f64::NAN),
            small.family,
            small.bytes,
            aurocs[2],
        );
        figures.extend([default, small]);
    }
    let [default, f32, small] = sums.map(|sum| sum / folders.len() as f64);
    println!("| **mean** | | | | | **{default:.4}** | **{f32:.4}** | | | | **{small:.4}** |");
    Ok(figures)
}

/// Mean log-densities of the test rows, by family.
fn densities(folders: &[PathBuf], quick: bool) -> Result<Vec<Figure>> {
    println!(
        "| set | family | parameters | bytes | nats, int8 | f32 | median, int8 |\n|---|---|---:|---:|---:|---:|---:|"
    );
    let mut figures = Vec::new();
    for folder in folders {
        let set = read(folder)?;
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

fn read(folder: &Path) -> Result<Set> {
    Set::read(folder).with_context(|| folder.display().to_string())
}

fn measure(set: &Set, architecture: Architecture, choice: &str, quick: bool) -> Result<Figure> {
    let family = architecture.family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let fitted: Fitted = set.fit(architecture, quick).with_context(|| set.name.clone())?;
    let said = |model: &Model| anyhow::Ok(Measures::new(&assess(model, &set.test)?, &set.anomalous));
    Ok(Figure {
        set: set.name.clone(),
        family,
        choice: choice.to_owned(),
        parameters: fitted.model.architecture().layers.parameters(),
        bytes: fitted.model.body().len(),
        int8: said(&fitted.model)?,
        f32: said(&fitted.twin)?,
    })
}
