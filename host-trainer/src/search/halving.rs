//! Successive halving (Jamieson, Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016):
//! all candidates are fitted for a moment, the better part of them for longer.
//!
//! What is kept is not only what has the most nats, but what no other beats in both nats and cost: the front has to be
//! fitted well all along. Every fit is deterministic, and candidates are ranked in the order in which they came, so that
//! the result does not depend on the number of threads.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{Budget, Candidate};
use crate::data::Matrix;
use crate::quantization;
use crate::train::{self, Fit, FitError, Flow, Options, Stop, TrainingData};

/// A candidate and how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// What was fitted.
    pub candidate: Candidate,
    /// Mean log-density of the selection rows without the hundredth that is farthest off, in nats, by the longest fit.
    pub nats: f64,
    /// The round that it was fitted in last, from 1.
    pub round: usize,
}

/// Told how a search goes; `()` ignores it.
pub trait Watch: Sync {
    /// A round of so many fits begins.
    fn round(&self, _number: usize, _fits: usize) {}

    /// One of them has ended, with so many nats unless it was interrupted.
    fn fitted(&self, _candidate: &Candidate, _nats: Option<f64>) {}
}

impl Watch for () {}

/// A round: how many candidates take part, and for which share of a whole fit.
struct Round {
    candidates: usize,
    share: f64,
}

/// All together cost about as much as a whole fit of the largest candidate. The last one judges models as a device has
/// them, with int8 weights.
const ROUNDS: [Round; 3] = [
    Round { candidates: 48, share: 0.005 },
    Round { candidates: 20, share: 0.02 },
    Round { candidates: 8, share: 0.06 },
];

/// More rows than this make a short fit slower and no better.
const MOST_ROWS: usize = 1 << 14;

/// Fits the candidates, cheapest first, for longer and longer; returns them in that order, each by its longest fit. If `cancel`
/// is set meanwhile, what is known by then is returned: at least one trial.
///
/// # Errors
/// If no candidate can be fitted; the message is the first one's.
pub fn search(
    candidates: Vec<Candidate>,
    data: TrainingData<'_>,
    options: &Options,
    budget: &Budget,
    watch: &dyn Watch,
    cancel: &AtomicBool,
) -> Result<Vec<Trial>, FitError> {
    let (training, selection) = (thinned(data.training), thinned(data.validation));
    let data = TrainingData { training: &training, stored: None, validation: &selection, ..data };
    let all = options.epochs.saturating_mul(training.rows().div_ceil(options.batch_rows)).min(options.steps);
    let mut done: Vec<Trial> = Vec::new();
    let mut running = spread(candidates, ROUNDS[0].candidates, budget);
    for (index, Round { candidates, share }) in ROUNDS.into_iter().enumerate() {
        if index > 0 {
            running = kept(&done, index, candidates, budget);
        }
        watch.round(index + 1, running.len());
        let steps = ((all as f64 * share) as usize).max(1);
        let quantized = index + 1 == ROUNDS.len();
        let fit = |candidate: &Candidate| -> Result<Option<f64>, FitError> {
            let options = Options { architecture: candidate.shape.clone(), steps, ..options.clone() };
            let nats = nats(data, &options, quantized, cancel)?;
            watch.fitted(candidate, nats);
            Ok(nats)
        };
        let fits = running.par_iter().map(fit).collect::<Result<Vec<_>, _>>()?;
        let trials = running
            .iter()
            .zip(fits)
            .filter_map(|(candidate, fit)| Some(Trial { candidate: candidate.clone(), nats: fit?, round: index + 1 }));
        for trial in trials.collect::<Vec<_>>() {
            match done.iter_mut().find(|done| done.candidate == trial.candidate) {
                Some(done) => *done = trial,
                None => done.push(trial),
            }
        }
        if cancel.load(Ordering::Relaxed) {
            break;
        }
    }
    Ok(done)
}

/// Nats of a fit; `None` if it was interrupted.
fn nats(
    data: TrainingData<'_>,
    options: &Options,
    quantized: bool,
    cancel: &AtomicBool,
) -> Result<Option<f64>, FitError> {
    let Fit { model, summary } = train::fit(data, options, &mut (), cancel)?;
    if summary.stop == Stop::Cancelled {
        return Ok(None);
    }
    let loss = if quantized { loss(&model, data) } else { 0.0 };
    Ok(Some(-summary.validation_loss - loss))
}

/// What int8 weights cost.
fn loss(flow: &Flow, data: TrainingData<'_>) -> f64 {
    quantization::post_training(flow, data.training, data.validation).report.loss
}

/// Rows at equal distances, no more than [`MOST_ROWS`].
fn thinned(rows: &Matrix) -> Matrix {
    let step = rows.rows().div_ceil(MOST_ROWS).max(1);
    rows.select(&(0..rows.rows()).step_by(step).collect::<Vec<_>>())
}

/// As many of the candidates, of every family as many, at equal distances in its order of costs up to the most expensive.
fn spread(candidates: Vec<Candidate>, most: usize, budget: &Budget) -> Vec<Candidate> {
    let mut families: Vec<Vec<Candidate>> = Vec::new();
    for candidate in candidates {
        match families.iter_mut().find(|family| family[0].shape.family == candidate.shape.family) {
            Some(family) => family.push(candidate),
            None => families.push(vec![candidate]),
        }
    }
    // Small families leave their places to the others.
    families.sort_by_key(Vec::len);
    let mut chosen = Vec::new();
    let count = families.len();
    for (index, family) in families.into_iter().enumerate() {
        let places = ((most - chosen.len()) / (count - index)).min(family.len());
        chosen.extend((1..=places).map(|n| family[n * family.len() / places - 1].clone()));
    }
    sort(&mut chosen, budget);
    chosen
}

/// The cheapest first.
pub(super) fn sort(candidates: &mut [Candidate], budget: &Budget) {
    candidates.sort_by(|a, b| budget.share(&a.cost).total_cmp(&budget.share(&b.cost)));
}

/// The candidates of the trials of a round that are fitted on: what has most nats, then front after front of what no other
/// beats in nats and cost.
fn kept(done: &[Trial], round: usize, most: usize, budget: &Budget) -> Vec<Candidate> {
    let mut left: Vec<&Trial> = done.iter().filter(|trial| trial.round == round).collect();
    left.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    // Half of the places are for the most nats.
    let best = most.div_ceil(2).min(left.len());
    let mut kept: Vec<&Trial> = left.drain(..best).collect();
    while kept.len() < most && !left.is_empty() {
        let front: Vec<bool> = left.iter().map(|trial| !left.iter().any(|other| other.beats(trial, budget))).collect();
        let mut on_front = front.into_iter();
        let (front, rest): (Vec<&Trial>, Vec<&Trial>) = left.into_iter().partition(|_| on_front.next() == Some(true));
        kept.extend(front.into_iter().take(most - kept.len()));
        left = rest;
    }
    let mut kept: Vec<Candidate> = kept.into_iter().map(|trial| trial.candidate.clone()).collect();
    sort(&mut kept, budget);
    kept
}

impl Trial {
    /// Whether it has at least as many nats at no higher cost, and is better in one of them.
    pub fn beats(&self, other: &Self, budget: &Budget) -> bool {
        let (mine, its) = (&self.candidate.cost, &other.candidate.cost);
        let no_worse = self.nats >= other.nats && budget.quantities().all(|it| (it.spent)(mine) <= (it.spent)(its));
        let better = self.nats > other.nats || budget.quantities().any(|it| (it.spent)(mine) < (it.spent)(its));
        no_worse && better
    }
}
