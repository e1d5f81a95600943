//! `cargo xtask demo`: from a CSV to alarms on a device, and the same bits on the host.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use flowlet::Assessment;
use flowlet_firmware::message::{Response, Statistics};
use flowlet_tests::emulator::{self, Backend, Build, Conversation, Cost, Outcome, Sections, build};
use flowlet_trainer::data::{Matrix, Table};
use flowlet_trainer::model::Model;
use flowlet_trainer::report::{Evaluation, Kind, Measures, to_json};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::setup;

/// The column that names the fault of a test reading.
const FAULT: &str = "fault";

/// The column that is 1 for test readings with a fault.
const LABEL: &str = "anomaly";

/// The column that counts the rig's load cycles.
const GROUP: &str = "cycle";

/// The units of the rig's sensors.
const UNITS: &str = "ts1=degC,ts2=degC,ts3=degC,ts4=degC,vs1=mm/s,ce=%,cp=kW,se=%";

/// Readings under way at once. One: while the device scores, no byte arrives, so that what it measures with its own
/// timer has no interrupts in it.
const WINDOW: usize = 1;

/// Nanoseconds of a SysTick tick and of an instruction in QEMU, as it is started here: -icount shift=6 and 25 MHz.
const QEMU_NANOSECONDS: (f64, f64) = (40.0, 64.0);

/// What the command line chose.
pub struct Options {
    /// What runs the firmware.
    pub emulator: Backend,
    /// Seed of the fit.
    pub seed: u64,
    /// Where the figures go.
    pub json: Option<PathBuf>,
    /// Where the model goes.
    pub out: Option<PathBuf>,
}

/// The demo's figures.
#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    evaluation: Evaluation,
    emulator: String,
    /// Bits of log-density and p-value in which the device differs from the host, over all readings.
    differing_bits: u64,
    instructions_per_score: f64,
    instructions_max: u64,
    code_bytes: i64,
    model_bytes: i64,
    static_ram_bytes: i64,
    stack_bytes: u64,
}

/// The test readings, as they come off the rig.
struct Readings {
    values: Matrix,
    anomalous: Vec<bool>,
    faults: Vec<String>,
    fault_of: Vec<usize>,
}

pub fn run(options: &Options) -> Result<()> {
    setup::emulator(options.emulator)?;
    let data = setup::root().join("tests/data/hydraulic");
    let directory = options.out.clone().unwrap_or_else(|| setup::target_directory().join("demo"));
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let model_path = std::path::absolute(directory.join("pump.flow"))?;

    step(1, "fit, quantize and calibrate on the rig's normal readings");
    fit(&data.join("train_normal.csv"), &model_path, options.seed)?;
    let model = read_model(&model_path)?;
    let twin = read_model(&model_path.with_extension("f32.flow"))?;

    step(2, "build the firmware with that model linked in");
    let firmware = build(&Build { model: Some(model_path.with_extension("rs")), ..Build::default() })?;
    let baseline = build(&Build { baseline: true, ..Build::default() })?;
    let cost = Sections::of(firmware.elf())?.over(&Sections::of(baseline.elf())?, model.body().len())?;
    println!("{} bytes of model and {} bytes of code to score it", cost.model_bytes, cost.code_bytes);

    step(3, &format!("stream the test readings to an emulated Cortex-M4F ({}) over its UART", options.emulator));
    let readings = read(&data.join("test.csv"), &model)?;
    let progress = ProgressBar::new(readings.values.rows() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {pos}/{len} readings, {eta} left").expect("the template is well-formed"),
    );
    progress.enable_steady_tick(Duration::from_millis(200));
    let watch = progress.clone();
    let mut conversation = Conversation::new(readings.values.iter_rows().map(<[f32]>::to_vec).collect(), WINDOW)
        .watched(move |_| watch.inc(1));
    let counted = emulator::Options { count: Some("flowlet_score".to_owned()), ..emulator::Options::default() };
    let outcome = emulator::run(options.emulator, &firmware, &mut conversation, &counted)?.check()?;
    let answers = conversation.finish()?;
    progress.finish_and_clear();

    step(4, "compare the device with the host");
    let cost = Costs { size: cost, statistics: answers.statistics, outcome };
    report(options, &readings, &answers.readings, &model, &twin, &cost)
}

fn step(number: usize, what: &str) {
    println!("\n== {number}. {what}\n");
}

/// Runs the command that a user runs.
fn fit(readings: &Path, model: &Path, seed: u64) -> Result<()> {
    let mut command = setup::flowlet();
    command.arg("fit").arg(readings).arg("--out").arg(model);
    // The fastest flow that is fitted well.
    command.args([
        "--family",
        "realnvp",
        "--label",
        LABEL,
        "--group",
        GROUP,
        "--unit",
        UNITS,
        "--seed",
        &seed.to_string(),
    ]);
    setup::run(&mut command)
}

fn read_model(path: &Path) -> Result<Model> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Model::from_bytes(&bytes).with_context(|| path.display().to_string())
}

fn read(path: &Path, model: &Model) -> Result<Readings> {
    let table = Table::read(path)?;
    let names: Vec<String> = model.metadata().features.iter().map(|feature| feature.name.clone()).collect();
    let columns = table.columns_of(&names, None)?;
    let rows: Vec<usize> = (0..table.rows()).collect();
    let (faults, fault_of) = table.groups(table.column(FAULT, None)?);
    Ok(Readings {
        values: table.matrix(&rows, &columns)?,
        anomalous: table.labels(table.column(LABEL, None)?)?,
        faults,
        fault_of,
    })
}

