//! Builds firmware with cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{Board, Image};

/// The package of the firmware for all emulated boards, and the name of its binary.
const PACKAGE: &str = "flowlet-emulated";

/// What to build of an emulated board's package.
#[derive(Clone, Debug, Default)]
pub struct Build {
    /// For which board.
    pub board: Board,
    /// The firmware without the model and its scoring: an example named `baseline`.
    pub baseline: bool,
    /// Another example of the package, in place of the firmware.
    pub example: Option<&'static str>,
    /// The generated Rust file of the model to link in; none is the committed model.
    pub model: Option<PathBuf>,
}

/// Builds firmware for an emulated board. What has been built before is not built again.
///
/// # Errors
/// If cargo fails: its messages have gone to the standard error by then.
pub fn build(build: &Build) -> Result<Image> {
    // Firmware with another model goes to the same place: it is read before the next is built.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let target = build.board.target();
    install(target)?;
    let mut command = Command::new(cargo());
    command.current_dir(workspace());
    command.args(["build", "--quiet", "--package", PACKAGE, "--target", target, "--profile", "firmware"]);
    command.arg("--message-format=json-render-diagnostics");
    match build.example.or(build.baseline.then_some("baseline")) {
        Some(example) => command.args(["--example", example]),
        None => command.args(["--bin", PACKAGE]),
    };
    match &build.model {
        Some(model) => command.env("FLOWLET_MODEL", std::path::absolute(model)?),
        None => command.env_remove("FLOWLET_MODEL"),
    };
    // Flags for the host (coverage, for one) are not for the device, whose bytes are counted.
    for host in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_INCREMENTAL"] {
        command.env_remove(host);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "the firmware does not build ({})", output.status);
    let executable = executable(&output.stdout).context("cargo built the firmware but named no executable")?;
    Image::read(&executable, build.board)
}

/// The executable that cargo's JSON messages name.
fn executable(messages: &[u8]) -> Option<PathBuf> {
    messages
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .next_back()
}

/// Lets rustup install a target if it is missing.
///
/// # Errors
/// If there is no rustup, or it cannot install the target; with what to do about it.
pub fn install(target: &str) -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(workspace())
        .args(["--print", "target-libdir", "--target", target])
        .output()
        .context("cannot start rustc")?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    eprintln!("Installing the target {target}: rustup target add {target}");
    match Command::new("rustup").current_dir(workspace()).args(["target", "add", target]).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`rustup target add {target}` failed ({status})"),
        Err(error) => bail!("cannot start rustup ({error}): install the target {target} for this toolchain"),
    }
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The root of the workspace.
fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
