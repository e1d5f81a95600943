//! What quantization did to each layer, and what it cost.

use serde::{Serialize, Serializer};

use crate::model::architecture::NumberFormat;
use crate::net::{RangeMethod, Ranges};

/// What quantization cost. Losses are nats of mean log-density of the held-back readings.
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
    /// Layers with nets, in the order in which a reading meets them.
    pub layers: Vec<QuantizedLayer>,
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
