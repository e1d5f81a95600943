//! What `flowlet inspect` reports.

use std::fmt::{self, Display};

use flowlet::calibration::CalibrationView;
use serde::Serialize;

use super::{percent, score, thousands};
use crate::model::Model;

/// What a model is, and what it costs on a device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The family of flows.
    pub family: &'static str,
    /// Flows that the density is a mixture of.
    pub members: usize,
    /// How conditioners store their weights.
    pub number_format: &'static str,
    /// Features.
    pub features: usize,
    /// Context values that come with each reading.
    pub context: usize,
    /// The names of the features, and behind them those of the context values.
    pub feature_names: Vec<String>,
    /// Their units; empty where none was named.
    pub feature_units: Vec<String>,
    /// Weights and biases of all conditioners.
    pub parameters: usize,
    /// Multiply-accumulates of one score, padding included.
    pub macs: usize,
    /// Bytes of flash that the model takes.
    pub model_bytes: usize,
    /// Bytes of stack that one score takes.
    pub ram_bytes: usize,
    /// Bytes of the file: the model, a prefix and what only the host needs.
    pub file_bytes: u64,
    /// The share of normal readings that may raise an alarm.
    pub false_alarm_rate: f32,
    /// Scores above it raise an alarm.
    pub threshold: f32,
    /// Rows that the scores were calibrated on.
    pub calibration_rows: u32,
    /// Their mean log-density, in nats, in their own units.
    pub calibration_log_prob: f32,
    /// Rows that were trained on.
    pub training_rows: u32,
    /// Rows that early stopping selected on.
    pub selection_rows: u32,
    /// Passes over the training rows until the best weights.
    pub epochs: u32,
    /// The seed of the fit.
    pub seed: u64,
    /// The hash of the architecture, which the device compares.
    pub fingerprint: String,
    /// The type in Rust.
    pub rust_type: String,
}

impl Inspection {
    /// What is known of a model whose file has so many bytes.
    pub fn new(model: &Model, file_bytes: u64) -> Self {
        let (core, architecture, metadata) = (model.core(), model.architecture(), model.metadata());
        let scorer = model.scorer();
        let CalibrationView { rows, threshold, false_alarm_rate, .. } = *scorer.calibration();
        let training = &metadata.training;
        Self {
            family: architecture.family(),
            members: architecture.members(),
            number_format: architecture.number_format(),
            features: architecture.features,
            context: architecture.context,
            feature_names: metadata.features.iter().map(|feature| feature.name.clone()).collect(),
            feature_units: metadata.features.iter().map(|feature| feature.unit.clone()).collect(),
            parameters: architecture.parameters(),
            macs: core.macs(),
            model_bytes: core.size(),
            ram_bytes: core.ram(),
            file_bytes,
            false_alarm_rate,
            threshold,
            calibration_rows: rows,
            calibration_log_prob: training.calibration_log_prob,
            training_rows: training.training_rows,
            selection_rows: training.selection_rows,
            epochs: training.epochs,
            seed: training.seed,
            fingerprint: format!("{:016x}", core.fingerprint()),
            rust_type: architecture.rust_type(),
        }
    }
}

impl Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mixture = if self.members > 1 { format!("a mixture of {} flows, ", self.members) } else { String::new() };
        writeln!(f, "{:<14}{}, {mixture}{} weights", "family", self.family, self.number_format)?;
        let named =
            |(name, unit): (&String, &String)| if unit.is_empty() { name.clone() } else { format!("{name} ({unit})") };
        let names: Vec<String> = self.feature_names.iter().zip(&self.feature_units).map(named).collect();
        let (features, context) = names.split_at(self.features);
        writeln!(f, "{:<14}{}: {}", "features", self.features, features.join(", "))?;
        if self.context > 0 {
            writeln!(f, "{:<14}{}: {}", "context", self.context, context.join(", "))?;
        }
        writeln!(f, "{:<14}{}", "parameters", thousands(self.parameters as u64))?;
        writeln!(
            f,
            "{:<14}{} bytes (file {})",
            "flash",
            thousands(self.model_bytes as u64),
            thousands(self.file_bytes)
        )?;
        writeln!(f, "{:<14}{} bytes of stack, no heap, no static", "RAM", thousands(self.ram_bytes as u64))?;
        writeln!(f, "{:<14}{} multiply-accumulates", "one score", thousands(self.macs as u64))?;
        writeln!(
            f,
            "{:<14}score above {}: {} of normal readings, calibrated on {} rows",
            "alarm",
            score(self.threshold),
            percent(Some(f64::from(self.false_alarm_rate))),
            thousands(self.calibration_rows.into())
        )?;
        writeln!(
            f,
            "{:<14}{} rows, selected on {}, best after epoch {}, seed {}",
            "training",
            thousands(self.training_rows.into()),
            thousands(self.selection_rows.into()),
            self.epochs,
            self.seed
        )?;
        writeln!(f, "{:<14}{:.4} nats, mean of the calibration rows", "log-density", self.calibration_log_prob)?;
        writeln!(f, "{:<14}{}", "fingerprint", self.fingerprint)?;
        writeln!(f, "{:<14}{}", "type", self.rust_type)
    }
}
