//! What comes out of a fit is a probability density, quantized or not: it integrates to 1, and its samples follow it.
//!
//! Integration is independent of the layers' own formulas: a wrong sign in a log-determinant passes every round trip and
//! fails here.

use std::f64::consts::{PI, SQRT_2};
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

use clap::ValueEnum;
use flowlet::{AffineCoupling, Chain, Detector, Float, Flow, Int8, Standardize};
use flowlet_tests::densities::densities;
use flowlet_tests::gallery::{Purpose, has_int8, matrix, metadata, points};
use flowlet_tests::models::{Style, body, host_model};
use flowlet_trainer::data::{Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::export::Written;
use flowlet_trainer::fitting::{Fitted, fit};
use flowlet_trainer::model::{Model, Scorer};
use flowlet_trainer::quantization::post_training;
use flowlet_trainer::train::{self, Architecture, Family, Options, TrainingData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A short fit to points in the plane.
fn fitted(couplings: usize, mut point: impl FnMut() -> [f32; 2]) -> Fitted {
    let mut csv = "x,y\n".to_owned();
    for _ in 0..4000 {
        let [x, y] = point();
        csv += &format!("{x},{y}\n");
    }
    let table = Table::parse("generated", csv.as_bytes()).expect("a table");
    let readings = Readings::for_fitting(&table, &Roles::default()).expect("readings");
    let split = Split::new(&readings, &SplitOptions::default()).expect("enough rows");
    let calibration = readings.values.select(&split.calibration);
    let options = Options {
        architecture: Architecture { layers: couplings, hidden: 16, bound: 2.0, ..Architecture::for_features(2) },
        steps: 1500,
        ..Options::for_features(2)
    };
    fit(&readings, &split, &calibration, 0.01, &options, &mut (), &AtomicBool::new(false)).expect("a fit")
}

/// Two interleaved half circles, in units of their own.
static MOONS: LazyLock<Fitted> = LazyLock::new(|| {
    let mut rng = rng(1);
    fitted(6, || {
        let angle = rng.random_range(0.0..PI);
        let (x, y) = if rng.random() { (angle.cos(), angle.sin()) } else { (1.0 - angle.cos(), 0.5 - angle.sin()) };
        let mut noise = || 0.1 * rng.sample::<f64, _>(StandardNormal);
        [(100.0 + 20.0 * (x + noise())) as f32, (0.1 * (y + noise())) as f32]
    })
});

/// A banana: a parabola with noise, lightly correlated tails.
static BANANA: LazyLock<Fitted> = LazyLock::new(|| {
    let mut rng = rng(2);
    fitted(4, || {
        let (a, b): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        [a as f32, (0.5 * a * a + 0.4 * b) as f32]
    })
});

/// A model in both number formats.
fn both(fitted: &Fitted) -> [(&'static str, &Model); 2] {
    [("int8", &fitted.model), ("f32", &fitted.twin)]
}

/// A grid of equal cells that covers a model's mass.
struct Grid {
    low: [f64; 2],
    width: [f64; 2],
    cells: usize,
}

impl Grid {
    /// Around a model's own samples, with a margin.
    fn around(scorer: &Scorer<'_>, cells: usize) -> Self {
        let mut rng = rng(3);
        let (mut low, mut high) = ([f64::MAX; 2], [f64::MIN; 2]);
        for _ in 0..20_000 {
            for (axis, value) in scorer.sample(&mut rng, &[]).into_iter().enumerate() {
                low[axis] = low[axis].min(f64::from(value));
                high[axis] = high[axis].max(f64::from(value));
            }
        }
        let width: [f64; 2] = std::array::from_fn(|axis| (high[axis] - low[axis]) * 1.3 / cells as f64);
        Self { low: std::array::from_fn(|axis| low[axis] - 0.15 / 1.3 * width[axis] * cells as f64), width, cells }
    }

    /// A square around the origin, for densities that cannot be sampled.
    fn square(half_width: f64, cells: usize) -> Self {
        Self { low: [-half_width; 2], width: [2.0 * half_width / cells as f64; 2], cells }
    }

    /// The probability of every cell, by the midpoint rule on `fine` by `fine` points, row after row.
    fn probabilities(&self, scorer: &Scorer<'_>, fine: usize) -> Vec<f64> {
        let area = self.width[0] * self.width[1] / (fine * fine) as f64;
        let mut probabilities = vec![0.0; self.cells * self.cells];
        for i in 0..self.cells * fine {
            for j in 0..self.cells * fine {
                let at = [i, j].map(|index| (index as f64 + 0.5) / fine as f64);
                let x: [f32; 2] = std::array::from_fn(|axis| (self.low[axis] + at[axis] * self.width[axis]) as f32);
                let log_prob = scorer.log_prob(&x, &[]).expect("a density");
                probabilities[i / fine * self.cells + j / fine] += f64::from(log_prob).exp() * area;
            }
        }
        probabilities
    }

    /// The cell of a point.
    fn cell(&self, x: &[f32]) -> Option<usize> {
        let index = |axis: usize| {
            let index = ((f64::from(x[axis]) - self.low[axis]) / self.width[axis]).floor();
            (0.0..self.cells as f64).contains(&index).then_some(index as usize)
        };
        Some(index(0)? * self.cells + index(1)?)
    }
}

#[test]
fn fitted_densities_in_the_plane_integrate_to_one() {
    for (data, fitted) in [("moons", &*MOONS), ("banana", &*BANANA)] {
        for (format, model) in both(fitted) {
            let scorer = model.scorer();
            let integral: f64 = Grid::around(&scorer, 20).probabilities(&scorer, 30).iter().sum();
            println!("{data}, {format}: {integral}");
            assert!((integral - 1.0).abs() < 1e-3, "{data}, {format}: {integral}");
        }
    }
}

#[test]
fn every_family_has_densities_that_integrate_to_one() {
    let all = densities();
    let moons = all.iter().find(|density| density.name == "two moons").expect("a known density");
    let rows = |purpose, count| matrix(&points(moons, purpose, count));
    let (training, validation) = (rows(Purpose::Training, 2000), rows(Purpose::Validation, 500));
    for &family in Family::value_variants() {
        let default = Architecture::of(family, 2);
        let layers = default.layers.min(4);
        let options = Options {
            architecture: Architecture { layers, hidden: 16, ..default },
            steps: 300,
            ..Options::for_features(2)
        };
        let data = TrainingData {
            features: 2,
            training: &training,
            stored: None,
            validation: &validation,
            quantization_steps: &[0.0; 2],
        };
        let fit = train::fit(data, &options, &mut (), &AtomicBool::new(false)).expect("a fit");
        let model = |written: &Written| written.model(&fit.model, metadata(0)).expect("a model that a device accepts");
        let mut models = vec![("f32", model(&Written::float(&fit.model)))];
        if has_int8(family) {
            let quantized = post_training(&fit.model, &training, &validation);
            models.push(("int8", model(&quantized.written)));
        }
        for (format, model) in models {
            let scorer = model.scorer();
            // A continuous flow takes long, and is smooth enough for fewer points.
            let (cells, fine) = if family == Family::Continuous { (20, 6) } else { (20, 12) };
            let grid = if scorer.samples() { Grid::around(&scorer, cells) } else { Grid::square(9.0, cells) };
            let integral: f64 = grid.probabilities(&scorer, fine).iter().sum();
            println!("{family:?}, {format}: {integral}");
            assert!((integral - 1.0).abs() < 1e-3, "{family:?}, {format}: {integral}");
        }
    }
}

#[test]
fn the_fit_has_learned_the_shape() {
    // Otherwise the densities above could as well be those of the start.
    let bent = MOONS.model.scorer();
    let on = bent.log_prob(&[100.0, 0.1], &[]).unwrap();
    let between = bent.log_prob(&[100.0, -0.03], &[]).unwrap();
    assert!(on > between + 2.0, "{on} on the arc, {between} beside it");
}

#[test]
fn samples_are_distributed_as_the_density_says() {
    const SAMPLES: u32 = 20_000;
    for (format, model) in both(&MOONS) {
        let scorer = model.scorer();
        let grid = Grid::around(&scorer, 20);
        let probabilities = grid.probabilities(&scorer, 30);
        let mut counts = vec![0_u32; probabilities.len()];
        let (mut outside, mut rng) = (0_u32, rng(4));
        for _ in 0..SAMPLES {
            match grid.cell(&scorer.sample(&mut rng, &[])) {
                Some(cell) => counts[cell] += 1,
                None => outside += 1,
            }
        }
        // Pearson's statistic; cells that expect few samples are counted as one.
        let (mut statistic, mut cells) = (0.0, 0);
        let (mut rest, mut rest_expected) = (outside, f64::from(SAMPLES) * (1.0 - probabilities.iter().sum::<f64>()));
        for (count, probability) in counts.iter().zip(&probabilities) {
            let expected = probability * f64::from(SAMPLES);
            if expected < 10.0 {
                rest += count;
                rest_expected += expected;
            } else {
                statistic += (f64::from(*count) - expected).powi(2) / expected;
                cells += 1;
            }
        }
        statistic += (f64::from(rest) - rest_expected).powi(2) / rest_expected.max(1.0);
        let deviations = (statistic - f64::from(cells)) / (2.0 * f64::from(cells)).sqrt();
        println!("{format}: {statistic:.1} in {cells} cells, {deviations:.2} standard deviations off");
        assert!(cells > 50 && deviations.abs() < 4.0, "{format}: {statistic} in {cells} cells");
    }
}

/// The largest distance between the distribution of values in (0, 1) and the uniform one (Kolmogorov and Smirnov).
fn distance_from_uniform(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let gap = |(rank, value): (usize, &f64)| (value - rank as f64 / n).max((rank + 1) as f64 / n - value);
    values.iter().enumerate().map(gap).fold(0.0, f64::max)
}

#[test]
fn latents_of_samples_are_standard_normal() {
    for (format, model) in both(&BANANA) {
        let scorer = model.scorer();
        let mut rng = rng(5);
        let mut uniform = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..10_000 {
            let z = scorer.latent(&scorer.sample(&mut rng, &[]), &[]).expect("a latent");
            let normal = |z: f64| 0.5 * libm::erfc(-z / SQRT_2);
            let (a, b) = (f64::from(z[0]), f64::from(z[1]));
            // Each alone, and their sum: independent coordinates.
            for (values, z) in uniform.iter_mut().zip([a, b, (a + b) / SQRT_2]) {
                values.push(normal(z));
            }
        }
        for values in uniform {
            let distance = distance_from_uniform(values);
            // Exceeded by a true sample of this size once in a thousand.
            assert!(distance < 1.95 / 100.0, "{format}: {distance}");
        }
    }
}

type Steps = Detector<Flow<1, Chain<Standardize<1>, [AffineCoupling<0, 1, Int8<0, 2, 1, 1>>; 3]>>, 1>;
type Smooth = Detector<Flow<1, Chain<Standardize<1>, [AffineCoupling<0, 1, Float<0, 2, 1, 1>>; 3]>>, 1>;

#[test]
fn densities_on_the_line_integrate_to_one() {
    const CELLS: u32 = 20_000;
    let mut rng = rng(6);
    for (format, architecture) in [("int8", &Steps::ARCHITECTURE), ("f32", &Smooth::ARCHITECTURE)] {
        for _ in 0..20 {
            // A line leaves a coupling nothing to condition on: any parameters do.
            let model = host_model(architecture, &body(architecture, Style::Fitted, &mut rng));
            let scorer = model.scorer();
            let (mut low, mut high) = (f64::MAX, f64::MIN);
            for _ in 0..2000 {
                let x = f64::from(scorer.sample(&mut rng, &[])[0]);
                (low, high) = (low.min(x), high.max(x));
            }
            let (low, width) = (low - (high - low), 3.0 * (high - low) / f64::from(CELLS));
            let density = |cell| {
                let x = low + (f64::from(cell) + 0.5) * width;
                f64::from(scorer.log_prob(&[x as f32], &[]).expect("a density")).exp()
            };
            let integral: f64 = (0..CELLS).map(density).sum::<f64>() * width;
            assert!((integral - 1.0).abs() < 1e-3, "{format}: {integral}");
        }
    }
}
