//! `cargo xtask bits`: whether emulated devices give the host's bits, for every layer family, in every direction.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use flowlet_jobs::{FAMILIES, FIXED, FLOATS, Job, QUANTIZED};
use flowlet_tests::emulator::{Backend, Board, Build, Image, Options, build};
use flowlet_tests::jobs::{Task, adversarial_point, any_point, on_device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::setup;

/// The programs that have all families, with their lists.
const PROGRAMS: [(&str, &[&[Job]]); 4] =
    [("families_int8", QUANTIZED), ("families_f32", FLOATS), ("families", FAMILIES), ("families_fixed", FIXED)];

/// What was chosen on the command line.
pub struct Request {
    /// Readings for each family and direction on the Cortex-M4F.
    pub points: usize,
    /// The same on the other cores.
    pub elsewhere: usize,
    /// What runs the firmware.
    pub emulator: Backend,
}

/// Readings that are sent to a device in one run, if one job has no more.
const AT_ONCE: usize = 10_000;

/// Compares, and prints a row of a table for each core and program as soon as it is done.
pub fn run(request: &Request) -> Result<()> {
    setup::emulator(request.emulator)?;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("Host: {profile}. Emulator: {}.\n", request.emulator);
    println!(
        "| core | families | directions of families | readings | bits | differing |\n|---|---|---:|---:|---:|---:|"
    );
    let mut differing = 0;
    for board in Board::ALL {
        let points = if board == Board::default() { request.points } else { request.elsewhere };
        for (name, lists) in PROGRAMS {
            let firmware = build(&Build { board, example: Some(name), ..Build::default() })?;
            differing += compare(name, lists, &firmware, request.emulator, points)?;
        }
    }
    ensure!(differing == 0, "{differing} bits differ");
    Ok(())
}

/// How many bits of a program's results differ.
fn compare(
    name: &str,
    lists: &'static [&'static [Job]],
    firmware: &Image,
    emulator: Backend,
    points: usize,
) -> Result<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let point = |values, n, rng: &mut _| {
        // Half of them anything, half of them at an edge.
        if n % 2 == 0 { any_point(values, n / 2, rng) } else { adversarial_point(values, n / 2, rng) }
    };
    let tasks = Task::all(lists, points, point, &mut rng);
    let patient = Options { timeout: Duration::from_secs(24 * 3600), instructions: u64::MAX, ..Options::default() };
    let waiting = Mutex::new(tasks.chunks((AT_ONCE / points).max(1)));
    let worker = || -> Result<(u64, u32)> {
        let (mut bits, mut differing) = (0, 0);
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(tasks) = next else { return Ok((bits, differing)) };
            let (device, _) = on_device(emulator, firmware, tasks, &patient)?;
            for (task, device) in tasks.iter().zip(device) {
                for (host, device) in task.on_host().iter().flatten().zip(device.iter().flatten()) {
                    bits += 32;
                    differing += (host ^ device).count_ones();
                }
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (mut bits, mut differing) = (0, 0);
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            let found = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            bits += found.0;
            differing += found.1;
        }
        Ok(())
    })?;
    let (core, directions) = (firmware.board().core(), tasks.len());
    println!("| {core} | {name} | {directions} | {} | {bits} | {differing} |", directions * points);
    Ok(differing)
}
