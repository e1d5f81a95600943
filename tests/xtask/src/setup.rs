//! Sets up what a command needs and the machine lacks.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use flowlet_tests::emulator::Backend;

/// The root of the workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two folders below the root")
}

/// Where cargo puts what it builds.
pub fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs this command.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    command
}

/// The binary that a user fits with.
pub fn flowlet() -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "flowlet-trainer", "--bin", "flowlet", "--"]);
    command
}

/// Runs a command with its output shown.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    ensure!(status.success(), "`{} {}` failed ({status})", command.get_program().display(), arguments.join(" "));
    Ok(())
}

/// Lets rustup install compilation targets; those that are there already cost nothing.
pub fn targets(targets: &[&str]) -> Result<()> {
    let mut command = Command::new("rustup");
    command.current_dir(root()).args(["--quiet", "target", "add"]).args(targets);
    run(&mut command).with_context(|| format!("the targets {} are needed", targets.join(", ")))
}

/// Makes sure that the emulator is there: QEMU is installed by the system's package manager where this user may.
pub fn emulator(backend: Backend) -> Result<()> {
    let Some(missing) = backend.missing() else { return Ok(()) };
    // As root, or by sudo where it asks for no password; otherwise the user decides.
    let allowed = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let prefix: &[&str] = if allowed("sh", &["-c", "[ $(id -u) = 0 ]"]) {
        &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    } else if allowed("sudo", &["-n", "true"]) {
        &["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    } else {
        bail!("{missing}")
    };
    let packages = backend.packages();
    eprintln!("Installing QEMU: apt-get install {}", packages.join(" "));
    let install = [&["-q", "install", "-y", "--no-install-recommends"][..], &packages].concat();
    for arguments in [&["-q", "update"][..], &install] {
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).args(arguments).stdout(Stdio::null());
        run(&mut command).with_context(|| missing.clone())?;
    }
    match backend.missing() {
        None => Ok(()),
        Some(missing) => bail!("{missing}"),
    }
}

/// A virtual environment with the packages that a file of pip's requires; its Python.
pub fn virtual_environment(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let python = folder.join("bin/python");
    // Written last: it says that all of it is installed.
    let installed = folder.join("requirements.txt");
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    eprintln!("installing Python packages into {}", folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(requirements);
    run(&mut pip)?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}
