//! `cargo xtask bits`: whether emulated devices give the host's bits, for every layer family, in every direction.

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
    [("families", FAMILIES), ("families_f32", FLOATS), ("families_int8", QUANTIZED), ("families_fixed", FIXED)];

/// What was chosen on the command line.
pub struct Request {
    /// Readings for each family and direction on the Cortex-M4F.
    pub points: usize,
    /// The same on the other cores.
    pub elsewhere: usize,
    /// What runs the firmware.
    pub emulator: Backend,
}

/// Tasks that are sent to a device at once.
const AT_ONCE: usize = 8;

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
        // One after the other: cargo builds in one place.
        let programs: Vec<_> = PROGRAMS
            .iter()
            .map(|(example, lists)| {
                let firmware = build(&Build { board, example: Some(example), ..Build::default() })?;
                Ok((*example, *lists, firmware))
            })
            .collect::<Result<_>>()?;
        thread::scope(|scope| -> Result<()> {
            let running = programs.iter().map(|(name, lists, firmware)| {
                scope.spawn(move || compare(name, lists, firmware, request.emulator, points))
            });
            let running: Vec<_> = running.collect();
            for program in running {
                differing += program.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(())
        })?;
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
    let (mut bits, mut differing) = (0, 0);
    for tasks in tasks.chunks(AT_ONCE) {
        let (device, _) = on_device(emulator, firmware, tasks, &patient)?;
        for (task, device) in tasks.iter().zip(device) {
            for (host, device) in task.on_host().iter().flatten().zip(device.iter().flatten()) {
                bits += 32_u64;
                differing += (host ^ device).count_ones();
            }
        }
    }
    let (core, directions) = (firmware.board().core(), tasks.len());
    println!("| {core} | {name} | {directions} | {} | {bits} | {differing} |", directions * points);
    Ok(differing)
}
