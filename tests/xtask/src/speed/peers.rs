//! Other libraries on the same job, by `tests/peers/speed/speed.py`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{BATCH_ROWS, FEATURES, HIDDEN, LAYERS, ROWS};
use crate::setup;

/// What one flow of another library gave.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Peer {
    pub library: String,
    /// By our name.
    pub family: String,
    pub parameters: usize,
    /// In training.
    pub rows_per_second: f64,
    /// Log-densities.
    pub scores_per_second: f64,
}

/// A Python with the other libraries, installed if need be.
pub fn python() -> Result<PathBuf> {
    let folder = setup::target_directory().join("peers-speed");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    setup::virtual_environment(&folder.join("venv"), &setup::root().join("tests/peers/speed/requirements.txt"))
}

/// Runs FlowJAX, then zuko and normflows, one after the other.
pub fn run() -> Result<Vec<Peer>> {
    let sources = setup::root().join("tests/peers/speed");
    let python = python()?;
    let mut peers = Vec::new();
    for library in ["jax", "torch"] {
        eprintln!("measuring the flows of {library}");
        let mut command = Command::new(&python);
        command.arg(sources.join("speed.py")).arg(library);
        command.args([FEATURES, LAYERS, HIDDEN, BATCH_ROWS, ROWS].map(|number| number.to_string()));
        let output = command.stderr(std::process::Stdio::inherit()).output().context("cannot start Python")?;
        ensure!(output.status.success(), "tests/peers/speed/speed.py {library} failed ({})", output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines().filter(|line| line.starts_with('{')) {
            peers.push(serde_json::from_str(line).with_context(|| format!("not a line of figures: {line}"))?);
        }
    }
    Ok(peers)
}
