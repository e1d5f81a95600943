//! What `flowlet fit` reports of the quantization of each layer.

use std::fmt::{self, Display};

use super::{change, nats, percent};
use crate::quantization::{QuantizedLayer, Report};

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loss, budget) = (change(Some(-self.loss)), nats(Some(self.budget)));
        writeln!(f, "{:<14}{loss} nats in the mean of {} selection rows, {budget} allowed", "", self.rows)?;
        if let Some(tuning) = &self.fine_tuning {
            let (before, after) = (change(Some(-tuning.loss_before)), change(Some(-tuning.loss_after)));
            let verdict = if tuning.kept { "kept" } else { "dropped" };
            writeln!(f, "{:<14}fine-tuned with rounded weights: {before} before, {after} after, {verdict}", "")?;
        }
        writeln!(
            f,
            "{:<14}{:<24}{:>8}{:>10}{:>15}{:>11}  largest activations",
            "", "layer", "weights", "alone", "ranges", "saturated"
        )?;
        self.layers.iter().enumerate().try_for_each(|(index, layer)| write_layer(f, index + 1, layer))
    }
}

/// The loss of the layer alone, how ranges were calibrated, the highest share of saturated activations, and the largest
/// activation that each matrix has met.
fn write_layer(f: &mut fmt::Formatter<'_>, number: usize, layer: &QuantizedLayer) -> fmt::Result {
    let name = format!("{number} {}", layer.layer);
    write!(f, "{:<14}{name:<24}{:>8}", "", layer.format.name())?;
    let Some(method) = layer.method else { return writeln!(f) };
    let saturated = layer.matrices.iter().map(|matrix| matrix.saturated).fold(0.0, f64::max);
    let largest: Vec<String> = layer.matrices.iter().map(|it| format!("{:.2}", it.largest_activation)).collect();
    let (loss, saturated) = (change(Some(-layer.loss)), percent(Some(saturated)));
    writeln!(f, "{loss:>10}{:>15}{saturated:>11}  {}", method.name(), largest.join(", "))
}
