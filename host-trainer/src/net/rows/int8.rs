//! int8 weights, int16 activations, int32 accumulators: two products and their sum are one instruction, PMADDWD, for as many
//! readings as a vector has 32-bit lanes.

use std::cell::RefCell;

use flowlet::Real;
use flowlet::conditioner::int8::{Block, Requantization};
use pulp::{Arch, NullaryFnOnce, Scalar, Simd, cast};

use super::{Lanes, Quad, ROWS, each, first};
use crate::layers::{scalar, slice};
use crate::train::vectorize;

/// Two int16 in a word, the first one in the low half.
type Pair = i32;

/// A net.
#[derive(Debug)]
pub struct Net {
    inputs: usize,
    inverse_input_scale: f32,
    hidden: Vec<Matrix<Requantization>>,
    last: Matrix<f32>,
}

/// Its rows, four by four.
#[derive(Debug)]
struct Matrix<S>(Vec<Rows<S>>);

#[derive(Debug)]
struct Rows<S> {
    /// The weights of each two inputs; 0 for one that a row does not see.
    weights: Vec<[Pair; 4]>,
    biases: [i32; 4],
    scales: [S; 4],
}

#[inline(always)]
fn pair(low: i16, high: i16) -> Pair {
    i32::from(low as u16) | i32::from(high) << 16
}

impl<S: Copy + zerocopy::FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + 'static> Matrix<S> {
    fn read(bytes: &mut &[u8], quads: &[Quad]) -> Option<Self> {
        let mut blocks: &[Block] = slice(bytes, quads.iter().map(|quad| quad.blocks).sum())?;
        let biases: &[[i32; 4]] = slice(bytes, quads.len())?;
        let scales: &[[S; 4]] = slice(bytes, quads.len())?;
        let rows = |((quad, biases), scales): ((&Quad, &[i32; 4]), &[S; 4])| {
            let stored = blocks.split_off(..quad.blocks)?;
            let columns = |(block, Block(rows)): (usize, &Block)| {
                let weight = |row: usize, column: usize| {
                    // A row's weights are stored in the order w0, w2, w1, w3.
                    let place = [0, 2, 1, 3][column];
                    if 4 * block + column < quad.seen[row] { rows[row][place].into() } else { 0 }
                };
                [0, 2].map(|first| std::array::from_fn(|row| pair(weight(row, first), weight(row, first + 1))))
            };
            let weights = stored.iter().enumerate().flat_map(columns).collect();
            Some(Rows { weights, biases: *biases, scales: *scales })
        };
        quads.iter().zip(biases).zip(scales).map(rows).collect::<Option<_>>().map(Self)
    }
}

impl Net {
    pub(super) fn new(inputs: usize, matrices: &[Vec<Quad>], mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let inverse_input_scale = scalar(bytes)?;
        let (last, hidden) = matrices.split_last()?;
        let hidden = hidden.iter().map(|quads| Matrix::read(bytes, quads)).collect::<Option<_>>()?;
        let last = Matrix::read(bytes, last)?;
        Some(Self { inputs, inverse_input_scale, hidden, last })
    }

    pub fn evaluate<'a>(&self, inputs: impl Iterator<Item = &'a Lanes<f32>>, outputs: &mut Vec<Lanes<f32>>) {
        UNITS.with_borrow_mut(|[units, next]| {
            let mut width = self.inputs / 2;
            let mut inputs = inputs.fuse();
            vectorize(
                #[inline(always)]
                || {
                    let mut quantized = || {
                        let values = inputs.next();
                        values
                            .map_or([0; ROWS], |values| each(values, |value| value.quantized(self.inverse_input_scale)))
                    };
                    for unit in first(units, width) {
                        *unit = pairs(&quantized(), &quantized());
                    }
                },
            );
            for matrix in &self.hidden {
                let next_width = 2 * matrix.0.len();
                let mut places = first(next, next_width).iter_mut();
                matrix.products(
                    &units[..width],
                    #[inline(always)]
                    |[a, b, c, d], scales| {
                        let halves = [(a, b), (c, d)].into_iter().zip(scales.as_chunks::<2>().0);
                        for (((low, high), scales), place) in halves.zip(&mut places) {
                            let low = each(low, |sum| scales[0].relu(sum));
                            *place = pairs(&low, &each(high, |sum| scales[1].relu(sum)));
                        }
                    },
                );
                std::mem::swap(units, next);
                width = next_width;
            }
            outputs.clear();
            self.last.products(
                &units[..width],
                #[inline(always)]
                |sums, scales| {
                    for (sums, scale) in sums.iter().zip(scales) {
                        outputs.push(each(sums, |sum| f32::scaled(sum, *scale)));
                    }
                },
            );
        });
    }
}

