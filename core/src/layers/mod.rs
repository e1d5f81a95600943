//! The layers, one file each. Every file has the same parts: the typed layer (shapes in the type, parameters in fields),
//! its record, and its mathematics on slices, which the typed layer and run-time-shaped models share.

pub mod coupling;
pub mod cube;
pub mod masked_autoregressive;
pub mod permute;
pub mod reverse;
pub mod standardize;
pub mod standardize_context;

pub use coupling::{AffineCoupling, Coupling};
pub use cube::Cube;
pub use masked_autoregressive::MaskedAutoregressive;
pub use permute::Permute;
pub use reverse::Reverse;
pub use standardize::Standardize;
pub use standardize_context::StandardizeContext;
