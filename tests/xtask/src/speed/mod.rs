//! `cargo xtask bench train`, `score` and `reach`: how fast the host is, beside other libraries in the same run.
//!
//! One job for all: 8 features, 6 layers, conditioners with two hidden layers of 32, 20,480 rows. Absolute rates are those of a
//! machine and of who else uses it; the ratios and the share of the peak are what counts.

mod peak;
mod peers;
pub mod reach;
mod score;
mod train;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use flowlet_trainer::data::Matrix;
use flowlet_trainer::train::Family;
use peers::Peer;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
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

/// What a command found out.
#[derive(Serialize)]
struct Figures<F> {
    flowlet: Vec<F>,
    peers: Vec<Peer>,
}

impl Request {
    fn families(&self) -> &[Family] {
        if self.families.is_empty() { &FAMILIES } else { &self.families }
    }

    fn peers(&self) -> Result<Vec<Peer>> {
        if self.peers { peers::run() } else { Ok(Vec::new()) }
    }

    fn write(&self, figures: &impl Serialize) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        let text = serde_json::to_string_pretty(figures)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Trains the job's flows and prints a table.
pub fn train(request: &Request) -> Result<()> {
    let rows = rows();
    let peak = peak::gflops();
    let mut figures = Vec::new();
    println!("| `--family` | parameters | rows/s | GFLOP/s | of the peak of {peak:.0} |\n|---|---:|---:|---:|---:|");
    for family in request.families().iter().copied() {
        let train::Rate { parameters, rows_per_second, macs } = train::measure(family, &rows)?;
        let gflops = rows_per_second * (2 * PRODUCTS * macs) as f64 / 1e9;
        let peak_fraction = gflops / peak;
        let family = name(family);
        println!("| `{family}` | {parameters} | {rows_per_second:.0} | {gflops:.1} | {:.0} % |", 100.0 * peak_fraction);
        figures.push(Training { family, parameters, rows_per_second, gflops, peak_fraction });
    }
    let peers = request.peers()?;
    compare(
        &peers,
        |peer| peer.rows_per_second,
        |family| figures.iter().find(|figure| figure.family == family).map(|figure| figure.rows_per_second),
    );
    // Without peers, the list alone.
    if peers.is_empty() { request.write(&figures) } else { request.write(&Figures { flowlet: figures, peers }) }
}

/// Scores the job's rows by flows of the families and prints a table.
pub fn score(request: &Request) -> Result<()> {
    let rows = rows();
    let mut figures = Vec::new();
    println!("| `--family` | readings/s, f32 | int8 | int8, one after the other on one core |\n|---|---:|---:|---:|");
    for family in request.families().iter().copied() {
        let figure = score::measure(family, name(family), &rows)?;
        let score::Scoring { family, f32, int8, one_by_one } = &figure;
        println!("| `{family}` | {f32:.0} | {int8:.0} | {one_by_one:.0} |");
        figures.push(figure);
    }
    let peers = request.peers()?;
    compare(
        &peers,
        |peer| peer.scores_per_second,
        |family| figures.iter().find(|figure| figure.family == family).map(|figure| figure.f32),
    );
    if peers.is_empty() { request.write(&figures) } else { request.write(&Figures { flowlet: figures, peers }) }
}

/// Prints what the peers gave, and how many times as much we do.
fn compare(peers: &[Peer], rate: impl Fn(&Peer) -> f64, ours: impl Fn(&str) -> Option<f64>) {
    if peers.is_empty() {
        return;
    }
    println!("\n| library | family | parameters | rows/s | flowlet (f32) is faster by |\n|---|---|---:|---:|---:|");
    for peer in peers {
        let Peer { library, family, parameters, .. } = peer;
        let theirs = rate(peer);
        let ratio = ours(family).map_or_else(String::new, |ours| format!("{:.1}", ours / theirs));
        println!("| {library} | `{family}` | {parameters} | {theirs:.0} | {ratio} |");
    }
}

/// The job's rows, standard normal.
fn rows() -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    Matrix::new(ROWS, FEATURES, (0..ROWS * FEATURES).map(|_| rng.sample(StandardNormal)).collect())
}

/// As on the command line.
fn name(family: Family) -> String {
    family.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
