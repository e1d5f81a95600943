//! For every core: what the others compute, and what a compiler makes of it.

use crate::conditioner::hidden::{Four, Quad};
use crate::conditioner::int8::Block;

/// Adds the products of four rows to their sums. Takes `input.len()` blocks of weights.
#[inline(always)]
pub(in crate::conditioner) fn add(sums: &mut Four<i32>, weights: &[Block], input: &[Quad<i16>]) {
    for (Block(rows), Quad([a0, a1, a2, a3])) in weights.iter().zip(input) {
        for (sum, [w0, w2, w1, w3]) in sums.iter_mut().zip(rows) {
            // Cannot overflow (see `WIDEST`); wrapping says so to the compiler in debug builds too.
            *sum = sum
                .wrapping_add(i32::from(*w0).wrapping_mul(i32::from(*a0)))
                .wrapping_add(i32::from(*w1).wrapping_mul(i32::from(*a1)))
                .wrapping_add(i32::from(*w2).wrapping_mul(i32::from(*a2)))
                .wrapping_add(i32::from(*w3).wrapping_mul(i32::from(*a3)));
        }
    }
}
