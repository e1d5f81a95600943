//! The matrix product that all of the training time goes into.

use pulp::{Arch, Simd, WithSimd};

use super::real::Real;
use super::vectors::vectorize;

/// Numbers in the widest vector.
const MOST_LANES: usize = 16;

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
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Onto<'a, T> {
    /// What the result holds.
    Result,
    /// Nothing: the result is overwritten.
    Zero,
    /// A number for each row: the result is overwritten.
    Bias(&'a [T]),
}

/// A left matrix times a right one with rows of `stride` numbers, of which the first ones count; the result has such rows too.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rows of the left matrix and of the result.
    pub m: usize,
    /// Columns of the left matrix, rows of the right one.
    pub k: usize,
    /// Columns of the right matrix and of the result that count.
    pub n: usize,
    /// Columns of the right matrix and of the result.
    pub stride: usize,
}

impl Shape {
    /// Of matrices all of whose columns count.
    pub fn new(m: usize, k: usize, n: usize) -> Self {
        Self { m, k, n, stride: n }
    }
}

/// `result = onto + left * right`, where `left` is m x k, `right` k x n and `result` m x n, the latter two row-major.
///
/// Uses the widest vectors of the processor. Sums run over k in order, so the result does not depend on anything but the
/// operands and whether the processor has fused multiply-adds.
///
/// # Panics
/// If an operand is shorter than its shape says.
pub fn multiply<T: Real>(shape: Shape, onto: Onto<'_, T>, left: Left<'_, T>, right: &[T], result: &mut [T]) {
    let Shape { m, k, n, stride } = shape;
    let biases = if let Onto::Bias(biases) = onto { biases.len() } else { m };
    assert!(
        n <= stride && right.len() >= k * stride && result.len() >= m * stride && biases >= m,
        "operands are shorter than their shapes"
    );
    if m > 0 && n > 0 {
        Arch::new().dispatch(Product { shape, onto, left, right, result });
    }
}

struct Product<'a, T> {
    shape: Shape,
    onto: Onto<'a, T>,
    left: Left<'a, T>,
    right: &'a [T],
    result: &'a mut [T],
}

impl<T: Real> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // As many sums as hide the latency of a fused multiply-add, and as there are registers for.
        let wide = if S::REGISTER_COUNT >= 32 { 4 } else { 2 };
        let lanes = T::lanes::<S>();
        let n = self.shape.n;
        let whole = n - n % lanes;
        let mut column = 0;
        while column < whole {
            let vectors = ((whole - column) / lanes).min(wide);
            match vectors {
                1 => self.columns::<S, 8, 1>(simd, column),
                2 => self.columns::<S, 4, 2>(simd, column),
                3 => self.columns::<S, 4, 3>(simd, column),
                _ => self.columns::<S, 4, 4>(simd, column),
            }
            column += vectors * lanes;
        }
        if whole < n {
            self.rest::<S, 8>(simd, whole);
        }
    }
}

impl<T: Real> Product<'_, T> {
    /// The `N` vectors of columns from `column` on, `M` rows at a time.
    #[inline(always)]
    fn columns<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, column: usize) {
        let Self { shape: Shape { m, k, stride, .. }, onto, left, right, ref mut result } = *self;
        let lanes = N * T::lanes::<S>();
        for top in (0..m).step_by(M) {
            let height = M.min(m - top);
            let sums = left.times::<S, M, N>(
                simd,
                top,
                height,
                k,
                #[inline(always)]
                |at| vectors::<S, T, N>(&right[at * stride + column..][..lanes]),
            );
            // By constant indices, or the sums would go through memory.
            for i in 0..M {
                if i == height {
                    break;
                }
                let row = &mut result[(top + i) * stride + column..][..lanes];
                let results: &mut [T::Vector<S>; N] =
                    T::vectors_mut::<S>(row).first_chunk_mut().expect("as many vectors as columns");
                match onto {
                    Onto::Result => {
                        for j in 0..N {
                            results[j] = T::plus(simd, results[j], sums[i][j]);
                        }
                    }
                    Onto::Zero => *results = sums[i],
                    Onto::Bias(biases) => {
                        let bias = biases[top + i].splat(simd);
                        for j in 0..N {
                            results[j] = T::plus(simd, bias, sums[i][j]);
                        }
                    }
                }
            }
        }
    }

    /// The columns from `column` on, fewer than a vector has lanes.
    #[inline(always)]
    fn rest<S: Simd, const M: usize>(&mut self, simd: S, column: usize) {
        let Self { shape: Shape { m, k, n, stride }, onto, left, right, ref mut result } = *self;
        // Whole vectors reach into the next row, and what they find there is dropped: masks take longer.
        let lanes = T::lanes::<S>();
        let inside = (right.len() + stride).saturating_sub(column + lanes) / stride;
        for top in (0..m).step_by(M) {
            let height = M.min(m - top);
            let sums = left.times::<S, M, 1>(
                simd,
                top,
                height,
                k,
                #[inline(always)]
                |at| {
                    let start = at * stride + column;
                    if at < inside {
                        vectors::<S, T, 1>(&right[start..][..lanes])
                    } else {
                        [T::load_part(simd, &right[start..][..n - column])]
                    }
                },
            );
            let rows = result[top * stride..(top + height) * stride].chunks_exact_mut(stride);
            for ((index, row), [sum]) in (top..).zip(rows).zip(sums) {
                let mut numbers = [T::zero(); MOST_LANES];
                if let Some(first) = T::vectors_mut::<S>(&mut numbers).first_mut() {
                    *first = sum;
                }
                for (result, sum) in row[column..n].iter_mut().zip(&numbers) {
                    *result = *sum
                        + match onto {
                            Onto::Result => *result,
                            Onto::Zero => T::zero(),
                            Onto::Bias(biases) => biases[index],
                        };
                }
            }
        }
    }
}

