//! Maximum-likelihood training of flows in f32.
//!
//! ```text
//! fit.rs         a table and options in, a fitted model and a summary out
//! descent.rs     the loop: batches, noise, steps, validation, best weights
//! objective.rs   log-likelihood and its gradient, in chunks over the threads
//! families.rs    which layers a family of flows is made of
//! conditioner.rs the nets inside layers, on gemm.rs, the matrix product
//! optimizer.rs   Adam, its schedule and its clip
//! flow.rs        the result: layers, a base, and their parameters
//! ```
//!
//! The layers' own arithmetic is in [`crate::layers`]. Layers are generic over the float: f32 trains, f64 checks the gradients.

mod batch;
mod check;
mod conditioner;
mod descent;
mod error;
<<<<<<< HEAD
mod exp;
=======
mod families;
>>>>>>> main
mod fit;
mod flow;
pub(crate) mod gemm;
mod model;
mod objective;
mod optimizer;
mod options;
mod permutation;
mod progress;
mod random;
mod real;
mod standardize;
mod tape;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use conditioner::Mlp as MlpShape;
pub use error::FitError;
<<<<<<< HEAD
pub use exp::Fast;
=======
pub use families::{Architecture, Family};
>>>>>>> main
pub use fit::{Fit, Stop, Summary, TrainingData, fit};
pub use flow::{Flow, LN_2PI};
pub use model::{Dense, Mlp};
pub use options::Options;
pub use permutation::orders;
pub use progress::{Epoch, Progress};
pub use real::Real;
pub use tape::Tape;
