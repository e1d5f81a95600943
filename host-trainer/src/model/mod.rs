//! A model on the host: read from its file, checked by the device's rules, and scored by the device's kernels.

pub mod architecture;
mod file;
mod scorer;
mod source;
mod terms;

pub use crate::net::rows::ROWS;
pub use architecture::Architecture;
pub use file::{Body, Feature, Metadata, Model, ModelError, Training};
pub use scorer::Scorer;
pub use source::rust_source;
pub use terms::NoTerms;
