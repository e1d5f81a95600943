//! Flow matching: a continuous flow's velocity by regression, without integrating it (Lipman, Chen, Ben-Hamu, Nickel,
//! Le, "Flow matching for generative modeling", 2023, equation 23 with σ = 0).
//!
//! A row x₁, a point z of the base and a time t give a point on the straight line between them and the velocity there,
//!
//! > x_t = (1 - t) z + t x₁, u = x₁ - z,
//!
//! and a net that minimizes E |v(x_t, t) - u|² is the velocity of a flow that carries the base to the data.
//!
//! Lines that cross leave the net their mean, and a path that bends. So the points of a chunk's rows are paired with
//! them such that the sum of |x₁ - z|² is least (Tong et al., "Improving and generalizing flow-based generative models
//! with minibatch optimal transport", 2024): the lines then hardly cross, and few steps of a solver follow the paths.
//! With a context there is no pairing: it would leave each context with some of the base only.
//!
//! A fit keeps the weights of the lowest loss over held-back rows, of this loss and not of the log-density: that needs
//! hundreds of evaluations of the net for each row, this one needs [`DRAWS`], the same in each pass.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

use super::assignment::assign;
use super::descent::{Loss, Rows, add_up};
use super::error::FitError;
use super::objective::{CHUNK_ROWS, Worker as Gathering};
use super::options::Options;
use super::random::{Stream, stream};
use super::real::Real;
use super::tape::Tape;
use super::windows::Windows;
use crate::net::Net;

/// Points of the base and times for each validation row.
const DRAWS: usize = 8;

/// The mean of |v(x_t, t) - u|².
pub(super) struct Matching<'a> {
    /// D + 1 + C inputs (features, t, context), D outputs.
    net: &'a Net,
    rows: Rows<'a>,
    windows: Windows<'a>,
    seed: u64,
    workers: Vec<Worker<f32>>,
}

impl<'a> Matching<'a> {
    pub fn new(net: &'a Net, rows: Rows<'a>, options: &Options) -> Self {
        let mut workers = Vec::new();
        workers.resize_with(options.batch_rows.div_ceil(CHUNK_ROWS), Worker::default);
        let windows = Windows::new(rows.training, options.seed);
        Self { net, rows, windows, seed: options.seed, workers }
    }

    /// Fails if training rows could not be read.
    pub fn checked(&mut self) -> Result<(), FitError> {
        self.windows.checked()
    }
}

/// What one task needs; reused from step to step.
#[derive(Debug, Default)]
struct Worker<T> {
    /// The rows.
    ends: Gathering<T>,
    lines: Lines<T>,
    tape: Tape<T>,
    gradient: Vec<T>,
    loss: f64,
}

/// Points on lines from the base to rows, feature-major.
#[derive(Debug, Default)]
struct Lines<T> {
    rows: usize,
    /// x_t, t, context.
    points: Vec<T>,
    /// u.
    velocities: Vec<T>,
}

