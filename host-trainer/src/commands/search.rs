//! The search for an architecture that a device has room for, with its progress.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use flowlet::model_file::MOST_FEATURES;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::fit::Job;
use crate::cli::FitArgs;
use crate::data::quantization_steps;
use crate::fitting::{FittingError, named};
use crate::quantization::Formats;
use crate::search::{Budget, Candidate, Chosen, Report, Watch, candidates, search};
use crate::train::{Architecture, TrainingData};

/// What a search gives.
pub struct Found {
    /// How it went.
    pub report: Report,
    /// The shape that is to be fitted.
    pub architecture: Architecture,
}

/// Searches what the arguments leave open. Ctrl-C ends the search with what is best so far.
pub fn run(args: &FitArgs, budget: &Budget, job: &Job, cancel: &AtomicBool) -> Result<Found> {
    let quiet = args.quiet;
    let Job { readings, split, candidates: fits, .. } = job;
    let (args, options) = (&args.options, &fits[0]);
    ensure!(args.format == Formats::Int8, "--format: costs are predicted for int8 nets (leave it out under a budget)");
    let number = |chosen: Option<u16>| chosen.map(usize::from);
    let chosen = Chosen {
        family: args.family,
        layers: number(args.layers),
        hidden: number(args.hidden),
        hidden_layers: number(args.hidden_layers),
        bins: number(args.bins),
    };
    let features = readings.features.len();
    if features > MOST_FEATURES {
        return Err(FittingError::TooManyFeatures { file: readings.file.clone(), found: features }.into());
    }
    let all = candidates(features, readings.context.len(), options, &chosen, budget)?;
    let count = all.len();
    let (training, selection) = (split.training(readings, options.seed), readings.values.select(&split.selection));
    let steps = quantization_steps(&readings.values.select(&split.train));
    // Short fits see no more of a large table than a sample of it.
    let stored = None;
    let data =
        TrainingData { features, training: &training, stored, validation: &selection, quantization_steps: &steps };
    let bar = Bar::new(quiet);
    let begin = Instant::now();
    let trials = search(all, data, options, budget, &bar, cancel);
    bar.0.finish_and_clear();
    let trials = trials.map_err(|error| named(error, readings))?;
    if cancel.load(Ordering::Relaxed) {
        if trials.is_empty() {
            bail!("interrupted before a shape was fitted: nothing is written");
        }
        // The next one ends the training, as without a search.
        cancel.store(false, Ordering::Relaxed);
        eprintln!("the search ends here: fitting the best shape so far");
    }
    let (report, architecture) = Report::new(*budget, count, begin.elapsed().as_secs_f64(), &trials);
    Ok(Found { report, architecture })
}

/// A bar over the fits of a round.
struct Bar(ProgressBar);

impl Bar {
    fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(ProgressStyle::with_template("{bar:16} {pos}/{len}  {wide_msg}").expect("a constant"));
        Self(bar)
    }
}

impl Watch for Bar {
    fn round(&self, number: usize, fits: usize) {
        self.0.set_length(fits as u64);
        self.0.set_position(0);
        self.0.set_message(format!("search, round {number}"));
    }

    fn fitted(&self, candidate: &Candidate, nats: Option<f64>) {
        self.0.inc(1);
        if let Some(nats) = nats {
            self.0.set_message(format!("{candidate}  {nats:.3} nats"));
        }
    }
}
