//! Measures what a large table takes: reading, training and scoring, in rows a second and in memory.
//!
//! ```sh
//! cargo run --release -p flowlet-trainer --example large -- --rows 10000000
//! ```
//!
//! Makes a table of readings whose features depend on each other and are not normal, fits a model to it and scores it, each
//! by the command that a user runs, and prints a table of the figures. With the feature `columnar` the same from Parquet.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use flowlet_trainer::cli::Cli;
use flowlet_trainer::commands;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// Features of a reading.
const FEATURES: usize = 8;

/// Readings that one task makes.
const CHUNK: usize = 1 << 16;

#[derive(Parser)]
struct Arguments {
    /// Readings
    #[arg(long, default_value_t = 10_000_000)]
    rows: usize,
    /// What readings may take before training goes through a temporary file, by as many runs
    #[arg(long, value_delimiter = ',', default_value = "512MiB,64MiB")]
    memory: Vec<String>,
    /// Where the tables go, which are removed at the end [default: the system's folder for temporary files]
    #[arg(long)]
    folder: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    // The commands that are measured are processes of their own: this program, told to be `flowlet`.
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == "flowlet") {
        return commands::run(Cli::parse_from(&arguments[1..]));
    }
    let Arguments { rows, memory, folder } = Arguments::parse();
    let folder = match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    println!(
        "| table | `--memory` | bytes | rows read a second | rows trained on a second | seconds in all | MiB resident |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|");
    let tables = tables(rows, folder.path())?;
    for table in &tables {
        for memory in &memory {
            fit(table, memory, rows, folder.path())?;
        }
    }
    println!("\n| scored | rows a second | MiB resident |\n|---|---:|---:|");
    tables.iter().try_for_each(|table| score(table, rows, folder.path()))?;
    Ok(ExitCode::SUCCESS)
}

/// The table in each format that this build reads.
fn tables(rows: usize, folder: &Path) -> Result<Vec<PathBuf>> {
    let csv = folder.join("readings.csv");
    let mut file = BufWriter::new(File::create(&csv)?);
    let names: Vec<String> = (0..FEATURES).map(|feature| format!("x{feature}")).collect();
    writeln!(file, "{}", names.join(","))?;
    for chunks in numbers(rows.div_ceil(CHUNK)).chunks(rayon::current_num_threads()) {
        let texts: Vec<String> = chunks.par_iter().map(|chunk| text(&readings(*chunk, rows))).collect();
        texts.iter().try_for_each(|text| file.write_all(text.as_bytes()))?;
    }
    file.flush()?;
    #[cfg(feature = "columnar")]
    return Ok(vec![csv, parquet(rows, &names, folder)?]);
    #[cfg(not(feature = "columnar"))]
    Ok(vec![csv])
}

fn numbers(count: usize) -> Vec<usize> {
    (0..count).collect()
}

/// The readings of a chunk, row after row: sums, products, squares and sines of few causes, with noise.
fn readings(chunk: usize, rows: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(chunk as u64);
    let reading = |_| {
        let z: [f32; FEATURES] = std::array::from_fn(|_| rng.sample(StandardNormal));
        let mode = if rng.random::<f32>() < 0.3 { 4.0 } else { 0.0 };
        [
            20.0 + 3.0 * z[0] + mode,
            0.5 * z[0] * z[0] + 0.3 * z[1],
            (2.0 * z[0]).sin() + 0.2 * z[2],
            z[1] * z[3] + 0.1 * z[4],
            (0.5 * z[3]).exp() + 0.05 * z[5],
            mode + z[5] + 0.5 * z[1],
            z[6].abs() + 0.1 * z[0],
            100.0 + 10.0 * z[6] * z[7],
        ]
    };
    (chunk * CHUNK..rows.min((chunk + 1) * CHUNK)).flat_map(reading).collect()
}

fn text(readings: &[f32]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for reading in readings.chunks_exact(FEATURES) {
        for (feature, value) in reading.iter().enumerate() {
            let comma = if feature == 0 { "" } else { "," };
            write!(text, "{comma}{value:.5}").expect("a string takes all text");
        }
        text.push('\n');
    }
    text
}

#[cfg(feature = "columnar")]
fn parquet(rows: usize, names: &[String], folder: &Path) -> Result<PathBuf> {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, RecordBatch};
    use parquet::arrow::ArrowWriter;

    let batch = |chunk: usize| {
        let readings = readings(chunk, rows);
        let column = |feature: usize| {
            let values = readings.iter().skip(feature).step_by(FEATURES).copied();
            Arc::new(Float32Array::from_iter_values(values)) as ArrayRef
        };
        RecordBatch::try_from_iter(names.iter().enumerate().map(|(feature, name)| (name, column(feature))))
    };
    let path = folder.join("readings.parquet");
    let mut writer = ArrowWriter::try_new(File::create(&path)?, batch(0)?.schema(), None)?;
    for chunk in 0..rows.div_ceil(CHUNK) {
        writer.write(&batch(chunk)?)?;
    }
    writer.close()?;
    Ok(path)
}

/// A command's seconds and the most MiB that it had at a time, where the system tells.
fn measure(arguments: &[&str], output: Stdio) -> Result<(f64, Option<u64>)> {
    let begin = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    let mut child = command.arg("flowlet").args(arguments).stdout(output).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut resident = None;
    loop {
        // The high-water mark goes with the process, so what is seen is the last but a few milliseconds.
        resident = fs::read_to_string(&status).ok().and_then(|text| high_water_mark(&text)).or(resident);
        if let Some(exit) = child.try_wait()? {
            ensure!(exit.success(), "`flowlet {}` failed ({exit})", arguments.join(" "));
            return Ok((begin.elapsed().as_secs_f64(), resident));
        }
        sleep(Duration::from_millis(5));
    }
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.div_ceil(1024))
}

fn fit(table: &Path, memory: &str, rows: usize, folder: &Path) -> Result<()> {
    let (path, model, json) = (table.to_string_lossy(), folder.join("model.flow"), folder.join("fit.json"));
    let (model, report) = (model.to_string_lossy(), json.to_string_lossy());
    let arguments = ["fit", &path, "--out", &model, "--json", &report, "--memory", memory, "--quiet"];
    let (seconds, resident) = measure(&arguments, Stdio::null())?;
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&json)?)?;
    let figure = |name: &str| report[name].as_f64().with_context(|| format!("the report has no {name}"));
    let batch_rows = flowlet_trainer::train::Options::for_features(FEATURES).batch_rows as f64;
    println!(
        "| {} | {memory} | {} | {:.0} | {:.0} | {seconds:.0} | {} |",
        format_of(table),
        fs::metadata(table)?.len(),
        rows as f64 / figure("reading_seconds")?,
        figure("steps")? * batch_rows / figure("seconds")?,
        mebibytes(resident),
    );
    Ok(())
}

fn score(table: &Path, rows: usize, folder: &Path) -> Result<()> {
    let (model, path) = (folder.join("model.flow"), table.to_string_lossy());
    let (seconds, resident) = measure(&["score", &model.to_string_lossy(), &path], Stdio::null())?;
    println!("| {} | {:.0} | {} |", format_of(table), rows as f64 / seconds, mebibytes(resident));
    Ok(())
}

fn format_of(table: &Path) -> &'static str {
    if table.extension().is_some_and(|extension| extension == "parquet") { "Parquet" } else { "CSV" }
}

fn mebibytes(resident: Option<u64>) -> String {
    resident.map_or("-".to_owned(), |mebibytes| mebibytes.to_string())
}
