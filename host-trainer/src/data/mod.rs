//! Readings from files: typed, checked, and divided into the parts that fitting needs.
//!
//! A [`Source`] reads a file a block at a time, [`Table`] is what a block or all of it holds, [`Gathered`] are the numbers in
//! it that a model is fitted on or scores, of which [`Readings`] are in memory, [`Split`] says which of these train, select and
//! calibrate, and [`quantization_steps`] finds the noise that fitting adds. So a table may be larger than memory, and whatever
//! takes a bounded number of rows still has them as a [`Matrix`].

#[cfg(feature = "columnar")]
mod columnar;
mod csv;
mod division;
mod error;
mod extremes;
mod gathered;
mod imputation;
mod matrix;
mod missing;
mod noise;
mod notes;
mod place;
mod readings;
mod source;
mod split;
mod store;
mod table;
mod text;
mod trend;
mod unchanged;

#[cfg(test)]
pub(crate) use division::Bounds;
pub use error::{CellError, CellProblem, DataError, RowAdvice};
pub use gathered::Gathered;
pub use imputation::impute;
pub use matrix::Matrix;
pub use missing::{Gaps, Incomplete, Missing};
pub use noise::quantization_steps;
pub use notes::{Note, notes};
pub use place::{Place, Places};
pub(crate) use readings::OF_FITTED;
pub use readings::{Groups, Large, Readings, Roles};
pub use source::{Source, for_each_block, open};
pub use split::{Order, Split, SplitOptions};
pub use store::Store;
pub use table::{Names, Table};
pub use trend::Trend;

#[cfg(test)]
mod tests;
