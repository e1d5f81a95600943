//! What is in front of the kernels in assembly: it makes sure that they read and write only what is lent to them.
//!
//! The kernels load and store words, which must be aligned by 4: the types of all that they touch are.

#![allow(unsafe_code)]

#[cfg(flowlet_kernel = "dsp")]
use super::dsp::{add_kernel, relu_kernel};
#[cfg(flowlet_kernel = "thumb1")]
use super::thumb1::{add_kernel, relu_kernel};
use crate::conditioner::hidden::{Four, Quad};
use crate::conditioner::int8::{Block, Requantization};

/// What a kernel reads for rows of hidden units, and where it writes. It moves the pointers on.
#[repr(C)]
pub(super) struct Rows {
    weights: *const Block,
    input_end: *const Quad<i16>,
    bias: *const [i32; 4],
    input: *const Quad<i16>,
    /// 1 for an odd number of quads of input, 0 for an even one: kernels may take two at a time.
    odd: usize,
    scale: *const [Requantization; 4],
    units: *mut Quad<i16>,
    units_end: *const Quad<i16>,
}

/// One hidden unit for each row: the bias with the products, requantized, with ReLU. Takes `input.len()` blocks of weights
/// for each four `units`; does nothing if a slice is too short.
#[inline(always)]
pub(in crate::conditioner) fn relu(
    weights: &[Block],
    bias: &[[i32; 4]],
    scale: &[[Requantization; 4]],
    input: &[Quad<i16>],
    units: &mut [Quad<i16>],
) {
    let needed = input.len().checked_mul(units.len());
    let enough = needed.is_some_and(|needed| weights.len() >= needed);
    if input.is_empty() || units.is_empty() || !enough || bias.len() < units.len() || scale.len() < units.len() {
        return;
    }
    let units = units.as_mut_ptr_range();
    let read = input.as_ptr_range();
    let mut rows = Rows {
        weights: weights.as_ptr(),
        input_end: read.end,
        bias: bias.as_ptr(),
        input: read.start,
        odd: input.len() & 1,
        scale: scale.as_ptr(),
        units: units.start,
        units_end: units.end,
    };
    // SAFETY: for each of the quads of `units`, of which there is one at least, the kernel reads one element of `bias` and
    // of `scale`, the whole of `input`, which is not empty, and as many blocks: no more than there are, as was compared. It
    // writes the quads of `units`, which are borrowed mutably, and `rows`, and nothing else.
    unsafe { relu_kernel(&mut rows) }
}

/// Adds the products of four rows to their sums. Takes `input.len()` blocks of weights; does nothing if there are fewer.
#[inline(always)]
pub(in crate::conditioner) fn add(sums: &mut Four<i32>, weights: &[Block], input: &[Quad<i16>]) {
    if input.is_empty() || weights.len() < input.len() {
        return;
    }
    let read = input.as_ptr_range();
    // SAFETY: the kernel reads the whole of `input`, which is not empty, and as many blocks of weights, which there are. It
    // reads and writes the four sums, which are borrowed mutably, and nothing else.
    unsafe { add_kernel(sums, weights.as_ptr(), read.start, read.end) }
}
