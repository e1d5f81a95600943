//! f32 weights: bias first, then the products column by column, each multiplication and each addition rounded on its own.

use std::cell::RefCell;

use flowlet::Real;
use flowlet::conditioner::float::{Block, INPUT_LIMIT};
use pulp::{Arch, Simd, WithSimd};

use super::{Lanes, Quad, ROWS, each, first};
use crate::layers::slice;
use crate::train::vectorize;

/// A net.
#[derive(Debug)]
pub struct Net {
    inputs: usize,
    hidden: Vec<Matrix>,
    last: Matrix,
}

/// Its rows, four by four.
type Matrix = Vec<Rows>;

#[derive(Debug)]
struct Rows {
    /// The weights of each input that is seen.
    weights: Vec<[f32; 4]>,
    biases: [f32; 4],
    /// How many inputs each row sees.
    seen: [usize; 4],
}

impl Net {
    pub(super) fn new(inputs: usize, matrices: &[Vec<Quad>], mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let read = |quads: &Vec<Quad>| {
            let mut blocks: &[Block] = slice(bytes, quads.iter().map(|quad| quad.blocks).sum())?;
            let biases: &[[f32; 4]] = slice(bytes, quads.len())?;
            let rows = |(quad, biases): (&Quad, &[f32; 4])| {
                let stored = blocks.split_off(..quad.blocks)?;
                let columns = |Block(rows): &Block| -> [_; 4] {
                    std::array::from_fn(|column| std::array::from_fn(|row: usize| rows[row][column]))
                };
                // The device multiplies what it does not know yet as zeros. That could turn the sign of a zero, which a ReLU
                // does not see.
                let weights = stored.iter().flat_map(columns).take(quad.seen[3]).collect();
                Some(Rows { weights, biases: *biases, seen: quad.seen })
            };
            quads.iter().zip(biases).map(rows).collect()
        };
        let mut hidden = matrices.iter().map(read).collect::<Option<Vec<_>>>()?;
        let last = hidden.pop()?;
        Some(Self { inputs, hidden, last })
    }

    pub fn evaluate<'a>(&self, inputs: impl Iterator<Item = &'a Lanes<f32>>, outputs: &mut Vec<Lanes<f32>>) {
        UNITS.with_borrow_mut(|[units, next]| {
            let mut width = self.inputs;
            let mut inputs = inputs.fuse();
            vectorize(
                #[inline(always)]
                || {
                    for unit in first(units, width) {
                        *unit = inputs.next().map_or([0.0; ROWS], |values| each(values, |x| x.clamp_abs(INPUT_LIMIT)));
                    }
                },
            );
            for matrix in &self.hidden {
                let next_width = 4 * matrix.len();
                let product =
                    Product { matrix, units: &units[..width], next: first(next, next_width), is_rectified: true };
                Arch::new().dispatch(product);
                std::mem::swap(units, next);
                width = next_width;
            }
            outputs.resize(4 * self.last.len(), [0.0; ROWS]);
            let product = Product { matrix: &self.last, units: &units[..width], next: outputs, is_rectified: false };
            Arch::new().dispatch(product);
        });
    }
}

thread_local! {
    /// What a matrix reads and what it gives, kept from one net to the next.
    static UNITS: RefCell<[Vec<Lanes<f32>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

struct Product<'a> {
    matrix: &'a [Rows],
    units: &'a [Lanes<f32>],
    next: &'a mut [Lanes<f32>],
    /// Whether a ReLU follows.
    is_rectified: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many sums as hide the latency of an addition, and as there are registers for.
        if S::REGISTER_COUNT >= 32 { self.run::<S, 4>(simd) } else { self.run::<S, 2>(simd) }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let Self { matrix, units, next, is_rectified } = self;
        let zero = simd.splat_f32s(0.0);
        for (Rows { weights, biases, seen }, next) in matrix.iter().zip(next.as_chunks_mut::<4>().0) {
            for start in (0..ROWS).step_by(N * S::F32_LANES) {
                let mut sums = [[zero; N]; 4];
                for i in 0..4 {
                    sums[i] = [simd.splat_f32s(biases[i]); N];
                }
                // A row is done once all that it sees is added; what is added for the others afterwards is lost on it.
                let mut inputs = weights.iter().zip(units);
                let mut added = 0;
                for row in 0..4 {
                    for (weights, unit) in inputs.by_ref().take(seen[row] - added) {
                        let Some(unit) = S::as_simd_f32s(&unit[start..]).0.first_chunk::<N>() else { break };
                        for i in 0..4 {
                            let weight = simd.splat_f32s(weights[i]);
                            for j in 0..N {
                                sums[i][j] = simd.add_f32s(sums[i][j], simd.mul_f32s(unit[j], weight));
                            }
                        }
                    }
                    added = seen[row];
                    for (unit, sum) in S::as_mut_simd_f32s(&mut next[row][start..]).0.iter_mut().zip(sums[row]) {
                        // No maximum: that of a NaN depends on the processor.
                        let positive = simd.greater_than_f32s(sum, zero);
                        *unit = if is_rectified { simd.select_f32s(positive, sum, zero) } else { sum };
                    }
                }
            }
        }
    }
}
