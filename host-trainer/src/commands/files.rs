//! Model files and what lies beside them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::model::{Model, Training};

/// The path of the unquantized twin: `pump.f32.flow` beside `pump.flow`.
pub fn twin(model: &Path) -> PathBuf {
    beside(model, "f32.flow")
}

/// The path of the Rust source: `pump.rs` beside `pump.flow`.
pub fn source(model: &Path) -> PathBuf {
    beside(model, "rs")
}

/// The path of the picture of a search: `pump.front.svg` beside `pump.flow`.
pub fn front(model: &Path) -> PathBuf {
    beside(model, "front.svg")
}

/// Only `.flow` is taken for an extension, so that `pump-1.2` and `pump-1.3` have different files beside them.
fn beside(model: &Path, extension: &str) -> PathBuf {
    let stem =
        if model.extension().is_some_and(|found| found == "flow") { model.with_extension("") } else { model.into() };
    let mut name = stem.into_os_string();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Reads a model file.
pub fn read_model(path: &Path) -> Result<Model> {
    let bytes = fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    Model::from_bytes(&bytes).with_context(|| format!("{}: is not a model that can be used", path.display()))
}

/// The unquantized twin, if it lies beside the model and is of the same fit.
pub fn read_twin(path: &Path, model: &Model) -> Option<Model> {
    let twin_path = twin(path);
    if !twin_path.exists() {
        return None;
    }
    // All that a fit says of itself is the same but the score, which quantization changes.
    let summary = |model: &Model| Training { calibration_log_prob: 0.0, ..model.metadata().training.clone() };
    let same_fit =
        |twin: &Model| twin.metadata().features == model.metadata().features && summary(twin) == summary(model);
    match read_model(&twin_path) {
        Ok(twin) if same_fit(&twin) => Some(twin),
        Ok(_) => {
            eprintln!("warning: {} is of another fit than {} and left out", twin_path.display(), path.display());
            None
        }
        Err(error) => {
            eprintln!("warning: {error:#}; the twin is left out");
            None
        }
    }
}

/// The names of a model's features, and behind them those of its context values.
pub fn feature_names(model: &Model) -> Vec<String> {
    model.metadata().features.iter().map(|feature| feature.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_beside_a_model() {
        assert_eq!(twin(Path::new("a/pump.flow")), Path::new("a/pump.f32.flow"));
        assert_eq!(source(Path::new("pump.flow")), Path::new("pump.rs"));
        assert_eq!(front(Path::new("pump.flow")), Path::new("pump.front.svg"));
        assert_eq!(source(Path::new("pump-1.2")), Path::new("pump-1.2.rs"));
        assert_eq!(twin(Path::new("pump.bin")), Path::new("pump.bin.f32.flow"));
    }
}
