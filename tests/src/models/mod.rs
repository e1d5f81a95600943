//! Models to try laws on: any parameters that the loaders accept, for any type.
//!
//! [`image`] fills a schema's fields with values that keep their rules, so a new layer needs no generator of its own.
//! [`layers`] is the list of all layers, [`detectors`] a list of whole models.

mod detectors;
mod file;
mod image;
mod layers;

pub use detectors::{AnyDetector, detectors};
pub use file::{Aligned, host_model, with_checksum};
pub use image::{Style, body, image};
pub use layers::{Case, Direction, Map, layers, layers_of_other_sizes};
