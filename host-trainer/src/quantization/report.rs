//! What quantization did to each layer, and what it cost.

use serde::{Serialize, Serializer};

use crate::model::architecture::NumberFormat;
use crate::net::{RangeMethod, Ranges};

/// What quantization cost. Losses are nats of mean log-density of the held-back readings; of a mixture, means over its flows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The loss above which weights are trained on.
    pub budget: f64,
    /// Held-back readings that judged.
    pub rows: usize,
    /// Of the model against the flow as it was fitted.
    pub loss: f64,
    /// `None` where the loss was within the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fine_tuning: Option<FineTuning>,
    /// Layers with nets, in the order in which a reading meets them, one flow of a mixture after the other.
    pub layers: Vec<QuantizedLayer>,
}

impl Report {
    /// The report of a mixture, given one for each of its flows.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn of_members(reports: impl IntoIterator<Item = Self>) -> Self {
        let mut reports: Vec<Self> = reports.into_iter().collect();
        if reports.len() == 1 {
            return reports.remove(0);
        }
        let mean = |loss: fn(&Self) -> f64| reports.iter().map(loss).sum::<f64>() / reports.len() as f64;
        let fine_tuning = reports.iter().any(|report| report.fine_tuning.is_some()).then(|| FineTuning {
            loss_before: mean(|report| report.fine_tuning.map_or(report.loss, |tuning| tuning.loss_before)),
            loss_after: mean(|report| report.fine_tuning.map_or(report.loss, |tuning| tuning.loss_after)),
            kept: reports.iter().filter_map(|report| report.fine_tuning).any(|tuning| tuning.kept),
        });
        let (budget, rows, loss) = (reports[0].budget, reports[0].rows, mean(|report| report.loss));
        Self { budget, rows, loss, fine_tuning, layers: reports.into_iter().flat_map(|report| report.layers).collect() }
    }
}

/// What quantization-aware fine-tuning brought.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FineTuning {
    /// The loss without it.
    pub loss_before: f64,
    /// The loss with it.
    pub loss_after: f64,
    /// Whether that is better, and its weights are the model's.
    pub kept: bool,
}

/// A layer with a net.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuantizedLayer {
    /// The layer's type, without its shapes.
    pub layer: String,
    /// How the weights are stored.
    #[serde(serialize_with = "named")]
    pub format: NumberFormat,
    /// The loss of this layer alone, all others exact.
    pub loss: f64,
    /// How ranges were calibrated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<RangeMethod>,
    /// What went into each matrix: first, inner, last.
    pub matrices: Vec<Ranges>,
}

fn named<S: Serializer>(format: &NumberFormat, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.name())
}
