//! `cargo xtask bench train` and `cargo xtask bench score`: how fast the host is, beside other libraries in the same run.
//!
//! One job for all: 8 features, 6 layers, conditioners with two hidden layers of 32, 20,480 rows. Absolute rates are those of a
//! machine and of who else uses it; the ratios and the share of the peak are what counts.

mod peak;
mod train;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flowlet_trainer::data::Matrix;
use flowlet_trainer::train::Family;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;
use serde::Serialize;

/// Features of the job.
const FEATURES: usize = 8;
/// Layers that transform.
const LAYERS: usize = 6;
/// Units of each of two hidden layers.
const HIDDEN: usize = 32;
/// Rows of a training step.
const BATCH_ROWS: usize = 256;
/// Rows of the table.
const ROWS: usize = 20_480;

/// Families that are measured.
const FAMILIES: [Family; 5] = [Family::Nice, Family::Realnvp, Family::Maf, Family::Spline, Family::MafSpline];

/// Products of the nets in a training step for each one in a density: forward, and backward to inputs and to weights.
const PRODUCTS: usize = 3;

/// What the command line chose.
pub struct Request {
    /// Whether other libraries do the job too.
    pub peers: bool,
    /// Of these, or of all.
    pub families: Vec<Family>,
    /// Where the figures go.
    pub json: Option<PathBuf>,
}

/// What one family gave.
#[derive(Serialize)]
struct Training {
    family: String,
    parameters: usize,
    rows_per_second: f64,
    /// Of the nets' matrix products alone.
    gflops: f64,
    /// The share of what fused multiply-adds in registers reach on as many cores.
    peak_fraction: f64,
}

/// Trains the job's flows and prints a table.
pub fn train(request: &Request) -> Result<()> {
    let rows = rows();
    let peak = peak::gflops();
    let mut figures = Vec::new();
    println!("| `--family` | parameters | rows/s | GFLOP/s | of the peak of {peak:.0} |\n|---|---:|---:|---:|---:|");
    let families = if request.families.is_empty() { &FAMILIES[..] } else { &request.families };
    for family in families.iter().copied() {
        let train::Rate { parameters, rows_per_second, macs } = train::measure(family, &rows)?;
        let gflops = rows_per_second * (2 * PRODUCTS * macs) as f64 / 1e9;
        let peak_fraction = gflops / peak;
        let family = name(family);
        println!("| `{family}` | {parameters} | {rows_per_second:.0} | {gflops:.1} | {:.0} % |", 100.0 * peak_fraction);
        figures.push(Training { family, parameters, rows_per_second, gflops, peak_fraction });
    }
    write(request.json.as_deref(), &figures)
}

/// The job's rows, standard normal.
fn rows() -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    Matrix::new(ROWS, FEATURES, (0..ROWS * FEATURES).map(|_| rng.sample(StandardNormal)).collect())
}

/// As on the command line.
fn name(family: Family) -> String {
    use clap::ValueEnum;
    family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn write(path: Option<&Path>, figures: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
