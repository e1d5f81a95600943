//! Maps of one feature whose parameters a net computes, for training: batched, with hand-written derivatives.
//!
//! One file a map, as in the core. Maximum likelihood needs the direction data -> base alone, so that is the one that a
//! map differentiates. All slices are feature-major, `[number * rows + row]`: what a loop touches is the same number of
//! neighbouring rows.

mod additive;
mod affine;
mod description;
mod rows;
mod sigmoidal;
mod spline;
#[cfg(test)]
mod tests;
mod values;

pub use additive::Additive;
pub use affine::{Affine, Scale};
pub use description::{Map, MapView, ParameterizationName, ScaleName};
pub use sigmoidal::Sigmoidal;
pub use spline::{Parameterization, Spline};
pub use values::MapValues;

/// Outputs of a net from one feature's parameters to the next's, for so many of them.
pub use flowlet::univariate::stride;

use std::fmt::Debug;

use crate::train::Real;

/// A map of one feature in training: its shape and its stored numbers, which are not fitted, are its fields.
pub trait TrainMap<T: Real>: Debug + Send + Sync {
    /// Parameters of one feature, P: outputs of the net.
    fn outputs(&self) -> usize;

    /// Numbers of one row that the backward pass needs.
    fn kept(&self) -> usize;

    /// The parameters from which training starts, P of them: where the map is the identity, or close to it.
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.outputs()]
    }

    /// Data -> base for one feature of `rows` rows: turns `x` into z, adds each row's log |dz/dx| to `log_det`, and fills
    /// `kept` (`[kept][rows]`) for [`Self::backward`]. `parameters` are `[outputs][rows]`.
    fn inverse(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]);

    /// Turns `gradient`, the loss's derivative by z, into that by x, in place, and overwrites `parameter_gradient`
    /// (`[outputs][rows]`) with that by the parameters. `log_det_gradient` is the loss's derivative by each row's
    /// log |dz/dx|.
    fn backward(&self, kept: &[T], gradient: &mut [T], log_det_gradient: &[T], parameter_gradient: &mut [T]);
}

/// A map with its directions swapped, for maps whose other direction is in closed form too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turned<M>(pub M);

/// One of two numbers.
#[inline(always)]
fn pick<T>(first: bool, one: T, other: T) -> T {
    if first { one } else { other }
}

/// The number if it counts, else 0.
#[inline(always)]
fn only<T: Real>(counts: bool, number: T) -> T {
    pick(counts, number, T::zero())
}

/// A number within ±`limit`, and the slope of that.
#[inline(always)]
fn clamp<T: Real>(value: T, limit: T) -> (T, T) {
    let low = pick(value < -limit, -limit, value);
    (pick(low > limit, limit, low), only(value.abs() < limit, T::one()))
}

/// Rows that maps of many parameters work on at a time, in buffers on the stack: the compiler knows that those do not
/// overlap, and they stay in the first-level cache.
const BLOCK: usize = 64;

/// Numbers of the rows of a block.
type Block<T> = [T; BLOCK];

/// Number `index` of the rows from `start` on, `len` of them, of a slice `[numbers][rows]`.
#[derive(Clone, Copy, Debug)]
struct Window {
    rows: usize,
    start: usize,
    len: usize,
}

impl Window {
    /// Blocks that cover `rows` rows.
    fn cover(rows: usize) -> impl Iterator<Item = Self> {
        (0..rows).step_by(BLOCK).map(move |start| Self { rows, start, len: BLOCK.min(rows - start) })
    }

    /// How many rows, in a way that lets the compiler see that they fit in a block.
    #[inline(always)]
    fn len(self) -> usize {
        self.len.min(BLOCK)
    }

    #[inline(always)]
    fn of<T>(self, values: &[T], index: usize) -> &[T] {
        &values[index * self.rows + self.start..][..self.len()]
    }

    #[inline(always)]
    fn of_mut<T>(self, values: &mut [T], index: usize) -> &mut [T] {
        &mut values[index * self.rows + self.start..][..self.len()]
    }
}
