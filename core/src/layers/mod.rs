//! The layers, one file each. Every file has the same parts: the typed layer (shapes in the type, parameters in fields),
//! its record, and its mathematics on slices, which the typed layer and run-time-shaped models share.

pub mod affine_coupling;
pub mod cube;
pub mod householder;
pub mod lu_linear;
pub mod permute;
pub mod planar;
pub mod pointwise;
pub mod radial;
pub mod reverse;
mod rows;
pub mod standardize;
pub mod sylvester;

pub use affine_coupling::AffineCoupling;
pub use cube::Cube;
pub use householder::Householder;
pub use lu_linear::LuLinear;
pub use permute::Permute;
pub use planar::Planar;
pub use pointwise::Pointwise;
pub use radial::Radial;
pub use reverse::Reverse;
pub use standardize::Standardize;
pub use sylvester::Sylvester;
