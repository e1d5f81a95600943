//! The layers, one file each. Every file has the same parts: the typed layer (shapes in the type, parameters in fields),
//! its record, and its mathematics on slices, which the typed layer and run-time-shaped models share.

pub mod continuous;
pub mod coupling;
pub mod cube;
pub mod elementwise;
pub mod householder;
pub mod lu_linear;
pub mod masked_autoregressive;
pub mod permute;
pub mod planar;
pub mod pointwise;
pub mod radial;
pub mod reverse;
mod rows;
pub mod standardize;
pub mod standardize_context;
pub mod sylvester;

pub use continuous::Continuous;
pub use coupling::{AffineCoupling, Coupling};
pub use cube::Cube;
pub use elementwise::{Atanh, Elementwise, InverseSoftplus, Log, Logit, Power};
pub use householder::Householder;
pub use lu_linear::LuLinear;
pub use masked_autoregressive::MaskedAutoregressive;
pub use permute::Permute;
pub use planar::Planar;
pub use pointwise::Pointwise;
pub use radial::Radial;
pub use reverse::Reverse;
pub use standardize::Standardize;
pub use standardize_context::StandardizeContext;
pub use sylvester::Sylvester;
