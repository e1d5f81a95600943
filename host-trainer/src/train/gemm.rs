//! The matrix product that all of the training time goes into.

use pulp::Arch;

use super::real::Real;

/// Rows of the result that one pass of the inner loop computes.
const MR: usize = 4;
/// Columns of the result that one pass of the inner loop computes: with `MR`, eight AVX2 accumulators of `f32`, which
/// is what hides the latency of a fused multiply-add.
const NR: usize = 16;
/// Terms that are summed before the result is touched: the panels stay within the first-level cache.
const KC: usize = 64;

/// A left matrix in one of two layouts.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a, T> {
    values: &'a [T],
    columns: usize,
    transposed: bool,
}

impl<'a, T: Real> Left<'a, T> {
    /// `values` with rows of `columns` numbers.
    pub fn row_major(values: &'a [T], columns: usize) -> Self {
        Self { values, columns, transposed: false }
    }

    /// The transpose of `values` with rows of `columns` numbers.
    pub fn transposed(values: &'a [T], columns: usize) -> Self {
        Self { values, columns, transposed: true }
    }

    /// Rows `top..top + MR`, of which `height` exist, from column `start` on, column by column. A short panel repeats
    /// its last row: computed and not stored, which is cheaper than another loop.
    #[inline(always)]
    fn pack(self, panel: &mut [[T; MR]], top: usize, height: usize, start: usize) {
        let rows: [usize; MR] = std::array::from_fn(|i| top + i.min(height - 1));
        if self.transposed {
            for (panel, column) in panel.iter_mut().zip(self.values[start * self.columns..].chunks_exact(self.columns))
            {
                *panel = match column[top..].first_chunk() {
                    Some(whole) => *whole,
                    None => rows.map(|row| column[row]),
                };
            }
        } else {
            let [a, b, c, d] = rows.map(|row| &self.values[row * self.columns + start..][..panel.len()]);
            for ((((panel, a), b), c), d) in panel.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *panel = [*a, *b, *c, *d];
            }
        }
    }
}

/// `result += left * right`, where `left` is m x k, `right` k x n and `result` m x n, the latter two row-major.
///
/// Uses AVX2 with fused multiply-add where the processor has them. Sums run over k in order, so the result does not
/// depend on anything but the operands and the instruction set.
///
/// # Panics
/// If an operand is shorter than its shape says.
pub fn multiply_add<T: Real>([m, k, n]: [usize; 3], left: Left<'_, T>, right: &[T], result: &mut [T]) {
    multiply_add_columns([m, k, n], n, left, right, result);
}

/// [`multiply_add`] of the first `n` columns only of a right matrix and a result with rows of `stride` numbers.
///
/// # Panics
/// If an operand is shorter than its shape says.
pub fn multiply_add_columns<T: Real>(
    [m, k, n]: [usize; 3],
    stride: usize,
    left: Left<'_, T>,
    right: &[T],
    result: &mut [T],
) {
    assert!(
        n <= stride && right.len() >= k * stride && result.len() >= m * stride,
        "operands are shorter than their shapes"
    );
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let product = Product { m, k, n, stride, left, right, result };
    match Arch::new() {
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => simd.vectorize(Fused(product)),
        _ => product.run::<false>(),
    }
}

struct Product<'a, T> {
    m: usize,
    k: usize,
    n: usize,
    stride: usize,
    left: Left<'a, T>,
    right: &'a [T],
    result: &'a mut [T],
}

#[cfg(target_arch = "x86_64")]
struct Fused<'a, T>(Product<'a, T>);

#[cfg(target_arch = "x86_64")]
impl<T: Real> pulp::NullaryFnOnce for Fused<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.0.run::<true>();
    }
}