thread_local! {
    /// What a matrix reads and what it gives, kept from one net to the next.
    static UNITS: RefCell<[Vec<Lanes<Pair>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Of two units, in words.
#[inline(always)]
fn pairs(low: &Lanes<i16>, high: &Lanes<i16>) -> Lanes<Pair> {
    let mut pairs = [0; ROWS];
    for row in 0..ROWS {
        pairs[row] = pair(low[row], high[row]);
    }
    pairs
}

impl<S> Matrix<S> {
    /// Gives the sums of each four outputs, with their scales, to `give`.
    fn products(&self, units: &[Lanes<Pair>], give: impl FnMut(&[Lanes<i32>; 4], &[S; 4])) {
        match Arch::new() {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(Products { simd, matrix: self, units, give }),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(Products { simd, matrix: self, units, give }),
            _ => Scalar.vectorize(Products { simd: Scalar, matrix: self, units, give }),
        }
    }
}

/// A processor's sums of products of pairs.
trait Dot: Simd {
    /// `sums + a.low * b.low + a.high * b.high`, in each lane; wraps around.
    fn dot(self, sums: Self::i32s, a: Self::i32s, b: Self::i32s) -> Self::i32s;
}

impl Dot for Scalar {
    #[inline(always)]
    fn dot(self, sum: i32, a: i32, b: i32) -> i32 {
        let product = |a: i32, b: i32| i32::from(a as i16) * i32::from(b as i16);
        sum.wrapping_add(product(a, b)).wrapping_add(product(a >> 16, b >> 16))
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for pulp::x86::V3 {
    #[inline(always)]
    fn dot(self, sums: Self::i32s, a: Self::i32s, b: Self::i32s) -> Self::i32s {
        cast(self.avx2._mm256_add_epi32(cast(sums), self.avx2._mm256_madd_epi16(cast(a), cast(b))))
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for pulp::x86::V4 {
    #[inline(always)]
    fn dot(self, sums: Self::i32s, a: Self::i32s, b: Self::i32s) -> Self::i32s {
        cast(self.avx512f._mm512_add_epi32(cast(sums), self.avx512bw._mm512_madd_epi16(cast(a), cast(b))))
    }
}

struct Products<'a, D, S, G> {
    simd: D,
    matrix: &'a Matrix<S>,
    units: &'a [Lanes<Pair>],
    give: G,
}

impl<D: Dot, S, G: FnMut(&[Lanes<i32>; 4], &[S; 4])> NullaryFnOnce for Products<'_, D, S, G> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // As many sums as hide the latency of a product, and as there are registers for.
        if D::REGISTER_COUNT >= 32 { self.run::<4>() } else { self.run::<2>() }
    }
}

impl<D: Dot, S, G: FnMut(&[Lanes<i32>; 4], &[S; 4])> Products<'_, D, S, G> {
    #[inline(always)]
    fn run<const N: usize>(self) {
        let Self { simd, matrix, units, mut give } = self;
        for Rows { weights, biases, scales } in &matrix.0 {
            let mut all = [[0; ROWS]; 4];
            for start in (0..ROWS).step_by(N * D::I32_LANES) {
                let mut sums = [[simd.splat_i32s(0); N]; 4];
                for i in 0..4 {
                    sums[i] = [simd.splat_i32s(biases[i]); N];
                }
                for (weights, unit) in weights.iter().zip(units) {
                    let Some(unit) = D::as_simd_i32s(&unit[start..]).0.first_chunk::<N>() else { break };
                    for i in 0..4 {
                        let weight = simd.splat_i32s(weights[i]);
                        for j in 0..N {
                            sums[i][j] = simd.dot(sums[i][j], unit[j], weight);
                        }
                    }
                }
                for i in 0..4 {
                    for (place, sum) in D::as_mut_simd_i32s(&mut all[i][start..]).0.iter_mut().zip(sums[i]) {
                        *place = sum;
                    }
                }
            }
            give(&all, scales);
        }
    }
}