fn report(
    options: &Options,
    readings: &Readings,
    answers: &[Response],
    model: &Model,
    twin: &Model,
    cost: &Costs,
) -> Result<()> {
    let score = |model: &Model| -> Result<Vec<Assessment>> {
        let scorer = model.scorer();
        readings.values.iter_rows().map(|reading| Ok(scorer.assess(reading, &[])?)).collect()
    };
    let (host, twin) = (score(model)?, score(twin)?);
    let device: Vec<Assessment> = answers.iter().map(assessment).collect::<Result<_>>()?;
    let differing_bits: u64 = host.iter().zip(&device).map(|(host, device)| u64::from(differing(host, device))).sum();

    // All that follows is the device's word.
    let kinds = readings.faults.iter().enumerate();
    let evaluation = Evaluation {
        model: Measures::new(&device, &readings.anomalous),
        twin: Some(Measures::new(&twin, &readings.anomalous)),
        by: Some(
            kinds
                .map(|(kind, name)| (name.clone(), Kind::new(&device, &readings.anomalous, &readings.fault_of, kind)))
                .collect::<BTreeMap<_, _>>(),
        ),
        per: None,
    };
    let (instructions_per_score, instructions_max, stack_bytes) = cost.of_a_score()?;
    let figures = Figures {
        evaluation,
        emulator: options.emulator.to_string(),
        differing_bits,
        instructions_per_score,
        instructions_max,
        code_bytes: cost.size.code_bytes,
        model_bytes: cost.size.model_bytes,
        static_ram_bytes: cost.size.static_ram_bytes,
        stack_bytes,
    };

    alarms(readings, &host, &device);
    println!("{}", figures.evaluation);
    println!("{:<34}{:>10}", "readings scored on the device", device.len());
    println!("{:<34}{:>10}", "bits that differ from the host's", figures.differing_bits);
    println!("{:<34}{:>10.0}", "instructions a score, mean", figures.instructions_per_score);
    println!("{:<34}{:>10}", "instructions a score, most", figures.instructions_max);
    println!("{:<34}{:>10}", "flash for the model (bytes)", figures.model_bytes);
    println!("{:<34}{:>10}", "flash for the code (bytes)", figures.code_bytes);
    println!("{:<34}{:>10}", "static RAM (bytes)", figures.static_ram_bytes);
    println!("{:<34}{:>10}", "stack of a score (bytes)", figures.stack_bytes);
    if let Some(json) = &options.json {
        fs::write(json, to_json(&figures)).with_context(|| format!("cannot write {}", json.display()))?;
    }
    ensure!(figures.differing_bits == 0, "the device differs from the host in {differing_bits} bits");
    let ram = model.core().ram();
    ensure!(stack_bytes <= ram as u64, "a score took {stack_bytes} bytes of stack, more than the model's RAM of {ram}");
    Ok(())
}

/// Bits of log-density and p-value that differ.
fn differing(host: &Assessment, device: &Assessment) -> u32 {
    let bits = |a: f32, b: f32| (a.to_bits() ^ b.to_bits()).count_ones();
    bits(host.log_prob, device.log_prob) + bits(host.p_value, device.p_value)
}

/// The first alarm of each fault on the device, with the host's score beside it.
fn alarms(readings: &Readings, host: &[Assessment], device: &[Assessment]) {
    println!("first alarm of each kind of reading");
    println!("{:<20}{:>9}{:>14}{:>14}{:>12}", "", "reading", "device score", "host score", "p-value");
    for (kind, name) in readings.faults.iter().enumerate() {
        let first = (0..device.len()).find(|&row| readings.fault_of[row] == kind && device[row].alarm);
        let Some(row) = first else {
            println!("{name:<20}{:>9}", "none");
            continue;
        };
        let (device, host) = (device[row], host[row]);
        println!("{name:<20}{row:>9}{:>14.5}{:>14.5}{:>12.5}", device.score(), host.score(), device.p_value);
    }
    println!();
}

/// What the device made of a reading.
fn assessment(answer: &Response) -> Result<Assessment> {
    match *answer {
        Response::Assessment { log_prob, p_value, alarm, .. } => Ok(Assessment { log_prob, p_value, alarm }),
        ref other => bail!("the device did not score a reading: {other:?}"),
    }
}

/// What was measured on the device.
struct Costs {
    size: Cost,
    statistics: Statistics,
    outcome: Outcome,
}

impl Costs {
    /// Mean and most instructions of a score, and its deepest stack.
    fn of_a_score(&self) -> Result<(f64, u64, u64)> {
        let measured = self.statistics.measured;
        let painted = u64::from(measured.stack.context("the firmware measures its stack")?);
        if let Some(counts) = self.outcome.counts {
            let calls = counts.calls;
            return Ok((calls.instructions_mean(), calls.instructions_max, painted.max(u64::from(calls.stack_max))));
        }
        let ticks = measured.ticks.context("the firmware measures its time")?;
        let instructions = |ticks: f64| ticks * QEMU_NANOSECONDS.0 / QEMU_NANOSECONDS.1;
        let calls = f64::from(ticks.calls);
        Ok((instructions(ticks.total as f64) / calls, instructions(f64::from(ticks.max)).round() as u64, painted))
    }
}
