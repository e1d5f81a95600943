//! What quantization promises: the loss that it reports, the budget that it keeps, and no model worse than without.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;
use crate::model::architecture::NumberFormat;
use crate::model::{Feature, Metadata, Model, Training};
use crate::train::{self, Architecture, Family, TrainingData, without_farthest};

/// Units of the one hidden layer of each net.
const HIDDEN: usize = 8;

/// Between units of a layer that int8 cannot hold in one row.
const IMBALANCE: f32 = 400.0;

/// Points around a parabola.
fn banana(rows: usize, seed: u64) -> Matrix {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut point = || {
        let (a, b): (f32, f32) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        [a, 0.5 * a * a + 0.3 * b]
    };
    Matrix::new(rows, 2, (0..rows).flat_map(|_| point()).collect())
}

struct Fitted {
    flow: Flow,
    training: Matrix,
    selection: Matrix,
    options: train::Options,
}

impl Fitted {
    /// Four affine couplings.
    fn new() -> Self {
        let (training, selection) = (banana(800, 1), banana(300, 2));
        let architecture =
            Architecture { layers: 4, hidden: HIDDEN, hidden_layers: 1, bound: 2.0, ..Architecture::for_features(2) };
        let options = train::Options { architecture, steps: 600, ..train::Options::for_features(2) };
        let data = TrainingData {
            features: 2,
            training: &training,
            stored: None,
            validation: &selection,
            quantization_steps: &[0.0; 2],
        };
        let flow = train::fit(data, &options, &mut (), &AtomicBool::new(false)).expect("fits").model;
        Self { flow, training, selection, options }
    }

    /// The same densities by weights that int8 cannot hold: what half of the units take in is divided, and what they
    /// give multiplied, so that the smaller weights of a row that reads them round to nothing.
    fn imbalanced(mut self) -> Self {
        let net = HIDDEN + HIDDEN + 2 * HIDDEN + 2;
        for parameters in self.flow.parameters.chunks_exact_mut(net) {
            let (first, last) = parameters.split_at_mut(2 * HIDDEN);
            for unit in (0..HIDDEN).step_by(2) {
                first[unit] /= IMBALANCE;
                first[HIDDEN + unit] /= IMBALANCE;
                last[unit] *= IMBALANCE;
                last[HIDDEN + unit] *= IMBALANCE;
            }
        }
        self
    }

    fn quantize(&self, options: &Options, fine_tune: impl FnOnce(&Flow) -> Flow) -> Quantized {
        let tune = |flow: &Flow| Ok::<_, Infallible>(fine_tune(flow));
        match quantize(&self.flow, &self.training, &self.selection, options, tune) {
            Ok(quantized) => quantized,
        }
    }

    fn fine_tune(&self, flow: &Flow) -> Flow {
        let Self { training, selection, .. } = self;
        let data =
            TrainingData { features: 2, training, stored: None, validation: selection, quantization_steps: &[0.0; 2] };
        train::fine_tune(flow, data, &self.options, &mut (), &AtomicBool::new(false)).expect("fits").model
    }
}

fn unlimited() -> Options {
    Options { budget: f64::MAX, formats: Formats::Auto }
}

fn model(flow: &Flow, written: &Written) -> Model {
    let features = ["x", "y"].map(|name| Feature { name: name.to_owned(), unit: String::new() }).to_vec();
    let metadata = Metadata { architecture: String::new(), features, training: Training::default() };
    written.model(flow, metadata).expect("a model that a device accepts")
}

#[test]
fn within_the_budget_nothing_is_trained_on_and_all_nets_are_int8() {
    let fitted = Fitted::new();
    let quantized = fitted.quantize(&unlimited(), |_| panic!("the budget holds"));
    let report = &quantized.report;
    assert!(report.fine_tuning.is_none() && report.layers.len() == 4);
    assert!(report.layers.iter().all(|layer| layer.format == NumberFormat::Int8 && layer.matrices.len() == 2));
    assert!(report.loss.abs() < 0.02, "{report:?}");
    assert_eq!(quantized.flow, fitted.flow);
}