impl<T: Real> Left<'_, T> {
    /// Rows `top..top + M`, of which `height` exist, times `N` vectors of every row of the right matrix. Rows that do not exist repeat the
    /// last one: computed and not stored, which is cheaper than another loop.
    #[inline(always)]
    fn times<S: Simd, const M: usize, const N: usize>(
        self,
        simd: S,
        top: usize,
        height: usize,
        depth: usize,
        right: impl Fn(usize) -> [T::Vector<S>; N],
    ) -> [[T::Vector<S>; N]; M] {
        let mut sums = [[T::zero().splat(simd); N]; M];
        let rows: [usize; M] = std::array::from_fn(|i| top + i.min(height - 1));
        if self.transposed {
            for (at, column) in self.values.chunks_exact(self.columns).take(depth).enumerate() {
                let left = match column[top..].first_chunk() {
                    Some(whole) => *whole,
                    None => rows.map(|row| column[row]),
                };
                add_products(simd, &mut sums, left, right(at));
            }
        } else {
            let rows = rows.map(|row| &self.values[row * self.columns..][..depth]);
            for at in 0..depth {
                // No map: it is a call for larger arrays.
                let mut left = [T::zero(); M];
                for (left, row) in left.iter_mut().zip(&rows) {
                    *left = row[at];
                }
                add_products(simd, &mut sums, left, right(at));
            }
        }
        sums
    }
}

#[inline(always)]
fn vectors<S: Simd, T: Real, const N: usize>(values: &[T]) -> [T::Vector<S>; N] {
    *T::vectors::<S>(values).first_chunk().expect("as many vectors as asked for")
}

#[inline(always)]
fn add_products<S: Simd, T: Real, const M: usize, const N: usize>(
    simd: S,
    sums: &mut [[T::Vector<S>; N]; M],
    left: [T; M],
    right: [T::Vector<S>; N],
) {
    for i in 0..M {
        let left = left[i].splat(simd);
        for j in 0..N {
            sums[i][j] = T::multiply_add(simd, left, right[j], sums[i][j]);
        }
    }
}

/// Sum in eight interleaved parts, which a vector unit adds at once.
#[inline(always)]
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
    let mut groups = features.chunks_exact(4 * rows);
    vectorize(
        #[inline(always)]
        || {
            for (group, features) in groups.by_ref().enumerate() {
                let (first, second) = features.split_at(2 * rows);
                let ((a, b), (c, d)) = (first.split_at(rows), second.split_at(rows));
                for ((((row, a), b), c), d) in by_row.chunks_exact_mut(width).zip(a).zip(b).zip(c).zip(d) {
                    row[4 * group..4 * group + 4].copy_from_slice(&[*a, *b, *c, *d]);
                }
            }
        },
    );
    let at = width - width % 4;
    for (offset, feature) in groups.remainder().chunks_exact(rows).enumerate() {
        for (row, value) in by_row.chunks_exact_mut(width).zip(feature) {
            row[at + offset] = *value;
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
        for m in [1, 3, 4, 5, 8, 9] {
            for k in [1, 2, 31, 64, 67] {
                for n in [1, 7, 8, 15, 16, 17, 33, 48, 64, 70] {
                    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                    let transposed: Vec<f64> = (0..m * k).map(|at| a[(at % m) * k + at / m]).collect();
                    let mut row_major = vec![1.0; m * n];
                    let mut column_major = vec![f64::NAN; m * n];
                    multiply(Shape::new(m, k, n), Onto::Result, Left::row_major(&a, k), &b, &mut row_major);
                    multiply(
                        Shape::new(m, k, n),
                        Onto::Bias(&vec![1.0; m]),
                        Left::transposed(&transposed, m),
                        &b,
                        &mut column_major,
                    );
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
            multiply(Shape { m, k, n, stride }, Onto::Result, Left::row_major(&a, k), &spoilt, &mut result);
            for i in 0..m {
                for j in 0..stride {
                    let sum: f64 = if j < n { (0..k).map(|t| a[i * k + t] * b[t * stride + j]).sum() } else { 0.0 };
                    assert!((result[i * stride + j] - 1.0 - sum).abs() < 1e-12, "{n}: at {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn an_empty_sum_is_what_it_is_added_to() {
        let mut result = [3.0f32; 4];
        multiply(Shape::new(2, 0, 2), Onto::Result, Left::row_major(&[], 0), &[], &mut result);
        assert_eq!(result, [3.0; 4]);
        multiply(Shape::new(2, 0, 2), Onto::Bias(&[1.0, 2.0]), Left::row_major(&[], 0), &[], &mut result);
        assert_eq!(result, [1.0, 1.0, 2.0, 2.0]);
        multiply(Shape::new(2, 0, 2), Onto::Zero, Left::row_major(&[], 0), &[], &mut result);
        assert_eq!(result, [0.0; 4]);
    }
}
