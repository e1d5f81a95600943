//! f32 weights: bias first, then the products column by column, each multiplication and each addition rounded on its own.

use flowlet::Real;
use flowlet::conditioner::Shape;
use flowlet::conditioner::float::{Block, INPUT_LIMIT};
use pulp::{Arch, Simd, WithSimd};

use super::{Lanes, ROWS, each, matrices};
use crate::layers::slice;

/// A net.
#[derive(Debug)]
pub struct Net {
    inputs: usize,
    matrices: Vec<Matrix>,
}

#[derive(Debug)]
struct Matrix {
    /// Of each four outputs, the weights of each input.
    weights: Vec<Vec<[f32; 4]>>,
    biases: Vec<[f32; 4]>,
}

impl Net {
    pub fn new(shape: Shape, mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let read = |(inputs, outputs): (usize, usize)| {
            let blocks: &[Block] = slice(bytes, inputs * outputs)?;
            let columns = |blocks: &[Block]| {
                let columns = blocks
                    .iter()
                    .flat_map(|Block(rows)| (0..4).map(|column| std::array::from_fn(|row: usize| rows[row][column])));
                columns.collect()
            };
            let weights = blocks.chunks_exact(inputs.max(1)).map(columns).collect();
            Some(Matrix { weights, biases: slice(bytes, outputs)?.to_vec() })
        };
        let matrices = matrices(shape).map(read).collect::<Option<_>>()?;
        Some(Self { inputs: 4 * shape.inputs, matrices })
    }

    pub fn evaluate<'a>(&self, inputs: impl Iterator<Item = &'a Lanes<f32>>) -> Vec<Lanes<f32>> {
        let mut units = vec![[0.0; ROWS]; self.inputs];
        for (unit, values) in units.iter_mut().zip(inputs) {
            *unit = each(values, |value| value.clamp_abs(INPUT_LIMIT));
        }
        for (index, matrix) in self.matrices.iter().enumerate() {
            let rectified = index + 1 < self.matrices.len();
            let mut next = vec![[0.0; ROWS]; 4 * matrix.biases.len()];
            Arch::new().dispatch(Product { matrix, units: &units, next: &mut next, rectified });
            units = next;
        }
        units
    }
}

struct Product<'a> {
    matrix: &'a Matrix,
    units: &'a [Lanes<f32>],
    next: &'a mut [Lanes<f32>],
    rectified: bool,
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
        let Self { matrix, units, next, rectified } = self;
        let zero = simd.splat_f32s(0.0);
        for ((weights, biases), next) in matrix.weights.iter().zip(&matrix.biases).zip(next.as_chunks_mut::<4>().0) {
            for start in (0..ROWS).step_by(N * S::F32_LANES) {
                let mut sums = [[zero; N]; 4];
                for i in 0..4 {
                    sums[i] = [simd.splat_f32s(biases[i]); N];
                }
                for (weights, unit) in weights.iter().zip(units) {
                    let Some(unit) = S::as_simd_f32s(&unit[start..]).0.first_chunk::<N>() else { break };
                    for i in 0..4 {
                        let weight = simd.splat_f32s(weights[i]);
                        for j in 0..N {
                            sums[i][j] = simd.add_f32s(sums[i][j], simd.mul_f32s(unit[j], weight));
                        }
                    }
                }
                for i in 0..4 {
                    for (unit, sum) in S::as_mut_simd_f32s(&mut next[i][start..]).0.iter_mut().zip(sums[i]) {
                        *unit = sum;
                    }
                }
            }
            if rectified {
                for unit in next.as_flattened_mut() {
                    *unit = if *unit > 0.0 { *unit } else { 0.0 };
                }
            }
        }
    }
}
