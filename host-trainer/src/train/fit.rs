//! From a table to a fitted model.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand_chacha::ChaCha8Rng;

use super::check::check;
use super::descent::{Likelihood, Loss, Rows, descend};
use super::error::FitError;
use super::flow::Flow;
use super::matching::Matching;
use super::objective::{Objective, Worker};
use super::options::Options;
use super::progress::Progress;
use super::random::{Stream, dither, stream};
use super::standardize::moments;
use super::windows::{Stored, Training};
use crate::base::TrainableBase;
use crate::data::{Matrix, Store};
use crate::layers::{Support, Trainable};

/// What a fit learns from.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// Columns that are features; those behind them are context.
    pub features: usize,
    /// Rows that the weights are fitted to, in raw units; of more than there are in memory, a sample.
    pub training: &'a Matrix,
    /// All of those rows, if `training` is a sample of them: standardization and initialization go by the sample.
    pub stored: Option<&'a Arc<Store>>,
    /// Rows that decide when to stop and which weights to keep, drawn at random from the same source. The hundredth of
    /// them that is farthest off, in standard deviations, has no say: one wild row would decide alone.
    pub validation: &'a Matrix,
    /// Per feature the step of its quantization in raw units, 0 where it is continuous: each use of a training row adds
    /// uniform noise of this width, centred, which turns the density of a grid into a density over its cells.
    pub quantization_steps: &'a [f32],
}

impl TrainingData<'_> {
    /// How many rows the weights are fitted to.
    pub fn rows(&self) -> usize {
        self.stored.map_or(self.training.rows(), |stored| stored.rows())
    }
}

/// Why a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// All passes were done.
    Finished,
    /// The validation loss had not improved for as many passes as the patience.
    Patience,
    /// The caller asked for it.
    Cancelled,
    /// It diverged again and again.
    Diverged,
}

/// How a fit went. Losses are mean negative log-densities in nats.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Passes over the training rows, or over [`super::PASS_ROWS`] of them where not all are in memory.
    pub epochs: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// The pass after which the returned weights were reached; 0 is the starting point.
    pub best_epoch: usize,
    /// Of the validation rows under the returned model, in raw units, without the hundredth that is farthest off.
    pub validation_loss: f64,
    /// Times that the loss was no number, the best weights were restored and the learning rate halved.
    pub divergences: usize,
    /// Why it ended.
    pub stop: Stop,
}

/// A fitted model and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The weights with the lowest validation loss. Never NaN.
    pub model: Flow,
    /// How the fit went.
    pub summary: Summary,
}

/// Fits a flow: by maximum likelihood, or, where it follows a velocity, by flow matching.
///
/// Deterministic: the same table, options and machine give the same bits whatever the number of threads. `cancel` may
/// be set at any time from another thread: the fit ends after the step in hand and returns the best weights so far.
///
/// # Errors
/// If the table or an option does not make sense; a fit that has begun ends with a model.
pub fn fit(
    data: TrainingData<'_>,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fit, FitError> {
    fit_in_units(None, data, options, progress, cancel)
}

/// [`fit`] with the standardization of another flow that was fitted to such readings: the two then take the same coordinates.
///
/// # Errors
/// As [`fit`].
pub fn fit_beside(
    other: &Flow,
    data: TrainingData<'_>,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fit, FitError> {
    fit_in_units(Some(other), data, options, progress, cancel)
}

