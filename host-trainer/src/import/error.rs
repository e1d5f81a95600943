//! Why a model of another library cannot become one of ours.

use crate::model::ModelError;
use crate::recalibrate::RecalibrationError;

/// Why a model of another library cannot become one of ours.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The weights are no safetensors file.
    #[error("the weights cannot be read as safetensors: {0}")]
    Weights(String),
    /// The sidecar is no JSON object.
    #[error("the sidecar cannot be read: {0}")]
    Sidecar(String),
    /// Something that the state dictionary does not hold.
    #[error("the sidecar has no `{field}`: {needed_for} (the state dictionary does not hold it)")]
    MissingField {
        /// Its name.
        field: &'static str,
        /// What it is needed for.
        needed_for: String,
    },
    /// A field that is not one of an import.
    #[error("the sidecar's `{0}` is not a field that an import knows")]
    UnknownField(String),
    /// A field that says something unexpected.
    #[error("the sidecar's `{field}` is {found}, expected {expected}")]
    Field {
        /// Its name.
        field: String,
        /// Its value, as JSON.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A tensor that is not there.
    #[error("the weights have no `{0}`")]
    MissingTensor(String),
    /// A tensor of another shape.
    #[error("`{key}` has the shape {found:?}, expected {expected}")]
    Shape {
        /// Its key.
        key: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: String,
    },
    /// A tensor that contradicts others.
    #[error("`{key}`: {problem}")]
    Contradiction {
        /// Its key.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// What none of our layers computes.
    #[error("{what} cannot be imported: {reason}")]
    Unsupported {
        /// A key, a class or an option.
        what: String,
        /// Why not.
        reason: String,
    },
    /// Tensors that nothing has read.
    #[error("the weights have `{first}`{}, which no part of the import reads: the density would be another one",
        if *others == 0 { String::new() } else { format!(" and {others} more") })]
    Unread {
        /// The first of them.
        first: String,
        /// How many others there are.
        others: usize,
    },
    /// Values that the device refuses.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The readings make no calibration.
    #[error(transparent)]
    Calibration(#[from] RecalibrationError),
}

impl ImportError {
    pub(super) fn unsupported(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into(), reason: reason.into() }
    }

    pub(super) fn contradiction(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Contradiction { key: key.into(), problem: problem.into() }
    }
}