impl Loss for Matching<'_> {
    fn rows(&self) -> usize {
        self.windows.rows()
    }

    fn pass_rows(&self, pass: usize) -> usize {
        self.windows.pass_rows(pass)
    }

    fn begin(&mut self, pass: usize) -> bool {
        self.windows.begin(pass)
    }

    fn mark_decayed(&self, marks: &mut [bool]) {
        self.net.mark_weights(marks);
    }

    fn gradient(&mut self, parameters: &[f32], rows: &[usize], step: usize, gradient: &mut [f32]) -> f64 {
        let Self { net, rows: table, ref windows, seed, ref mut workers } = *self;
        let (window, share) = (windows.current(), 1.0 / rows.len() as f32);
        let first_chunk = step * workers.len();
        let workers = &mut workers[..rows.len().div_ceil(CHUNK_ROWS)];
        workers.par_iter_mut().zip(rows.par_chunks(CHUNK_ROWS)).enumerate().for_each(|(chunk, (worker, rows))| {
            let mut rng = stream(seed, Stream::Noise((first_chunk + chunk) as u64));
            let ends = &mut worker.ends;
            ends.gather(rows.iter().map(|row| window.row(*row)), table.features, table.context());
            table.add_noise(&mut ends.batch, 1.0, &mut rng);
            worker.lines.draw(ends.batch.values(), &ends.context, rows.len(), &mut rng);
            worker.differentiate(net, parameters, share);
        });
        add_up(gradient, workers.iter().map(|worker| &worker.gradient));
        workers.iter().map(|worker| worker.loss).sum()
    }

    fn validation(&self, parameters: &[f32]) -> f64 {
        let Self { net, rows: Rows { validation, features, .. }, seed, .. } = *self;
        let share = 1.0 / (validation.rows() * DRAWS) as f32;
        let starts: Vec<usize> = (0..validation.rows()).step_by(CHUNK_ROWS).collect();
        let losses: Vec<f64> = starts
            .par_iter()
            .map_init(Worker::default, |worker: &mut Worker<f32>, start| {
                let mut rng = stream(seed, Stream::Draws((start / CHUNK_ROWS) as u64));
                let rows = *start..validation.rows().min(start + CHUNK_ROWS);
                let (count, ends) = (rows.len(), &mut worker.ends);
                ends.gather(rows.map(|row| validation.row(row)), features, validation.columns() - features);
                let draw = |_| {
                    worker.lines.draw(worker.ends.batch.values(), &worker.ends.context, count, &mut rng);
                    worker.evaluate(net, parameters, share);
                    worker.tape.clear();
                    worker.loss
                };
                (0..DRAWS).map(draw).sum()
            })
            .collect();
        losses.iter().sum()
    }
}

impl Lines<f32> {
    /// Draws a line to every one of `rows` rows, feature-major in `ends`, and a place on it.
    fn draw(&mut self, ends: &[f32], context: &[f32], rows: usize, rng: &mut ChaCha8Rng) {
        self.rows = rows;
        let mut starts: Vec<f32> = (0..ends.len()).map(|_| rng.sample(StandardNormal)).collect();
        if context.is_empty() {
            starts = pair(&starts, ends, rows);
        }
        // One time in each of as many parts of [0, 1), since their mean has less variance than that of independent ones.
        let mut times: Vec<f32> = (0..rows).map(|part| (part as f32 + rng.random::<f32>()) / rows as f32).collect();
        times.shuffle(rng);
        self.velocities.clear();
        self.velocities.extend(ends.iter().zip(&starts).map(|(end, start)| end - start));
        self.points.clear();
        for (start, velocity) in starts.chunks_exact(rows).zip(self.velocities.chunks_exact(rows)) {
            let line = start.iter().zip(velocity).zip(&times);
            self.points.extend(line.map(|((start, velocity), time)| start + time * velocity));
        }
        self.points.extend_from_slice(&times);
        self.points.extend_from_slice(context);
    }
}

/// The points `starts` in the order in which each goes with the row of `ends` of its place, both feature-major.
fn pair(starts: &[f32], ends: &[f32], rows: usize) -> Vec<f32> {
    let mut cost = vec![0.0; rows * rows];
    for (start, end) in starts.chunks_exact(rows).zip(ends.chunks_exact(rows)) {
        for (cost, end) in cost.chunks_exact_mut(rows).zip(end) {
            cost.iter_mut().zip(start).for_each(|(cost, start)| *cost += (end - start).powi(2));
        }
    }
    let start_of = assign(rows, &cost);
    starts.chunks_exact(rows).flat_map(|feature| start_of.iter().map(|start| feature[*start])).collect()
}

impl<T: Real> Worker<T> {
    /// Sets `self.loss` to the squared errors at `self.lines`, summed and times `share`; returns the errors.
    fn evaluate(&mut self, net: &Net, parameters: &[T], share: T) -> Vec<T> {
        let input = self.tape.copy_of(&self.lines.points);
        let mut errors = net.forward(parameters, input, self.lines.rows, &mut self.tape);
        for (error, velocity) in errors.iter_mut().zip(&self.lines.velocities) {
            *error -= *velocity;
        }
        self.loss = share.wide() * errors.iter().map(|error| error.wide().powi(2)).sum::<f64>();
        errors
    }

