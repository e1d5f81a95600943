//! Laws of variational inference.

use std::sync::atomic::{AtomicBool, Ordering};

use flowlet::Real;
use flowlet::elementary::{Elementary, Libm};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::objective::{Worker, draw};
use super::*;
use crate::layers::{TrainedActNorm, TrainedCoupling, TrainedMaskedAutoregressive, TrainedPermute, TrainedPlanar};
use crate::model::{Feature, Metadata, Training};
use crate::net::{Activation, Body, Hidden};
use crate::train::{Epoch, Stop};
use crate::univariate::{Affine, Scale};

fn net(units: usize) -> Hidden {
    Hidden { units, deep: 0, body: Body::Plain, activation: Activation::Tanh }
}

fn affine() -> Affine {
    Affine { scale: Scale::softsign(2.0) }
}

/// The order of features turned around.
fn reversed(features: usize) -> TrainedPermute {
    TrainedPermute::new((0..features).rev().collect())
}

fn inverse_autoregressive(features: usize) -> Sequence {
    Sequence::new()
        .then(TrainedMaskedAutoregressive::new(features, 0, affine(), net(8)))
        .then(reversed(features))
        .then(TrainedMaskedAutoregressive::new(features, 0, affine(), net(8)))
}

fn coupling(features: usize) -> Sequence {
    let (kept, others) = (features / 2, features - features / 2);
    Sequence::new()
        .then(TrainedCoupling::new(kept, others, 0, affine(), net(8)))
        .then(reversed(features))
        .then(TrainedCoupling::new(kept, others, 0, affine(), net(8)))
}

fn planar(features: usize) -> Sequence {
    Sequence::new()
        .then(TrainedActNorm { features })
        .then(TrainedPlanar::new(features))
        .then(TrainedPlanar::new(features))
}

/// Correlated, and not even: every feature and its neighbour enter in their own way.
struct Curved;

impl Energy for Curved {
    fn energy<T: Real>(&self, x: &[T]) -> T
    where
        Libm: Elementary<T>,
    {
        let number = T::from_f32;
        let own = x.iter().fold(T::ZERO, |sum, x| sum + number(0.5) * *x * *x + Libm::exp(*x) * number(0.3));
        x.windows(2).fold(own, |sum, pair| {
            let bent = pair[1] - number(0.5) * pair[0] * pair[0];
            sum + bent * bent + Libm::cos(pair[0]) * Libm::softplus(pair[1])
        })
    }
}

#[test]
fn gradients_by_duals_are_the_analytic_ones() {
    for features in 1..=9 {
        let x: Vec<f64> = (0..features).map(|index| (1.7 * index as f64).sin() * 1.5 - 0.2).collect();
        let mut expected: Vec<f64> = x.iter().map(|x| x + 0.3 * x.exp()).collect();
        for (index, pair) in x.windows(2).enumerate() {
            let bent = pair[1] - 0.5 * pair[0] * pair[0];
            expected[index] += -2.0 * bent * pair[0] - pair[0].sin() * pair[1].exp().ln_1p();
            expected[index + 1] += 2.0 * bent + pair[0].cos() / (1.0 + (-pair[1]).exp());
        }
        let (value, found) = gradient(Curved)(&x);
        // 0.3 is rounded to f32 in the energy.
        assert!((value - Curved.energy(&x)).abs() < 1e-14 * (1.0 + value.abs()));
        assert_eq!(found.len(), features);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-7 * (1.0 + expected.abs()), "{found} {expected}");
        }
    }
    let (value, nothing) = differentiate(|_| Real::from_f32(2.5))(&[]);
    assert_eq!((value, nothing), (2.5, Vec::new()));
}