impl<T: Real> Product<'_, T> {
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Self { m, k, n, stride, left, right, result } = self;
        let whole = n - n % NR;
        let mut panel = [[T::zero(); MR]; KC];
        for start in (0..k).step_by(KC) {
            let depth = KC.min(k - start);
            let right = &right[start * stride..(start + depth) * stride];
            let panel = &mut panel[..depth];
            for top in (0..m).step_by(MR) {
                let height = MR.min(m - top);
                left.pack(panel, top, height, start);
                let result = &mut result[top * stride..(top + height) * stride];
                for column in (0..whole).step_by(NR) {
                    let tile = tile::<T, FUSED>(panel, right[column..].chunks(stride));
                    for (row, sums) in result.chunks_exact_mut(stride).zip(&tile) {
                        add(&mut row[column..column + NR], sums);
                    }
                }
            }
            if whole < n {
                // What is left of each row of the right matrix, filled up to a whole tile.
                let mut edge = [[T::zero(); NR]; KC];
                for (edge, row) in edge.iter_mut().zip(right.chunks_exact(stride)) {
                    edge[..n - whole].copy_from_slice(&row[whole..n]);
                }
                for top in (0..m).step_by(MR) {
                    let height = MR.min(m - top);
                    left.pack(panel, top, height, start);
                    let tile = tile::<T, FUSED>(panel, edge.iter().map(|row| &row[..]));
                    for (row, sums) in result[top * stride..(top + height) * stride].chunks_exact_mut(stride).zip(&tile)
                    {
                        add(&mut row[whole..n], sums);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn tile<'a, T: Real, const FUSED: bool>(panel: &[[T; MR]], right: impl Iterator<Item = &'a [T]>) -> [[T; NR]; MR] {
    let mut sums = [[T::zero(); NR]; MR];
    for (left, right) in panel.iter().zip(right) {
        let Some(right) = right.first_chunk::<NR>() else { break };
        for i in 0..MR {
            for j in 0..NR {
                sums[i][j] =
                    if FUSED { left[i].mul_add(right[j], sums[i][j]) } else { sums[i][j] + left[i] * right[j] };
            }
        }
    }
    sums
}

#[inline(always)]
fn add<T: Real>(result: &mut [T], sums: &[T]) {
    for (result, sum) in result.iter_mut().zip(sums) {
        *result += *sum;
    }
}

/// Sum in eight interleaved parts, which a vector unit adds at once.
pub fn sum_in_lanes<T: Real>(values: &[T]) -> T {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [T::zero(); 8];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += *value;
        }
    }
    lanes.iter().chain(rest).copied().sum()
}

/// Feature-major to row-major.
pub fn transpose<T: Real>(features: &[T], rows: usize, by_row: &mut [T]) {
    let width = features.len() / rows;
    if width == 0 {
        return;
    }
    // Four features at a time: each pass then writes what lies together.
    for (group, features) in features.chunks(4 * rows).enumerate() {
        let at = 4 * group;
        if let [a, b, c, d] = &features.chunks_exact(rows).collect::<Vec<_>>()[..] {
            for ((((row, a), b), c), d) in by_row.chunks_exact_mut(width).zip(*a).zip(*b).zip(*c).zip(*d) {
                row[at..at + 4].copy_from_slice(&[*a, *b, *c, *d]);
            }
        } else {
            for (offset, feature) in features.chunks_exact(rows).enumerate() {
                for (row, value) in by_row.chunks_exact_mut(width).zip(feature) {
                    row[at + offset] = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(len: usize, seed: usize) -> Vec<f64> {
        (0..len).map(|i| (((i + 1) * (seed + 7)) as f64 * 0.618).fract() - 0.5).collect()
    }

    /// Every remainder of the tile sizes and a depth above one panel, against the definition, in both layouts.
    #[test]
    fn matches_the_definition_in_every_shape() {
        for m in [1, 3, 4, 5, 9] {
            for k in [1, 2, 31, KC, KC + 3] {
                for n in [1, 15, 16, 17, 33] {
                    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                    let transposed: Vec<f64> = (0..m * k).map(|at| a[(at % m) * k + at / m]).collect();
                    let mut row_major = vec![1.0; m * n];
                    let mut column_major = row_major.clone();
                    multiply_add([m, k, n], Left::row_major(&a, k), &b, &mut row_major);
                    multiply_add([m, k, n], Left::transposed(&transposed, m), &b, &mut column_major);
                    assert_eq!(row_major, column_major);
                    for i in 0..m {
                        for j in 0..n {
                            let sum: f64 = (0..k).map(|t| a[i * k + t] * b[t * n + j]).sum();
                            assert!((row_major[i * n + j] - 1.0 - sum).abs() < 1e-12, "{m}x{k}x{n} at {i}, {j}");
                        }
                    }
                }
            }
        }
    }

    /// Columns beyond the first ones are neither read nor written.
    #[test]
    fn takes_the_first_columns_of_wider_matrices() {
        let (m, k, stride) = (5, 3, 40);
        for n in [1, 16, 20, 33, 40] {
            let (a, b) = (numbers(m * k, 1), numbers(k * stride, 2));
            let mut result = vec![1.0; m * stride];
            let spoilt: Vec<f64> =
                b.iter().enumerate().map(|(at, b)| if at % stride < n { *b } else { f64::NAN }).collect();
            multiply_add_columns([m, k, n], stride, Left::row_major(&a, k), &spoilt, &mut result);
            for i in 0..m {
                for j in 0..stride {
                    let sum: f64 = if j < n { (0..k).map(|t| a[i * k + t] * b[t * stride + j]).sum() } else { 0.0 };
                    assert!((result[i * stride + j] - 1.0 - sum).abs() < 1e-12, "{n}: at {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn an_empty_dimension_leaves_the_result_alone() {
        let mut result = [3.0f32; 4];
        multiply_add([2, 0, 2], Left::row_major(&[], 0), &[], &mut result);
        assert_eq!(result, [3.0; 4]);
    }
}