    /// As [`Self::evaluate`], and sets `self.gradient` to the loss's gradient.
    fn differentiate(&mut self, net: &Net, parameters: &[T], share: T) {
        let mut errors = self.evaluate(net, parameters, share);
        errors.iter_mut().for_each(|error| *error *= share + share);
        self.gradient.clear();
        self.gradient.resize(parameters.len(), T::zero());
        let inputs = net.backward(parameters, &mut self.tape, errors, self.lines.rows, &mut self.gradient);
        self.tape.recycle(inputs);
        debug_assert!(self.tape.is_empty(), "every layer pops what it pushed");
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::net::{Activation, Body, Hidden};

    fn rng(seed: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed)
    }

    fn normal<T: Real>(count: usize, rng: &mut ChaCha8Rng) -> Vec<T> {
        (0..count).map(|_| T::of(f64::from(rng.sample::<f32, _>(StandardNormal)))).collect()
    }

    #[test]
    fn lines_lead_from_the_base_to_the_rows() {
        const ROWS: usize = 40;
        let mut rng = rng(1);
        let (ends, context) = (normal::<f32>(2 * ROWS, &mut rng), normal::<f32>(ROWS, &mut rng));
        for context in [&[][..], &context] {
            let mut lines = Lines::default();
            let (mut sum, mut squares, mut length) = (0.0, 0.0, 0.0);
            for _ in 0..50 {
                lines.draw(&ends, context, ROWS, &mut rng);
                let (points, rest) = lines.points.split_at(2 * ROWS);
                let (times, behind) = rest.split_at(ROWS);
                assert_eq!(behind, context);
                let mut parts: Vec<usize> = times.iter().map(|time| (time * ROWS as f32) as usize).collect();
                parts.sort_unstable();
                assert!(parts.into_iter().eq(0..ROWS), "a time in every part");
                for (index, velocity) in lines.velocities.iter().enumerate() {
                    let time = times[index % ROWS];
                    assert!((points[index] + (1.0 - time) * velocity - ends[index]).abs() < 1e-5);
                    let start = f64::from(points[index] - time * velocity);
                    (sum, squares) = (sum + start, squares + start * start);
                    length += f64::from(velocity * velocity);
                }
            }
            let count = (50 * 2 * ROWS) as f64;
            assert!((sum / count).abs() < 0.06 && (squares / count - 1.0).abs() < 0.08, "the base is standard normal");
            // E|x - z|² is 2 for each feature of independent ones, and next to nothing of the nearest.
            assert!(if context.is_empty() { length / count < 0.4 } else { length / count > 1.6 }, "{}", length / count);
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let hidden = Hidden { units: 8, deep: 1, body: Body::Plain, activation: Activation::Tanh };
        let net = Net::dense(3, 1, 2, hidden);
        let mut rng = rng(2);
        let mut parameters: Vec<f64> = normal(net.parameters(), &mut rng);
        let lines = Lines { rows: 5, points: normal(4 * 5, &mut rng), velocities: normal(2 * 5, &mut rng) };
        let mut worker = Worker { lines, ..Worker::default() };
        worker.differentiate(&net, &parameters, 0.2);
        let gradient = worker.gradient.clone();
        assert!(gradient.iter().any(|value| value.abs() > 0.1));
        for (index, found) in gradient.iter().enumerate() {
            let mut loss = |change: f64| {
                let kept = parameters[index];
                parameters[index] += change;
                worker.evaluate(&net, &parameters, 0.2);
                worker.tape.clear();
                parameters[index] = kept;
                worker.loss
            };
            let numerical = (loss(1e-5) - loss(-1e-5)) / 2e-5;
            assert!((found - numerical).abs() < 1e-7 * (1.0 + numerical.abs()), "{index}: {found} {numerical}");
        }
    }
}