/// By the core's mathematics, on the bytes that were written.
#[test]
fn the_loss_is_that_of_the_model_on_the_held_back_rows() {
    for fitted in [Fitted::new(), Fitted::new().imbalanced()] {
        let quantized = fitted.quantize(&unlimited(), |_| panic!("the budget holds"));
        let exact = model(&fitted.flow, &Written::float(&fitted.flow));
        let found = model(&quantized.flow, &quantized.written);
        // The farthest hundredth of standardized rows has no say.
        let standardized = fitted.flow.prepared(&fitted.selection).0;
        let near = without_farthest(&standardized, 2);
        let rows = || fitted.selection.iter_rows().zip(standardized.iter_rows());
        let losses: Vec<f64> = rows()
            .filter(|(_, standardized)| near.iter_rows().any(|row| row == *standardized))
            .map(|(row, _)| {
                let log_prob = |model: &Model| f64::from(model.scorer().log_prob(row, &[]).expect("a density"));
                log_prob(&exact) - log_prob(&found)
            })
            .collect();
        assert_eq!(losses.len(), quantized.report.rows);
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        assert!((loss - quantized.report.loss).abs() < 1e-4, "{loss} {}", quantized.report.loss);
    }
}

#[test]
fn fine_tuning_wins_back_what_coarse_weights_lose() {
    let fitted = Fitted::new();
    let before = fitted.flow.log_probs(&fitted.selection);
    let fitted = fitted.imbalanced();
    for (before, after) in before.iter().zip(fitted.flow.log_probs(&fitted.selection)) {
        assert!((before - after).abs() < 1e-2 * (1.0 + before.abs()), "the density is the same: {before} {after}");
    }
    let coarse = fitted.quantize(&unlimited(), |_| panic!("the budget holds")).report.loss;
    let options = Options { budget: 0.01, formats: Formats::Int8 };
    let report = fitted.quantize(&options, |flow| fitted.fine_tune(flow)).report;
    println!("{coarse} nats, fine-tuned {}", report.loss);
    assert!(coarse > 0.03, "{coarse}");
    assert!(report.loss < 0.5 * coarse, "{} of {coarse}", report.loss);
    let tuning = report.fine_tuning.expect("the budget does not hold");
    assert_eq!((tuning.loss_before, tuning.loss_after, tuning.kept), (coarse, report.loss, true));
    assert!(report.layers.iter().all(|layer| layer.format == NumberFormat::Int8));
}

#[test]
fn a_fine_tuning_that_spoils_the_flow_is_dropped() {
    let fitted = Fitted::new().imbalanced();
    let spoil = |flow: &Flow| {
        let mut spoiled = flow.clone();
        spoiled.parameters.iter_mut().for_each(|parameter| *parameter *= -3.0);
        spoiled
    };
    let quantized = fitted.quantize(&Options { budget: 0.0, formats: Formats::Int8 }, spoil);
    let tuning = quantized.report.fine_tuning.expect("the budget does not hold");
    assert!(!tuning.kept && tuning.loss_after > tuning.loss_before, "{tuning:?}");
    assert_eq!((quantized.report.loss, &quantized.flow), (tuning.loss_before, &fitted.flow));
}

#[test]
fn the_most_sensitive_nets_keep_f32_until_the_budget_holds() {
    let fitted = Fitted::new().imbalanced();
    let quantized = fitted.quantize(&Options { budget: 0.01, formats: Formats::Auto }, Flow::clone);
    let report = &quantized.report;
    assert!(report.loss <= 0.01, "{report:?}");
    let promoted = report.layers.iter().filter(|layer| layer.format == NumberFormat::Float).count();
    assert!((1..=4).contains(&promoted), "{report:?}");
    let all = fitted.quantize(&unlimited(), |_| panic!("the budget holds")).report;
    let most = all.layers.iter().map(|layer| layer.loss).enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
    assert_eq!(report.layers[most].format, NumberFormat::Float, "the one that loses most: {all:?}");
    let model = model(&quantized.flow, &quantized.written);
    let expected = if promoted == 4 { "f32" } else { "int8 and f32" };
    assert_eq!(model.architecture().number_format(), expected);
    assert_eq!(Model::from_bytes(&model.to_bytes()).unwrap().architecture(), model.architecture());
}

#[test]
fn a_flow_without_nets_stays_as_it_is() {
    let Fitted { training, selection, options, .. } = Fitted::new();
    let architecture = Architecture { layers: 4, ..Architecture::of(Family::Planar, 2) };
    let options = train::Options { architecture, steps: 20, ..options };
    let data = TrainingData {
        features: 2,
        training: &training,
        stored: None,
        validation: &selection,
        quantization_steps: &[0.0; 2],
    };
    let flow = train::fit(data, &options, &mut (), &AtomicBool::new(false)).expect("fits").model;
    let tune = |_: &Flow| -> Result<Flow, Infallible> { panic!("there is nothing to train") };
    let Ok(quantized) = quantize(&flow, &training, &selection, &Options { budget: 0.0, formats: Formats::Int8 }, tune);
    assert_eq!((quantized.report.loss, quantized.report.layers.len()), (0.0, 0));
    assert_eq!(model(&flow, &quantized.written).body(), model(&flow, &Written::float(&flow)).body());
}