/// Of the loss with its points of the base held fixed, by every parameter, against central differences.
#[test]
fn the_objectives_gradient_is_its_slope() {
    const ROWS: usize = 19;
    let energy = gradient(Curved);
    let flows = [("iaf", inverse_autoregressive(3)), ("coupling", coupling(3)), ("planar", planar(3))];
    for (name, sequence) in flows {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut start = Batch::zeros(3, ROWS);
        draw(&mut start, &mut rng);
        let mut parameters = vec![0.0; Trainable::<f64>::parameters(&sequence)];
        parameters.fill_with(|| rng.random_range(-0.7..0.7));
        let loss = |parameters: &[f64]| {
            let mut worker = Worker::default();
            worker.batch = start.clone();
            worker.differentiate(&sequence, parameters, &energy, 0.7, 1.0 / ROWS as f64);
            worker
        };
        // What is masked has no gradient, and stays zero.
        let gradient = loss(&parameters).gradient;
        parameters.iter_mut().zip(&gradient).filter(|(_, slope)| **slope == 0.0).for_each(|(value, _)| *value = 0.0);
        let gradient = loss(&parameters).gradient;
        let mut checked = 0;
        for index in (0..parameters.len()).filter(|index| parameters[*index] != 0.0) {
            const STEP: f64 = 1e-5;
            let moved = |step: f64| {
                let mut moved = parameters.clone();
                moved[index] += step;
                loss(&moved).loss
            };
            let measured = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let error = (gradient[index] - measured).abs() / (1e-3 + measured.abs());
            assert!(error < 1e-5, "{name} {index}: written {}, measured {measured}", gradient[index]);
            checked += 1;
        }
        assert!(2 * checked > parameters.len(), "{name}: {checked} of {} are checked", parameters.len());
    }
}

/// A normal distribution with mean (1, -2), deviations 0.5 and 2, correlation 0.8; its ln Z is not 0.
fn normal(x: &[f64]) -> (f64, Vec<f64>) {
    let (a, b) = ((x[0] - 1.0) / 0.5, (x[1] + 2.0) / 2.0);
    let (rho, rest) = (0.8, 1.0 - 0.8 * 0.8);
    let value = 3.0 + 0.5 * (a * a - 2.0 * rho * a * b + b * b) / rest;
    (value, vec![(a - rho * b) / rest / 0.5, (b - rho * a) / rest / 2.0])
}

fn normal_log_normalization() -> f64 {
    -3.0 + train::LN_2PI + (0.5f64 * 2.0 * (1.0f64 - 0.64).sqrt()).ln()
}

fn quick() -> Options {
    Options {
        steps: 1500,
        rows: 128,
        learning_rate: 1e-2,
        annealing: Some(Annealing { start: 0.1, steps: 300 }),
        ..Options::default()
    }
}

fn run(sequence: &Sequence, options: &Options) -> Variational {
    fit(normal, sequence, 2, options, &mut (), &AtomicBool::new(false)).expect("fits")
}

#[test]
fn a_normal_distribution_is_reached() {
    for (name, sequence) in [("iaf", inverse_autoregressive(2)), ("coupling", coupling(2))] {
        let result = run(&sequence, &quick());
        let found = result.flow.estimate(|x| normal(x).0, 20_000, 1);
        let exact = normal_log_normalization();
        let divergence = found.divergence(exact);
        assert!(divergence.value < 0.01 && divergence.value > -4.0 * divergence.standard_error, "{name}: {found:?}");
        let error = (found.log_normalization.value - exact).abs();
        assert!(error < 4.0 * found.log_normalization.standard_error + 1e-6 && error < 0.01, "{name}: {found:?}");
        assert!(found.elbo().value <= found.log_normalization.value && found.effective > 0.97, "{name}: {found:?}");
        assert!((result.summary.validation_loss + exact).abs() < 0.05, "{name}: {:?}", result.summary);

        // What is drawn has the target's moments.
        let samples = result.flow.samples(20_000, 2);
        let mean = |of: &dyn Fn(&[f64]) -> f64| samples.iter().map(|sample| of(&sample.x)).sum::<f64>() / 20_000.0;
        assert!((mean(&|x| x[0]) - 1.0).abs() < 0.03 && (mean(&|x| x[1]) + 2.0).abs() < 0.1, "{name}");
        assert!((mean(&|x| (x[0] - 1.0) * (x[1] + 2.0)) - 0.8).abs() < 0.06, "{name}");
    }
}

