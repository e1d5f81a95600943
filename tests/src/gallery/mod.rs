//! Every family fitted to every density in the plane, and how far each is from the truth.

mod canvas;
mod picture;
mod settings;
mod table;

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result};
use flowlet_trainer::data::Matrix;
use flowlet_trainer::export::Written;
use flowlet_trainer::model::{Feature, Metadata, Model, Training};
use flowlet_trainer::quantization::post_training;
use flowlet_trainer::train::{self, Family, Options, TrainingData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use picture::{Column, picture};
pub use settings::options;
pub use table::markdown;

use crate::densities::Density;

/// Points that a fit learns from.
pub const TRAINING: usize = 20_000;

/// Points that choose when to stop.
pub const VALIDATION: usize = 5000;

/// Points that a distance is measured on; no fit has seen them.
pub const TEST: usize = 10_000;

/// What the points of a density are for: each purpose has its own random numbers.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// To learn from.
    Training,
    /// To choose when to stop.
    Validation,
    /// To measure on.
    Test,
}

/// Points of a density: the same ones in every call.
#[must_use]
pub fn points(density: &Density, purpose: Purpose, count: usize) -> Vec<[f64; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(100 + purpose as u64);
    (0..count).map(|_| density.sample(&mut rng)).collect()
}

/// The points as rows.
#[must_use]
pub fn matrix(points: &[[f64; 2]]) -> Matrix {
    Matrix::new(points.len(), 2, points.iter().flatten().map(|value| *value as f32).collect())
}

/// How far a model is from the density that its points came from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// The mean of log p(x) - log q(x) over test points: an estimate of the Kullback-Leibler divergence, in nats.
    pub nats: f64,
    /// Its standard error.
    pub error: f64,
}

/// One fit. A line of the results' file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The density's name.
    pub density: String,
    /// How it was fitted.
    pub options: Options,
    /// With f32 weights.
    pub float: Distance,
    /// With int8 weights; none where the family has no nets to quantize.
    pub int8: Option<Distance>,
    /// Numbers that were fitted.
    pub parameters: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// Of wall time for the fit.
    pub seconds: f64,
}

impl Record {
    /// The family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.options.architecture.family
    }
}

/// Whether a family has nets that are quantized.
#[must_use]
pub fn has_int8(family: Family) -> bool {
    family.has_nets() && family != Family::Continuous
}

/// Fits a flow to a density. The model is the one with f32 weights.
///
/// # Errors
/// If the fit fails, or a fitted value is not one that a device accepts.
pub fn fit(density: &Density, options: &Options) -> Result<(Record, Model)> {
    let rows = |purpose, count| matrix(&points(density, purpose, count));
    let (training, validation) = (rows(Purpose::Training, TRAINING), rows(Purpose::Validation, VALIDATION));
    let start = Instant::now();
    let data = TrainingData {
        features: 2,
        training: &training,
        stored: None,
        validation: &validation,
        quantization_steps: &[0.0, 0.0],
    };
    let fit = train::fit(data, options, &mut (), &AtomicBool::new(false))?;
    let seconds = start.elapsed().as_secs_f64();
    let flow = &fit.model;
    let test = points(density, Purpose::Test, TEST);
    let float = Written::float(flow).model(flow, metadata(options.seed))?;
    let int8 = match has_int8(options.architecture.family) {
        true => {
            let quantized = post_training(flow, &training, &validation);
            let model = quantized.written.model(flow, metadata(options.seed))?;
            Some(distance(density, &model, &test)?)
        }
        false => None,
    };
    let record = Record {
        density: density.name.to_owned(),
        options: options.clone(),
        float: distance(density, &float, &test)?,
        int8,
        parameters: flow.parameters.len(),
        steps: fit.summary.steps,
        seconds,
    };
    Ok((record, float))
}

/// What a model of points in the plane knows about itself.
#[must_use]
pub fn metadata(seed: u64) -> Metadata {
    let feature = |name: &str| Feature { name: name.to_owned(), unit: String::new() };
    let training =
        Training { seed, training_rows: TRAINING as u32, selection_rows: VALIDATION as u32, ..Training::default() };
    Metadata { architecture: String::new(), features: vec![feature("x"), feature("y")], training }
}

fn distance(density: &Density, model: &Model, test: &[[f64; 2]]) -> Result<Distance> {
    let scorer = model.scorer();
    let (mut sum, mut squares) = (0.0, 0.0);
    for point in test {
        let log_prob = scorer.log_prob(&point.map(|value| value as f32), &[]).context("a test point has no density")?;
        let difference = density.log_prob(*point) - f64::from(log_prob);
        sum += difference;
        squares += difference * difference;
    }
    let count = test.len() as f64;
    let nats = sum / count;
    Ok(Distance { nats, error: ((squares / count - nats * nats).max(0.0) / count).sqrt() })
}
