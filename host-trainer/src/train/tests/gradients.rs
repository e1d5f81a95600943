//! Hand-written derivatives against central differences, in f64.

use flowlet::Logit;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::base::{TrainableBase, TrainedBase, TrainedMixture, TrainedStandardNormal, TrainedStudentT};
use crate::layers::{
    Sequence, Trainable, TrainedActNorm, TrainedCoupling, TrainedElementwise, TrainedHouseholder, TrainedLuLinear,
    TrainedMaskedAutoregressive, TrainedPermute, TrainedPlanar, TrainedPointwise, TrainedRadial, TrainedSylvester,
};
use crate::net::{Activation, Body, Hidden};
use crate::train::batch::Batch;
use crate::train::objective::{Objective, Worker};
use crate::univariate::{Additive, Affine, MapValues, Parameterization, Scale, Sigmoidal, Spline};

fn net(units: usize, deep: usize) -> Hidden {
    Hidden { units, deep, body: Body::Plain, activation: Activation::Tanh }
}

/// Every layer by name, with its number of features; narrow ones, so that every parameter can be checked. Their nets are
/// smooth: the nets' own tests see to kinks.
pub(super) fn layers() -> Vec<(&'static str, usize, Sequence)> {
    let affine = Affine { scale: Scale::Softsign { inverse_bound: 1.0 / 1.5 } };
    let spline = Spline { bins: 4, bound: 1.5, parameterization: Parameterization::Softclip { inverse_bound: 0.145 } };
    let sigmoidal = Sigmoidal { units: 3, inverse_bound: 0.145 };
    let coupling = |a, b, map: MapValues| TrainedCoupling::new(a, b, CONTEXT, map, net(8, 0));
    let masked = |features, map: MapValues| TrainedMaskedAutoregressive::new(features, CONTEXT, map, net(16, 1));
    let one = |layer: TrainedCoupling| Sequence::new().then(layer);
    let mut all = vec![
        ("activation normalization", 3, Sequence::new().then(TrainedActNorm { features: 3 })),
        (
            "a bounded feature",
            3,
            Sequence::new()
                .then(TrainedElementwise {
                    maps: [0, 1, 0].map(|selected| Logit { selected, bounds: [-2.5, 3.0] }).to_vec(),
                })
                .then(coupling(1, 2, affine.into())),
        ),
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
        ("lu linear", 4, Sequence::new().then(TrainedLuLinear::new(4))),
        // A standard normal density does not change when it is turned: what follows sees to a gradient.
        ("householder", 4, Sequence::new().then(TrainedHouseholder::new(4, 3)).then(TrainedLuLinear::new(4))),
        ("planar", 4, Sequence::new().then(TrainedPlanar::new(4)).then(TrainedPlanar::new(4))),
        ("radial", 4, Sequence::new().then(TrainedRadial::new(4)).then(TrainedRadial::new(4))),
        ("radial of one feature", 1, Sequence::new().then(TrainedRadial::new(1))),
        ("sylvester", 4, Sequence::new().then(TrainedSylvester::new(4, 3)).then(TrainedSylvester::new(4, 1))),
        ("sylvester of all features", 3, Sequence::new().then(TrainedSylvester::new(3, 3))),
        ("pointwise", 6, Sequence::new().then(TrainedPointwise::new(3, 2, TrainedLuLinear::new(3)))),
        (
            "pointwise coupling and planar",
            6,
            Sequence::new()
                .then(TrainedPointwise::new(2, 3, coupling(1, 1, affine.into())))
                .then(TrainedPointwise::new(3, 2, TrainedPlanar::new(3))),
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
pub(super) const CONTEXT: usize = 2;

fn context() -> Vec<f64> {
    (0..CONTEXT * ROWS).map(|index| (index as f64).sin()).collect()
}

/// Rows that leave no chunk, tile or vector whole.
pub(super) const ROWS: usize = 19;

fn batch(features: usize, rng: &mut ChaCha8Rng) -> Batch<f64> {
    let mut batch = Batch::zeros(features, ROWS);
    batch.values_mut().fill_with(|| rng.random_range(-2.0..2.0));
    batch
}

pub(super) fn parameters(layers: &Sequence, features: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    // Not the starting values: those have zeros in every last layer.
    let mut parameters: Vec<f64> =
        (0..Trainable::<f64>::parameters(layers)).map(|_| rng.random_range(-0.8..0.8)).collect();
    // What is masked in a net has no gradient, and stays the zero that it starts as.
    let mut weights = vec![false; parameters.len()];
    Trainable::<f64>::mark_decayed(layers, &mut weights);
    if !weights.contains(&true) {
        return parameters;
    }
    let mut worker = Worker::with(batch(features, rng), context());
    worker.differentiate(Objective { sequence: layers, base: &TrainedStandardNormal { features } }, &parameters, 1.0);
    for (parameter, gradient) in parameters.iter_mut().zip(&worker.gradient) {
        if *gradient == 0.0 {
            *parameter = 0.0;
        }
    }
    parameters
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
        let parameters = parameters(&layers, features, &mut rng);
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
            if parameters[index] == 0.0 {
                assert_eq!(gradient[index], 0.0, "{name}: parameter {index} is masked");
                continue;
            }
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
        let parameters = parameters(&layers, features, &mut rng);
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
        let parameters = parameters(&layers, features, &mut rng);
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

/// Every base by name, over three coordinates.
fn bases() -> [(&'static str, Box<dyn TrainedBase>); 5] {
    [
        ("standard normal", Box::new(TrainedStandardNormal { features: 3 })),
        ("Student t", Box::new(TrainedStudentT { features: 3 })),
        ("one component", Box::new(TrainedMixture { features: 3, components: 1 })),
        ("two components", Box::new(TrainedMixture { features: 3, components: 2 })),
        ("five components", Box::new(TrainedMixture { features: 3, components: 5 })),
    ]
}

#[test]
fn every_parameter_and_input_of_every_base() {
    let layers = Sequence::new().then(TrainedActNorm { features: 3 });
    for (name, base) in bases() {
        let mut rng = ChaCha8Rng::seed_from_u64(14);
        let mut parameters = parameters(&layers, 3, &mut rng);
        parameters.extend((0..TrainableBase::<f64>::parameters(&*base)).map(|_| rng.random_range(-0.6..0.8)));
        let batch = batch(3, &mut rng);
        let loss = |parameters: &[f64], batch: &Batch<f64>| {
            let mut worker = Worker::with(batch.clone(), Vec::new());
            worker.differentiate(Objective { sequence: &layers, base: &*base }, parameters, 1.0 / ROWS as f64);
            worker
        };
        let found = loss(&parameters, &batch);
        for index in 0..parameters.len() {
            let measured = difference(|step| {
                let mut moved = parameters.clone();
                moved[index] += step;
                loss(&moved, &batch).loss
            });
            assert_close(name, "parameter", index, found.gradient[index], measured);
        }
        for index in 0..batch.values().len() {
            let measured = difference(|step| {
                let mut moved = batch.clone();
                moved.values_mut()[index] += step;
                loss(&parameters, &moved).loss
            });
            assert_close(name, "input", index, found.batch.values()[index], measured);
        }
    }
}

/// What a base is trained as against what it writes: the core's mathematics on its image.
#[test]
fn bases_write_what_they_are_trained_as() {
    for (name, base) in bases() {
        let mut rng = ChaCha8Rng::seed_from_u64(15);
        let mut parameters = vec![0.0_f32; TrainableBase::<f32>::parameters(&*base)];
        for start in [true, false] {
            if start {
                TrainableBase::<f32>::initialize(&*base, &mut parameters, &mut rng);
            } else {
                parameters.fill_with(|| rng.random_range(-0.5..2.0));
            }
            let mut image = crate::image::Image::default();
            base.write(&parameters, &mut image);
            let kind = base.base();
            let record = kind.kind().record();
            assert_eq!(record.check(&image.0, 0), Ok(image.0.len()), "{name}");
            let body = crate::model::Body::new(&image.0);
            let view = kind.kind().view(&mut body.as_bytes()).expect("an image");
            let batch = batch(3, &mut rng);
            let wide: Vec<f64> = parameters.iter().map(|value| f64::from(*value)).collect();
            let mut log_prob = vec![0.0; ROWS];
            TrainableBase::<f64>::log_prob(&*base, &wide, &batch, &mut log_prob);
            for (row, trained) in log_prob.iter().enumerate() {
                let z: Vec<f64> = (0..3).map(|feature| batch.feature(feature)[row]).collect();
                let written = view.log_prob_f64(&z);
                assert!((trained - written).abs() < 2e-6 * (1.0 + trained.abs()), "{name}: {trained} and {written}");
            }
        }
    }
}