/// The layers of the model are the flow's the other way round: it finds the log-density of a point from the point alone.
#[test]
fn a_model_has_the_density_that_its_samples_were_drawn_from() {
    let metadata = || Metadata {
        architecture: String::new(),
        features: ["x", "y"].map(|name| Feature { name: name.to_owned(), unit: String::new() }).into(),
        training: Training::default(),
    };
    for sequence in [inverse_autoregressive(2), coupling(2)] {
        let flow = run(&sequence, &Options { steps: 200, ..quick() }).flow;
        let model = flow.model(metadata()).expect("both directions").expect("a model");
        let scorer = model.scorer();
        for Sample { x, log_prob } in flow.samples(100, 3) {
            let (_, found) = scorer.log_prob_f64(&x, &[]);
            assert!((found - log_prob).abs() < 1e-5 * (1.0 + log_prob.abs()), "{found} {log_prob}");
        }
        assert!(scorer.samples());
        assert!(crate::model::Model::from_bytes(&model.to_bytes()).is_ok());
    }
    let flow = run(&planar(2), &Options { steps: 1, ..quick() }).flow;
    assert!(flow.model(metadata()).is_none());
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let bits = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let options = Options { steps: 40, rows: 150, seed, ..quick() };
            let result = run(&inverse_autoregressive(2), &options);
            let estimates = result.flow.estimate(|x| normal(x).0, 500, 1);
            let bits: Vec<u32> = result.flow.parameters.iter().map(|value| value.to_bits()).collect();
            (bits, estimates.bound.value.to_bits())
        })
    };
    assert_eq!(bits(1, 0), bits(3, 0));
    assert_ne!(bits(1, 0), bits(1, 1));
}

type Target = fn(&[f64]) -> (f64, Vec<f64>);

/// Energies and steps at which everything explodes.
#[test]
fn nothing_ends_in_nan() {
    let hopeless: [Target; 3] = [
        |_| (f64::NAN, vec![f64::NAN; 2]),
        |x| (x[0].powi(200), vec![200.0 * x[0].powi(199), 0.0]),
        |x| if x[0] > 1.0 { (f64::INFINITY, vec![0.0; 2]) } else { (0.0, vec![0.0; 2]) },
    ];
    let wild = Options { learning_rate: 1e30, clip_norm: 1e30, warm_up: 0, steps: 60, ..quick() };
    for energy in hopeless {
        for options in [&wild, &Options { steps: 60, ..quick() }] {
            let result = fit(energy, &coupling(2), 2, options, &mut (), &AtomicBool::new(false)).expect("fits");
            assert!(result.flow.parameters.iter().all(|value| value.is_finite()));
            assert!(!result.summary.validation_loss.is_nan());
            let found = result.flow.estimate(|x| energy(x).0, 200, 1);
            let Estimates { bound, log_normalization, effective, .. } = found;
            let numbers = [bound.value, bound.standard_error, log_normalization.value, effective];
            assert!(numbers.iter().all(|value| !value.is_nan()), "{found:?}");
            assert!(!log_normalization.standard_error.is_nan() && (0.0..=1.0 + 1e-9).contains(&effective));
        }
    }
    let result = fit(hopeless[0], &coupling(2), 2, &quick(), &mut (), &AtomicBool::new(false)).expect("fits");
    assert_eq!(result.summary.stop, Stop::Diverged);
}

#[test]
fn cancelling_keeps_the_best_so_far() {
    struct CancelAfter<'a>(usize, &'a AtomicBool);
    impl Progress for CancelAfter<'_> {
        fn epoch(&mut self, state: &Epoch) {
            self.1.store(state.epoch == self.0, Ordering::Relaxed);
        }
    }
    let cancel = AtomicBool::new(false);
    let result = fit(normal, &coupling(2), 2, &quick(), &mut CancelAfter(2, &cancel), &cancel).expect("fits");
    assert_eq!((result.summary.stop, result.summary.epochs), (Stop::Cancelled, 2));
    assert!(result.summary.best_epoch > 0);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    for (bad, option) in [
        (Options { rows: 0, ..quick() }, "rows"),
        (Options { learning_rate: f32::NAN, ..quick() }, "learning_rate"),
        (Options { clip_norm: 0.0, ..quick() }, "clip_norm"),
        (Options { averaging: 1.0, ..quick() }, "averaging"),
        (Options { annealing: Some(Annealing { start: 0.0, steps: 1 }), ..quick() }, "annealing"),
    ] {
        let refusal = fit(normal, &coupling(2), 2, &bad, &mut (), &AtomicBool::new(false)).expect_err("refused");
        assert!(refusal.to_string().starts_with(&format!("option {option}: ")), "{refusal}");
    }
}
