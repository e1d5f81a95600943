//! `cargo xtask bench bases`: what a richer base brings, by the depth of the flow.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::setup;

/// Affine couplings of the flow.
const LAYERS: [usize; 4] = [2, 4, 8, 16];

/// As `fit --base` names them.
const BASES: [&str; 3] = ["normal", "student-t", "mixture"];

/// Fits every depth with every base, and prints the held-back readings' mean and median log-densities.
pub fn run() -> Result<()> {
    let directory = setup::target_directory().join("bases");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    println!("| couplings | {} |", BASES.join(" | "));
    println!("|---:|{}", "---:|".repeat(BASES.len()));
    for layers in LAYERS {
        let mut cells = Vec::new();
        for base in BASES {
            eprintln!("{layers} couplings, {base}");
            let report = directory.join(format!("{layers}-{base}.json"));
            let mut command = setup::flowlet();
            command.arg("fit").arg(setup::root().join("tests/data/hydraulic/train_normal.csv"));
            command.args(["--label", "anomaly", "--ignore", "cycle", "--epochs", "60", "--quiet", "--base", base]);
            command.args(["--layers", &layers.to_string()]).arg("--json").arg(&report);
            command.arg("--out").arg(directory.join(format!("{layers}-{base}.flow")));
            setup::run(command.stdout(Stdio::null()))?;
            let text = fs::read_to_string(&report).with_context(|| format!("cannot read {}", report.display()))?;
            let report: Value = serde_json::from_str(&text)?;
            let figure = |field: &str| report[field].as_f64().with_context(|| format!("the report has no `{field}`"));
            cells.push(format!("{:.2} ({:.2})", figure("mean_log_prob")?, figure("median_log_prob")?));
        }
        println!("| {layers} | {} |", cells.join(" | "));
    }
    Ok(())
}
