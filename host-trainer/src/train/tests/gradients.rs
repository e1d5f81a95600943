//! Hand-written derivatives against central differences, in f64.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::base::TrainedStandardNormal;
use crate::layers::{Sequence, Trainable, TrainedCoupling, TrainedMaskedAutoregressive, TrainedPermute};
use crate::net::{Activation, Body, Hidden};
use crate::train::batch::Batch;
use crate::train::objective::{Objective, Worker};
use crate::univariate::{Additive, Affine, MapValues, Parameterization, Scale, Sigmoidal, Spline};

fn net(units: usize, deep: usize) -> Hidden {
    Hidden { units, deep, body: Body::Plain, activation: Activation::Tanh }
}

/// Every layer by name, with its number of features; narrow ones, so that every parameter can be checked. Their nets are
/// smooth: the nets' own tests see to kinks.
fn layers() -> Vec<(&'static str, usize, Sequence)> {
    let affine = Affine { scale: Scale::Softsign { inverse_bound: 1.0 / 1.5 } };
    let spline = Spline { bins: 4, bound: 1.5, parameterization: Parameterization::Softclip { inverse_bound: 0.145 } };
    let sigmoidal = Sigmoidal { units: 3, inverse_bound: 0.145 };
    let coupling = |a, b, map: MapValues| TrainedCoupling::new(a, b, CONTEXT, map, net(8, 0));
    let masked = |features, map: MapValues| TrainedMaskedAutoregressive::new(features, CONTEXT, map, net(16, 1));
    let one = |layer: TrainedCoupling| Sequence::new().then(layer);
    let mut all = vec![
        ("permute", 3, Sequence::new().then(TrainedPermute::new(vec![2, 0, 1]))),
        ("coupling", 5, one(coupling(2, 3, affine.into()))),
        ("coupling without a condition", 1, one(coupling(0, 1, affine.into()))),
        ("additive coupling", 3, one(coupling(1, 2, Additive.into()))),
        ("spline coupling", 3, one(coupling(1, 2, spline.into()))),
        ("sigmoidal coupling", 3, one(coupling(1, 2, sigmoidal.into()))),
        (
            "two deep couplings",
            4,
            Sequence::new()
                .then(TrainedPermute::new(vec![3, 1, 0, 2]))
                .then(TrainedCoupling::new(2, 2, CONTEXT, affine, net(8, 1)))
                .then(TrainedPermute::new(vec![2, 3, 0, 1]))
                .then(TrainedCoupling::new(2, 2, CONTEXT, affine, net(4, 2))),
        ),
    ];
    for features in [1, 2, 5] {
        for (name, map) in
            [("masked affine", affine.into()), ("masked spline", spline.into()), ("masked sigmoidal", sigmoidal.into())]
        {
            all.push((name, features, Sequence::new().then(masked(features, map))));
        }
    }
    all
}

/// Context values of every row.
const CONTEXT: usize = 2;

fn context() -> Vec<f64> {
    (0..CONTEXT * ROWS).map(|index| (index as f64).sin()).collect()
}

/// Rows that leave no chunk, tile or vector whole.
const ROWS: usize = 19;

fn batch(features: usize, rng: &mut ChaCha8Rng) -> Batch<f64> {
    let mut batch = Batch::zeros(features, ROWS);
    batch.values_mut().fill_with(|| rng.random_range(-2.0..2.0));
    batch
}

fn parameters(layers: &Sequence, rng: &mut ChaCha8Rng) -> Vec<f64> {
    // Not the starting values: those have zeros in every last layer.
    (0..Trainable::<f64>::parameters(layers)).map(|_| rng.random_range(-0.8..0.8)).collect()
}

/// Central difference of the mean negative log-density.
fn difference(loss: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 1e-5;
    (loss(STEP) - loss(-STEP)) / (2.0 * STEP)
}

fn assert_close(name: &str, what: &str, index: usize, written: f64, measured: f64) {
    let error = (written - measured).abs() / (1e-3 + written.abs().max(measured.abs()));
    assert!(error < 1e-5, "{name}: {what} {index}: written {written}, measured {measured}");
}

#[test]
fn every_parameter() {
    for (name, features, layers) in layers() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        let parameters = parameters(&layers, &mut rng);
        let batch = batch(features, &mut rng);
        let loss = |parameters: &[f64]| {
            let mut worker = Worker::with(batch.clone(), context());
            let base = TrainedStandardNormal { features };
            worker.differentiate(Objective { sequence: &layers, base: &base }, parameters, 1.0 / ROWS as f64);
            worker
        };
        let gradient = loss(&parameters).gradient;
        assert_eq!(gradient.len(), parameters.len());
        for index in 0..parameters.len() {
            let measured = difference(|step| {
                let mut moved = parameters.clone();
                moved[index] += step;
                loss(&moved).loss
            });
            assert_close(name, "parameter", index, gradient[index], measured);
        }
    }
}

#[test]
fn every_input() {
    for (name, features, layers) in layers() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let parameters = parameters(&layers, &mut rng);
        let start = batch(features, &mut rng);
        let loss = |batch: Batch<f64>| {
            let mut worker = Worker::with(batch, context());
            let base = TrainedStandardNormal { features };
            worker.differentiate(Objective { sequence: &layers, base: &base }, &parameters, 1.0);
            worker
        };
        // What the layers leave in the batch is the gradient by their inputs.
        let gradient = loss(start.clone()).batch;
        for index in 0..start.values().len() {
            let measured = difference(|step| {
                let mut moved = start.clone();
                moved.values_mut()[index] += step;
                loss(moved).loss
            });
            assert_close(name, "input", index, gradient.values()[index], measured);
        }
    }
}

/// The log-determinant that a layer reports against that of its numerical Jacobian.
#[test]
fn log_det_is_the_jacobians() {
    for (name, features, layers) in layers() {
        let mut rng = ChaCha8Rng::seed_from_u64(13);
        let parameters = parameters(&layers, &mut rng);
        let start = batch(features, &mut rng);
        let map = |batch: &Batch<f64>| {
            let mut batch = batch.clone();
            let mut log_det = vec![0.0; ROWS];
            layers.inverse(&parameters, &mut batch, &context(), &mut log_det, &mut Default::default());
            (batch, log_det)
        };
        let (_, log_det) = map(&start);
        for (row, reported) in log_det.iter().enumerate() {
            let jacobian = nalgebra::DMatrix::from_fn(features, features, |output, input| {
                difference(|step| {
                    let mut moved = start.clone();
                    moved.feature_mut(input)[row] += step;
                    map(&moved).0.feature(output)[row]
                })
            });
            let measured = jacobian.determinant().abs().ln();
            assert!((reported - measured).abs() < 1e-6, "{name}: {reported} {measured}");
        }
    }
}
