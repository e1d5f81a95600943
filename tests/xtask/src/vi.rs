//! `cargo xtask vi`: flows fitted to energies, and what they are off by.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use flowlet_tests::variational::{Chained, Divergences, flows};

/// The name of what is written.
const FILE: &str = "variational.md";

pub fn run(out: Option<&Path>, quick: bool) -> Result<()> {
    let watch = |line: &str| eprintln!("{line}");
    let command = if quick { "cargo xtask vi --quick" } else { "cargo xtask vi" };
    let mut text = format!("# Variational inference\n\nWritten by `{command}`.\n\n");
    writeln!(
        text,
        "KL(q || p) in nats of flows fitted to the four energies of Rezende and Mohamed (2015, table 1), in the manner of \
         their figures 3 and 4: reverse divergence over fresh samples, the energy annealed over the first half of the \
         steps. Their ln Z are known from a fine grid; ± is the standard error over {} samples. Planar flows start from \
         a normal distribution whose means and deviations are fitted too.\n",
        Divergences::SAMPLES
    )?;
    writeln!(text, "{}", Divergences::head())?;
    for row in Divergences::measure(&flows(quick), watch)? {
        writeln!(text, "{row}")?;
    }
    writeln!(
        text,
        "\n## Free energies\n\nOf periodic chains with the action Σ (φᵢ₊₁ - φᵢ)² / 2 + m² φᵢ² / 2 + λ φᵢ⁴, by inverse \
         autoregressive flows of six layers whose samples are weighed (Nicoli et al. 2021), against the trace of the \
         transfer operator. The bound is E_q[log q + S], which is never below -ln Z.\n"
    )?;
    writeln!(text, "{}", Chained::head())?;
    for row in Chained::table(quick, watch)? {
        writeln!(text, "{row}")?;
    }
    println!("{text}");
    if let Some(directory) = out {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let path = directory.join(FILE);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
