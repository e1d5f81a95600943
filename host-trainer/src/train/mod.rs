//! Maximum-likelihood training of flows in f32.
//!
//! ```text
//! rows -> standardize -> [ permute -> coupling ] x L -> base    layers/, objective.rs: loss and gradient, in chunks over the threads
//!                                                       optimizer.rs: Adam, schedule, clip
//!                                                       fit.rs: epochs, validation, best weights -> model.rs: RealNvp
//! ```
//!
//! Layers are generic over the float: f32 trains, f64 checks the gradients.

mod batch;
mod conditioner;
mod fit;
mod gemm;
pub mod layers;
mod model;
mod objective;
mod optimizer;
mod options;
mod permutation;
mod progress;
mod real;
mod standardize;
mod tape;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use conditioner::Mlp as MlpShape;
pub use fit::{Fit, FitError, Stop, Summary, TrainingData, fit};
pub use model::{Block, Coupling, Dense, Mlp, RealNvp};
pub use options::{Architecture, Options};
pub use permutation::{MixingError, check_mixing, orders};
pub use progress::{Epoch, Progress};
pub use real::Real;
pub use tape::Tape;
