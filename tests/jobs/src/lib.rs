//! What emulated devices are asked to evaluate, and the host as well.
#![no_std]

pub mod arithmetic;
mod costs;
mod elementary;
mod evaluation;
mod families;
mod features;
mod kernels;

pub use {
    costs::COSTS,
    elementary::ELEMENTARY,
    families::{FAMILIES, FIXED, FLOATS, QUANTIZED},
    features::FEATURES,
    kernels::KERNELS,
};

/// Evaluates at a point, with the parameters in the image. Writes results and returns how many, or `None` if the image or
/// the point has another size.
pub type Evaluate = fn(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>;

/// Something to evaluate.
pub struct Job {
    /// What it is.
    pub name: &'static str,
    /// D.
    pub features: usize,
    /// Bytes of the image that it takes.
    pub image: usize,
    /// Values of a point that it takes.
    pub values: usize,
    /// How.
    pub evaluate: Evaluate,
    /// What the image consists of.
    #[cfg(not(target_os = "none"))]
    pub schema: &'static flowlet::schema::Schema,
}

/// The most values of a point, and the most results of one.
pub const MOST_VALUES: usize = 80;
