//! `cargo xtask bits`: whether emulated devices give the host's bits, for every layer family, in every direction.

use std::thread;

use anyhow::{Result, ensure};
use flowlet_jobs::{FAMILIES, FIXED, FLOATS, Job, QUANTIZED};
use flowlet_tests::emulator::{Backend, Board, Build, Options, build};
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

/// What was compared on one board.
#[derive(Clone, Copy, Default)]
struct Compared {
    jobs: usize,
    readings: usize,
    bits: usize,
    differing: u32,
}

/// Compares, and prints a table.
pub fn run(request: &Request) -> Result<()> {
    setup::emulator(request.emulator)?;
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!("Host: {profile}. Emulator: {}.\n", request.emulator);
    println!(
        "| core | target | families and directions | readings | bits | differing |\n|---|---|---:|---:|---:|---:|"
    );
    let mut differing = 0;
    for board in Board::ALL {
        let points = if board == Board::default() { request.points } else { request.elsewhere };
        let Compared { jobs, readings, bits, differing: found } = compare(board, request.emulator, points)?;
        println!("| {} | {} | {jobs} | {readings} | {bits} | {found} |", board.core(), board.target());
        differing += found;
    }
    ensure!(differing == 0, "{differing} bits differ");
    Ok(())
}

fn compare(board: Board, emulator: Backend, points: usize) -> Result<Compared> {
    let firmware: Vec<_> = PROGRAMS
        .iter()
        .map(|(example, _)| build(&Build { board, example: Some(example), ..Build::default() }))
        .collect::<Result<_>>()?;
    let mut sum = Compared::default();
    thread::scope(|scope| {
        let programs = PROGRAMS.iter().zip(&firmware).map(|((_, lists), firmware)| {
            scope.spawn(move || -> Result<Compared> {
                let mut rng = ChaCha8Rng::seed_from_u64(1);
                let point = |values, n, rng: &mut _| {
                    // Half of them anything, half of them at an edge.
                    if n % 2 == 0 { any_point(values, n / 2, rng) } else { adversarial_point(values, n / 2, rng) }
                };
                let tasks = Task::all(lists, points, point, &mut rng);
                let (device, _) = on_device(emulator, firmware, &tasks, &Options::default())?;
                let mut compared =
                    Compared { jobs: tasks.len(), readings: tasks.len() * points, ..Compared::default() };
                for (task, device) in tasks.iter().zip(device) {
                    for (host, device) in task.on_host().iter().flatten().zip(device.iter().flatten()) {
                        compared.bits += 32;
                        compared.differing += (host ^ device).count_ones();
                    }
                }
                Ok(compared)
            })
        });
        let programs: Vec<_> = programs.collect();
        for program in programs {
            let found = program.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            sum.jobs += found.jobs;
            sum.readings += found.readings;
            sum.bits += found.bits;
            sum.differing += found.differing;
        }
        Ok(sum)
    })
}
