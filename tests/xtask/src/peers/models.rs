//! What the peers need: the tools, the trained models, their programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use flowlet_tests::emulator::{Board, Image, install};
use serde::Deserialize;

use super::program::{Profile, Program};
use super::rig::{Auroc, Rig};
use crate::setup;

/// Programs that the machine must have: how to see that they run, and what to do if they do not.
const TOOLS: [(&str, &[&str], &str); 3] = [
    (
        "python3",
        &["-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"],
        "Python 3.11 or later with venv: apt-get install python3-venv",
    ),
    (
        "cc",
        &["--version"],
        "a C compiler for this machine, by which emlearn checks what it converts: apt-get install gcc",
    ),
    (
        "arm-none-eabi-gcc",
        &["--version"],
        "a C compiler for the device, with newlib: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
];

/// Trained models in a folder, as each library takes them.
pub struct Models {
    folder: PathBuf,
    pub reference: Reference,
}

/// What scikit-learn says of the test readings, in double precision.
#[derive(Deserialize)]
pub struct Reference {
    /// Of the autoencoder, a fit for each seed: of readings, and of cycles.
    autoencoder_aurocs: Vec<(f64, f64)>,
    /// The test readings in standardized columns.
    pub readings: Vec<Vec<f32>>,
    /// Their reconstructions.
    pub autoencoder: Vec<Vec<f32>>,
    /// Their squared Mahalanobis distances.
    pub envelope: Vec<Vec<f32>>,
    /// Their log-densities.
    pub mixture: Vec<Vec<f32>>,
}

impl Reference {
    /// The AUROC of the best autoencoder, on single readings: the one that the peers get.
    pub fn autoencoder(&self) -> f64 {
        self.autoencoder_aurocs.iter().map(|&(readings, _)| readings).fold(0.0, f64::max)
    }

    /// The lowest and the highest over the seeds.
    pub fn autoencoder_range(&self) -> [Auroc; 2] {
        let fold = |by: fn(f64, f64) -> f64| {
            let start = self.autoencoder_aurocs[0];
            let (readings, cycles) =
                self.autoencoder_aurocs.iter().fold(start, |all, one| (by(all.0, one.0), by(all.1, one.1)));
            Auroc { readings, cycles }
        };
        [fold(f64::min), fold(f64::max)]
    }

    pub fn autoencoder_seeds(&self) -> usize {
        self.autoencoder_aurocs.len()
    }
}

impl Models {
    /// Trains what the peers run, by the Python packages in `tests/peers/requirements.txt`.
    pub fn prepare(folder: &Path) -> Result<Self> {
        tools()?;
        let folder = std::path::absolute(folder)?;
        let models = folder.join("models");
        fs::create_dir_all(&models).with_context(|| format!("cannot create {}", models.display()))?;
        let python = setup::virtual_environment(&folder.join("venv"), &sources().join("requirements.txt"))?;
        eprintln!("training the peers' models");
        let mut train = Command::new(python);
        train.arg(sources().join("models/train.py")).arg(Rig::folder()).arg(&models);
        // emlearn leaves files in the working directory. One thread, so that sums have one order.
        train.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        train.env("OMP_NUM_THREADS", "1").env("OPENBLAS_NUM_THREADS", "1");
        setup::run(&mut train)?;
        let path = models.join("reference.json");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { folder, reference: serde_json::from_str(&text).with_context(|| path.display().to_string())? })
    }

    /// A place for what is fitted.
    pub fn flows(&self) -> Result<PathBuf> {
        let flows = self.folder.join("flows");
        fs::create_dir_all(&flows).with_context(|| format!("cannot create {}", flows.display()))?;
        Ok(flows)
    }

    /// Builds a program; the one of a flow has the flow with this Rust source.
    pub fn build(&self, program: Program, profile: Profile, flow: &Path) -> Result<Image> {
        let board = Board::Mps2An386;
        install(board.target())?;
        let target = self.folder.join("target");
        let mut command = setup::cargo();
        command.current_dir(sources().join("firmware"));
        command.args(["build", "--quiet", "--target", board.target(), "--bin", program.name()]);
        command.args(["--profile", profile.name(), "--target-dir"]).arg(&target);
        command.env("PEERS_MODELS", self.folder.join("models")).env("PEERS_FLOW", flow);
        // Flags for the host are not for the device.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        setup::run(&mut command)?;
        Image::read(&target.join(board.target()).join(profile.name()).join(program.name()), board)
    }
}

/// Where the peers' sources are.
fn sources() -> PathBuf {
    setup::root().join("tests/peers")
}

/// Fails if a tool is not there, and says what to install.
fn tools() -> Result<()> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let missing: Vec<_> =
        TOOLS.iter().filter(|(program, arguments, _)| !runs(program, arguments)).map(|(_, _, what)| *what).collect();
    ensure!(missing.is_empty(), "the peers need what is not on this machine:\n{}", missing.join("\n"));
    Ok(())
}
