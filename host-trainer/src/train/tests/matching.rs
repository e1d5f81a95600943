//! Flow matching: what it fits. Its loss is tested beside it.

use std::f64::consts::PI;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::data::Matrix;
use crate::train::families::{BaseFamily, Family};

/// Standard deviation of a mode.
const NARROW: f64 = 0.25;

fn centres() -> [[f64; 2]; 3] {
    [0.3, 2.4, 4.5].map(|angle: f64| [1.5 * angle.cos(), 1.5 * angle.sin()])
}

/// Rows of three modes on a circle.
fn modes(rows: usize, seed: u64) -> Matrix {
    let centres = centres();
    let at = |(index, z): (usize, f32)| (centres[index / 2 % 3][index % 2] + NARROW * f64::from(z)) as f32;
    Matrix::new(rows, 2, normal(2 * rows, seed).into_iter().enumerate().map(at).collect())
}

/// Their log-density.
fn exact(x: &[f32]) -> f64 {
    let mode = |centre: &[f64; 2]| {
        let square: f64 = x.iter().zip(centre).map(|(x, c)| ((f64::from(*x) - c) / NARROW).powi(2)).sum();
        (-0.5 * square).exp() / (3.0 * 2.0 * PI * NARROW * NARROW)
    };
    centres().iter().map(mode).sum::<f64>().ln()
}

fn continuous(features: usize) -> Options {
    let architecture = Architecture { hidden: 32, ..Architecture::of(Family::Continuous, features) };
    Options { architecture, ..options(features) }
}

/// A fit to rows of which the first columns are features.
fn fit_to(features: usize, training: &Matrix, validation: &Matrix, options: &Options) -> Fit {
    let quantization_steps = &vec![0.0; training.columns()];
    let data = TrainingData { features, training, stored: None, validation, quantization_steps };
    fit(data, options, &mut (), &AtomicBool::new(false)).expect("fits")
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}

fn mean_log_prob(model: &Flow, rows: &Matrix) -> f64 {
    mean(model.log_probs(rows).into_iter().map(f64::from))
}

/// A Gaussian costs nearly two nats here, and the fit a tenth of one.
#[test]
fn separate_modes_are_found_and_the_density_is_one() {
    let (training, validation, test) = (modes(3000, 1), modes(600, 2), modes(1000, 3));
    let fit = fit_to(2, &training, &validation, &Options { epochs: 40, noise: Some(0.0), ..continuous(2) });
    let (best, found) = (mean(test.iter_rows().map(exact)), mean_log_prob(&fit.model, &test));
    let gaussian = mean_log_prob(&fit.model.gaussian(), &test);
    println!("{found:.3} nats of {best:.3}, a Gaussian has {gaussian:.3}");
    assert!(found > gaussian + 1.5 && found > best - 0.2, "{found} of {best}, a Gaussian has {gaussian}");
    // The summary's loss is of the log-density too, though that is not what was descended.
    assert!((fit.summary.validation_loss + mean_log_prob(&fit.model, &validation)).abs() < 0.1);

    let (cells, width) = (100, 8.0 / 100.0);
    let places = (0..cells * cells).map(|cell| [cell / cells, cell % cells]);
    let at = |index: usize| ((index as f64 + 0.5) * width - 4.0) as f32;
    let grid = Matrix::new(cells * cells, 2, places.flatten().map(at).collect());
    let density = fit.model.log_probs(&grid).into_iter().map(|log_prob| f64::from(log_prob).exp());
    let integral = density.sum::<f64>() * width * width;
    println!("the integral is {integral}");
    assert!((integral - 1.0).abs() < 1e-3, "{integral}");
}

#[test]
fn a_context_moves_the_density() {
    // x = 2 c + N(0, 0.3²).
    let rows = |count: usize, seed: u64| {
        let mut values = normal(2 * count, seed);
        for [x, context] in values.as_chunks_mut().0 {
            *x = 2.0 * *context + 0.3 * *x;
        }
        Matrix::new(count, 2, values)
    };
    let (training, validation, test) = (rows(2000, 4), rows(300, 5), rows(500, 6));
    let fit = fit_to(1, &training, &validation, &Options { epochs: 20, noise: Some(0.0), ..continuous(1) });
    let best = -0.5 * (1.0 + (2.0 * PI).ln()) - 0.3_f64.ln();
    let found = mean_log_prob(&fit.model, &test);
    assert!(found > best - 0.25, "{found} of {best}");
}

#[test]
fn threads_do_not_change_a_bit_and_seeds_do() {
    let (training, validation) = (modes(300, 7), modes(100, 8));
    let fitted = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let options = Options { epochs: 3, seed, ..continuous(2) };
        let fit = pool.install(|| fit_to(2, &training, &validation, &options));
        (fit.model.parameters.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), fit.summary)
    };
    assert_eq!(fitted(1, 1), fitted(3, 1));
    assert_ne!(fitted(1, 1).0, fitted(1, 2).0);
}

#[test]
fn what_a_continuous_flow_cannot_be_is_refused() {
    let refused = |features: usize, base: BaseFamily| {
        let rows = Matrix::new(10, features, normal(10 * features, 9));
        let steps = vec![0.0; features];
        let data =
            TrainingData { features, training: &rows, stored: None, validation: &rows, quantization_steps: &steps };
        let mut options = Options { epochs: 1, ..continuous(features) };
        options.architecture.base = base;
        match fit(data, &options, &mut (), &AtomicBool::new(false)) {
            Err(FitError::Option { option, .. }) => Some(option),
            _ => None,
        }
    };
    assert_eq!(refused(2, BaseFamily::Normal), None);
    assert_eq!(refused(33, BaseFamily::Normal), Some("family"));
    assert_eq!(refused(2, BaseFamily::StudentT), Some("base"));
}