fn fit_in_units(
    other: Option<&Flow>,
    data: TrainingData<'_>,
    options: &Options,
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<Fit, FitError> {
    check(&data, options)?;
    let features = data.features;
    let columns = data.training.columns();
    let mut model = Flow::zeroed(vec![0.0; columns], vec![1.0; columns], features, options);
    let mapped = prepare(&model, data.training)?.0;
    (model.mean, model.inverse_scale) = match other {
        None => moments(&mapped)?,
        Some(other) => (other.mean.clone(), other.inverse_scale.clone()),
    };
    let prepared = Prepared::new(&model, data, options)?;
    let parameters = initial(&model, &prepared.training, &mut stream(options.seed, Stream::Initialization));
    let rows = prepared.rows(features);
    let objective = Objective { sequence: &model.sequence, base: &*model.base };
    let mut likelihood = Likelihood::new(objective, rows, options);
    let (best, mut summary) = match model.sequence.velocity() {
        Some(net) => {
            let mut matching = Matching::new(net, rows, options);
            let (best, mut summary) = descend(&mut matching, options, parameters, progress, cancel);
            matching.checked()?;
            summary.validation_loss = likelihood.validation(&best);
            (best, summary)
        }
        None => descend(&mut likelihood, options, parameters, progress, cancel),
    };
    likelihood.checked()?;
    model.parameters = best;
    summary.validation_loss -= model.log_scale() + prepared.log_det;
    Ok(Fit { model, summary })
}

/// The tables of a fit, in standardized units.
pub(super) struct Prepared {
    training: Matrix,
    stored: Option<Stored>,
    validation: Matrix,
    /// Per feature the width of the noise that takes a grid's cells.
    widths: Vec<f32>,
    noise: f32,
    /// Of the validation rows' supports, their mean.
    pub log_det: f64,
}

impl Prepared {
    /// For a model that knows its standardization.
    pub fn new(model: &Flow, data: TrainingData<'_>, options: &Options) -> Result<Self, FitError> {
        let features = data.features;
        let training = prepare(model, data.training)?.0;
        let (mut validation, log_det) = prepare(model, data.validation)?;
        // The steps of a sensor whose support is mapped are of many sizes: noise has to do there.
        let in_steps = |column: usize| options.architecture.supports.get(column).is_none_or(|it| *it == Support::All);
        let steps = data.quantization_steps.iter().zip(&model.inverse_scale).enumerate();
        let widths: Vec<f32> =
            steps.map(|(column, (step, scale))| if in_steps(column) { step * scale } else { 0.0 }).collect();
        let mut rng = stream(options.seed, Stream::Validation);
        for row in validation.values_mut().chunks_exact_mut(data.training.columns()) {
            row.iter_mut().zip(&widths).take(features).for_each(|(value, width)| dither(value, *width, &mut rng));
        }
        let validation = without_farthest(&validation, features);
        let noise = options.noise(data.rows(), features);
        let stored = |store: &Arc<Store>| Stored { store: Arc::clone(store), standardization: model.gaussian() };
        let stored = data.stored.map(stored);
        Ok(Self { training, stored, validation, widths, noise, log_det })
    }

    pub fn rows(&self, features: usize) -> Rows<'_> {
        let Self { validation, widths, noise, .. } = self;
        let training = self.stored.as_ref().map_or(Training::Table(&self.training), Training::Stored);
        Rows { features, training, validation, widths, noise: *noise }
    }
}

/// The rows that layers which normalize start from.
const MOST_INITIAL_ROWS: usize = 1024;

fn initial(model: &Flow, training: &Matrix, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut parameters = vec![0.0; model.parameters.len()];
    let of_layers = Trainable::<f32>::parameters(&model.sequence);
    let (layers, base) = parameters.split_at_mut(of_layers);
    model.sequence.initialize(layers, rng);
    TrainableBase::<f32>::initialize(&*model.base, base, rng);
    let mut worker = Worker::default();
    let step = training.rows().div_ceil(MOST_INITIAL_ROWS);
    let rows: Vec<&[f32]> = training.iter_rows().step_by(step).collect();
    worker.gather(rows.into_iter(), model.features(), model.context());
    model.sequence.initialize_by(layers, &mut worker.batch, &worker.context);
    parameters
}

/// Standardized rows without the hundredth, rounded up, of the greatest norms: those that the starting point, a standard
/// normal distribution, finds least likely. The same rows for every candidate, so that their losses compare.
#[must_use]
pub fn without_farthest(rows: &Matrix, features: usize) -> Matrix {
    let norm = |row: usize| rows.row(row)[..features].iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    let norms: Vec<f64> = (0..rows.rows()).map(norm).collect();
    let mut order: Vec<usize> = (0..rows.rows()).collect();
    order.sort_by(|a, b| norms[*a].total_cmp(&norms[*b]));
    order.truncate(rows.rows() - rows.rows().div_ceil(100));
    order.sort_unstable();
    rows.select(&order)
}

fn prepare(model: &Flow, rows: &Matrix) -> Result<(Matrix, f64), FitError> {
    let prepared = model.prepared(rows);
    match prepared.0.values().iter().position(|value| !value.is_finite()) {
        Some(at) => Err(FitError::NotFinite { row: at / rows.columns(), feature: at % rows.columns() }),
        None => Ok(prepared),
    }
}
