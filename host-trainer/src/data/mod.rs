//! Readings from CSV files: typed, checked, and divided into the parts that fitting needs.
//!
//! [`Table`] is a file's text, [`Readings`] are the numbers in it that a model is fitted on or scores, [`Split`] says
//! which of them train, select and calibrate, and [`quantization_steps`] finds the noise that fitting adds.

mod error;
mod extremes;
mod imputation;
mod matrix;
mod missing;
mod noise;
mod notes;
mod readings;
mod split;
mod table;
mod text;
mod unchanged;

pub use error::{CellError, CellProblem, DataError, RowAdvice};
pub use imputation::impute;
pub use matrix::Matrix;
pub use missing::{Gaps, Incomplete, Missing};
pub use noise::quantization_steps;
pub use notes::{Note, notes};
pub use readings::{Groups, Readings, Roles};
pub use split::{Order, Split, SplitOptions};
pub use table::Table;

#[cfg(test)]
mod tests;
