//! Maximum-likelihood training of flows in f32.
//!
//! ```text
//! fit.rs         a table and options in, a fitted model and a summary out
//! choice.rs      which flow, and how many fits, where the user leaves it open
//! fine_tuning.rs training goes on with rounded weights
//! descent.rs     the loop: batches, noise, steps, validation, best weights
//! state.rs       where the loop is, to go on from
//! windows.rs     which rows a pass takes, and where from
//! objective.rs   log-likelihood and its gradient, in chunks over the threads
//! exp.rs         exponentials and logarithms that vectorize
//! matching.rs    another objective, of the velocities of continuous flows
//! families.rs    which layers a family of flows is made of
//! gemm.rs        the matrix product that nets are made of
//! vectors.rs     what the matrix product is written in
//! optimizer.rs   Adam, its schedule and its clip
//! flow.rs        the result: layers, a base, and their parameters
//! ```
//!
//! The layers' own arithmetic is in [`crate::layers`]. Layers are generic over the float: f32 trains, f64 checks the gradients.

mod assignment;
mod batch;
mod check;
mod choice;
pub(crate) mod descent;
mod error;
mod exp;
mod families;
mod fine_tuning;
mod fit;
mod flow;
pub(crate) mod gemm;
mod matching;
pub(crate) mod objective;
mod optimizer;
mod options;
mod permutation;
mod progress;
pub(crate) mod random;
mod real;
mod standardize;
mod state;
mod tape;
#[cfg(test)]
mod tests;
mod vectors;
mod windows;

pub use batch::Batch;
pub use choice::{Effort, MOST_BYTES, fit_best};
pub use error::FitError;
pub use exp::Fast;
pub use families::{Architecture, BaseFamily, Family, FeatureOrder};
pub use fine_tuning::fine_tune;
pub use fit::{Fit, Stop, Summary, TrainingData, fit, fit_beside, without_farthest};
pub use flow::{Flow, LN_2PI};
pub use options::Options;
pub use permutation::orders;
pub use progress::{Epoch, Progress};
pub use real::Real;
pub use state::State;
pub use tape::Tape;
pub use vectors::{Lanes, vectorize};
pub use windows::PASS_ROWS;
