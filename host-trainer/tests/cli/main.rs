//! The command `flowlet` as a user runs it: arguments, files, output and exit status.

mod budget;
mod calibrating;
mod columnar;
mod context;
mod failures;
mod fitting;
mod fleet;
mod grouping;
mod importing;
mod monitoring;
mod resuming;
mod scoring;
mod terms;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;

/// A folder that commands run in, and that goes with it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with a fitted model, `pump.flow`, and readings to try it on, `test.csv`.
    fn with_model() -> Self {
        static MODEL: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
        let files = MODEL.get_or_init(|| {
            let folder = Self::new();
            folder.write("train.csv", &readings(600, 0, 1));
            folder.succeed(&format!("fit train.csv --out pump.flow --label anomaly --group run --ignore kind {QUICK}"));
            ["pump.flow", "pump.f32.flow"].map(|name| (name.to_owned(), folder.read(name))).to_vec()
        });
        let folder = Self::new();
        for (name, contents) in files {
            fs::write(folder.path(name), contents).unwrap();
        }
        folder.write("test.csv", &readings(200, 100, 2));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, contents: &str) {
        fs::write(self.path(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowlet"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Standard output of a command that succeeds.
    fn succeed(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that fails and prints nothing else.
    fn fail(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}: {}", stderr(&output));
        assert!(output.stdout.is_empty(), "{line}");
        stderr(&output)
    }
}

/// A model in a moment: small, few passes, and few readings to calibrate on.
const QUICK: &str = "--family realnvp --layers 4 --hidden 8 --epochs 150 --false-alarm-rate 0.05";

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A table of a temperature, a pressure that follows it, and a valve position of a few steps; in anomalies the pressure
/// does not follow. With it the run of 20 rows, the kind of reading, and the label.
fn readings(normal: usize, anomalous: usize, seed: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut table = "temperature,pressure,valve,run,kind,anomaly\n".to_owned();
    for row in 0..normal + anomalous {
        let anomaly = row >= normal;
        let mut deviate = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        let (a, b) = (deviate(), deviate());
        let pressure = 100.0 + 10.0 * if anomaly { -2.0 * a.signum() - a } else { a } + b;
        let valve = (4.0 * rng.random::<f32>()).floor() * 0.5;
        let (run, kind) = (row / 20, if anomaly { ["leak", "clog"][row % 2] } else { "none" });
        table += &format!("{},{pressure},{valve},{run},{kind},{}\n", 40.0 + 5.0 * a, u8::from(anomaly));
    }
    table
}

/// The cells of a CSV without quotes, header first.
fn cells(csv: &str) -> Vec<Vec<&str>> {
    csv.lines().map(|line| line.split(',').collect()).collect()
}
