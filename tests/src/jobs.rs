//! Lets an emulated device evaluate what the host evaluates: see `firmware/boards/emulated/src/stream.rs`.

use anyhow::{Result, ensure};
use flowlet_jobs::{Job, MOST_VALUES};
use rand::{Rng, RngExt};

use crate::emulator::{self, Backend, Image, Options, Outcome, Peer};
use crate::models::{Aligned, Style, image};

/// The list that ends the stream.
const END: u8 = 255;

/// A job with parameters and points.
pub struct Task {
    /// What to evaluate.
    pub job: &'static Job,
    /// Its list and its place in that.
    place: [u8; 2],
    parameters: Aligned,
    points: Vec<Vec<f32>>,
}

/// The bits of the results at each point. All NaNs are one.
pub type Results = Vec<Vec<u32>>;

impl Task {
    /// All jobs of some lists, each with random parameters and as many points, which `point` makes of their number of
    /// values and their place in the row.
    ///
    /// # Panics
    /// If there are more than 255 lists, or jobs in one.
    pub fn all<R: Rng>(
        lists: &'static [&'static [Job]],
        points: usize,
        point: impl Fn(usize, usize, &mut R) -> Vec<f32>,
        rng: &mut R,
    ) -> Vec<Self> {
        let place = |index: usize| u8::try_from(index).ok().filter(|&index| index < END).expect("a short list");
        let mut tasks = Vec::new();
        for (list, jobs) in lists.iter().enumerate() {
            for (index, job) in jobs.iter().enumerate() {
                tasks.push(Self {
                    job,
                    place: [place(list), place(index)],
                    parameters: Aligned::new(&image(job.schema, Style::Fitted, rng)),
                    points: (0..points).map(|n| point(job.values, n, rng)).collect(),
                });
            }
        }
        tasks
    }

    /// Bytes of the parameters.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parameters.bytes().len()
    }

    /// How many points there are.
    #[must_use]
    pub fn points(&self) -> usize {
        self.points.len()
    }

    /// The host's results.
    ///
    /// # Panics
    /// If the parameters are not the job's.
    pub fn on_host(&self) -> Results {
        let evaluate = |point: &Vec<f32>| {
            let mut results = [0.0; MOST_VALUES];
            let found = (self.job.evaluate)(self.parameters.bytes(), point, &mut results).expect("the job's sizes");
            results[..found].iter().map(|value| if value.is_nan() { f32::NAN } else { *value }.to_bits()).collect()
        };
        self.points.iter().map(evaluate).collect()
    }

    fn write(&self, stream: &mut Vec<u8>) {
        stream.extend(self.place);
        stream.extend((self.parameters.bytes().len() as u32).to_le_bytes());
        stream.extend((self.points.len() as u16).to_le_bytes());
        stream.extend(self.parameters.bytes());
        stream.extend(self.points.iter().flatten().flat_map(|value| value.to_le_bytes()));
    }
}

/// A point like those that a model was fitted on.
pub fn ordinary_point(values: usize, _: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..values).map(|_| rng.random_range(-2.0..2.0)).collect()
}

/// Where a model was fitted, beside it, and so far off that f32 overflows; rarely any bits at all.
pub fn any_point(values: usize, n: usize, rng: &mut impl Rng) -> Vec<f32> {
    let spread = [1.0, 3.0, 1e-3, 30.0, 1e6, 1e38][n % 6];
    let mut value = || match n % 24 {
        23 => f32::from_bits(rng.random()),
        _ => rng.random_range(-spread..spread),
    };
    (0..values).map(|_| value()).collect()
}

/// Values at which something changes: zeros, subnormal numbers, ties of roundings, ends of ranges, bounds and bins, where
/// int16 and fixed-point numbers saturate, and the neighbours of each.
pub fn adversarial_point(values: usize, n: usize, rng: &mut impl Rng) -> Vec<f32> {
    const EDGES: [f32; 20] = [
        0.0,
        f32::MIN_POSITIVE,
        1e-45,
        f32::EPSILON,
        1.0 / 65_536.0,
        0.125,
        0.5,
        1.0,
        1.5,
        2.0,
        3.0,
        4.0,
        5.0,
        8.0,
        16.0,
        1e4,
        32_767.0,
        32_768.0,
        1e38,
        f32::MAX,
    ];
    // One feature at an edge, all of them, or all at multiples of a bin's width.
    let mut value = |index: usize| {
        let edge = EDGES[rng.random_range(0..EDGES.len())];
        let edge = match rng.random_range(0..3) {
            0 => edge,
            1 => edge.next_down(),
            _ => edge.next_up(),
        };
        let ordinary = rng.random_range(-2.0..2.0_f32);
        let signed = if rng.random() { edge } else { -edge };
        match n % 3 {
            0 if index != n / 3 % values => ordinary,
            2 => (ordinary * 8.0).round() / 8.0 * if rng.random() { 1.0 } else { 2.5 },
            _ => signed,
        }
    };
    (0..values).map(&mut value).collect()
}

/// The device's results for each task, and how its run ended.
///
/// # Errors
/// If the emulator or the firmware fails, or the device sends another number of results than the host has.
pub fn on_device(
    backend: Backend,
    firmware: &Image,
    tasks: &[Task],
    options: &Options,
) -> Result<(Vec<Results>, Outcome)> {
    let mut peer = Supply::default();
    tasks.iter().for_each(|task| task.write(&mut peer.stream));
    peer.stream.push(END);
    let outcome = emulator::run(backend, firmware, &mut peer, options)?.check()?;
    let host: Vec<Results> = tasks.iter().map(Task::on_host).collect();
    let expected: usize = host.iter().flatten().map(Vec::len).sum();
    ensure!(peer.results.len() == expected, "the device sent {} results, expected {expected}", peer.results.len());
    let mut results = peer.results.into_iter();
    let device =
        host.iter().map(|task| task.iter().map(|point| results.by_ref().take(point.len()).collect()).collect());
    Ok((device.collect(), outcome))
}

/// Sends what the device asks for, and keeps its results.
#[derive(Default)]
struct Supply {
    stream: Vec<u8>,
    sent: usize,
    asked: usize,
    message: Vec<u8>,
    results: Vec<u32>,
}

impl Peer for Supply {
    fn transmit(&mut self) -> Option<u8> {
        let byte = (self.sent < self.asked).then(|| self.stream.get(self.sent).copied()).flatten();
        self.sent += usize::from(byte.is_some());
        byte
    }

    fn receive(&mut self, byte: u8) {
        self.message.push(byte);
        match self.message[..] {
            [b'?', count] => self.asked += usize::from(count),
            [b'=', a, b, c, d] => self.results.push(u32::from_le_bytes([a, b, c, d])),
            _ => return,
        }
        self.message.clear();
    }
}
