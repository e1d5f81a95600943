//! From a fitted flow to one with quantized nets: calibrated, measured layer by layer, trained on where that costs too
//! much.
//!
//! ```text
//! mod.rs      the order of what is tried, and the budget that ends it
//! pass.rs     all nets of a flow, quantized one after the other
//! readings.rs the readings that quantize, and those that judge
//! report.rs   what became of each layer
//! ```
//!
//! Every decision is by the same measure, the loss: how many nats of mean log-density the held-back readings lose
//! against the flow as it was fitted. They are the ones that early stopping selects on, without the hundredth that is
//! farthest off: no weight is fitted to them and no net quantized by them. The rows of the calibration of p-values have
//! no part in it.

mod pass;
mod readings;
mod report;

use std::convert::Infallible;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub use report::{FineTuning, QuantizedLayer, Report};

use crate::data::Matrix;
use crate::export::Written;
use crate::train::Flow;
use pass::{Pass, losses_alone};
use readings::Readings;

/// How weights of nets may be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Formats {
    /// int8 in every net
    Int8,
    /// f32 in the most sensitive nets, as many as it takes to keep to the budget; int8 in the others
    Auto,
}

/// What quantization may cost, and what may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The loss, in nats of mean log-density, above which weights are trained on.
    pub budget: f64,
    /// How weights may be stored.
    pub formats: Formats,
}

impl Default for Options {
    fn default() -> Self {
        Self { budget: 0.01, formats: Formats::Int8 }
    }
}

/// A flow with quantized nets.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The flow that was written: the given one, or the one that was trained on.
    pub flow: Flow,
    /// Its layers, quantized.
    pub written: Written,
    /// What it cost.
    pub report: Report,
}

/// Quantizes a flow by the readings that it was fitted to, judged by the ones that it was selected on; both in raw units,
/// each reading followed by its context. `fine_tune` trains the flow on with weights as int8 holds them; it is called at
/// most once, when the loss is above the budget.
///
/// A flow without nets to quantize stays as it is.
///
/// # Errors
/// Those of `fine_tune`.
///
/// # Panics
/// If there are no readings of either kind.
pub fn quantize<E>(
    flow: &Flow,
    fitted: &Matrix,
    held_back: &Matrix,
    options: &Options,
    fine_tune: impl FnOnce(&Flow) -> Result<Flow, E>,
) -> Result<Quantized, E> {
    if !flow.sequence.has_nets_to_quantize() {
        let written = Written::float(flow);
        let report = Report { budget: options.budget, rows: 0, loss: 0.0, fine_tuning: None, layers: Vec::new() };
        return Ok(Quantized { flow: flow.clone(), written, report });
    }
    let readings = Readings::new(flow, fitted, held_back);
    let mut best = Pass::new(flow, &readings, &[]);
    let mut fine_tuning = None;
    if best.loss > options.budget {
        let tuned = fine_tune(flow)?;
        // Weights as they were moved, and as the fine-tuning computed with them: rounding starts from either.
        let rounded = tuned.fake_quantized();
        let (moved, rounded) = (Pass::new(&tuned, &readings, &[]), Pass::new(&rounded, &readings, &[]));
        let tuned = if rounded.loss < moved.loss { rounded } else { moved };
        fine_tuning = Some(FineTuning { loss_before: best.loss, loss_after: tuned.loss, kept: tuned.loss < best.loss });
        best = best.or(tuned);
    }
    let alone = losses_alone(&best, &readings);
    if options.formats == Formats::Auto {
        let mut order: Vec<usize> = (0..alone.len()).collect();
        order.sort_by(|a, b| alone[*b].total_cmp(&alone[*a]));
        let mut promoted = Vec::new();
        for net in order {
            if best.loss <= options.budget {
                break;
            }
            promoted.push(best.nets[net].index);
            let flow = best.flow.clone();
            best = best.or(Pass::new(&flow, &readings, &promoted));
        }
    }
    Ok(best.finish(options.budget, readings.held_back.len(), fine_tuning, &alone))
}

/// Quantizes all nets of a flow as [`quantize`] does, without a budget.
///
/// # Panics
/// As [`quantize`].
#[must_use]
pub fn post_training(flow: &Flow, fitted: &Matrix, held_back: &Matrix) -> Quantized {
    let unlimited = Options { budget: f64::INFINITY, formats: Formats::Int8 };
    let never = |flow: &Flow| Ok::<_, Infallible>(flow.clone());
    match quantize(flow, fitted, held_back, &unlimited, never) {
        Ok(quantized) => quantized,
    }
}

#[cfg(test)]
mod tests;
