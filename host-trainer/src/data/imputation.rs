use std::collections::HashMap;

use nalgebra::{DMatrix, DVector};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::Matrix;

/// Fills in the NaN of `incomplete`, each row by a draw from the normal distribution of `complete`, given the row's other
/// cells (stochastic regression imputation: Little, Rubin, "Statistical Analysis with Missing Data", 2002, chapter 4.3).
///
/// The mean alone, given the other cells, would put all of these rows on a plane and shrink the variance, which a density
/// takes for what it is. A draw keeps the variances and the linear relations of the columns; relations that bend are lost
/// in the cells that are filled in. No cell gets a value beyond those that its column has in `complete`.
///
/// # Panics
/// If the matrices have different columns, or `complete` has no rows.
pub fn impute(complete: &Matrix, incomplete: &Matrix, rng: &mut ChaCha8Rng) -> Matrix {
    assert_eq!(complete.columns(), incomplete.columns(), "rows of one table");
    let mut imputer = Imputer::of(complete);
    let mut filled = incomplete.clone();
    filled.values_mut().chunks_exact_mut(complete.columns()).for_each(|row| imputer.fill(row, rng));
    filled
}

/// The same for rows that come one after the other.
pub(super) struct Imputer {
    normal: Normal,
    /// What was asked for, by the columns that are missing.
    given: HashMap<Vec<usize>, Conditional>,
}

impl Imputer {
    /// Fills in by these rows, of which there is at least one.
    pub fn of(complete: &Matrix) -> Self {
        Self { normal: Normal::of(complete), given: HashMap::new() }
    }

    /// Fills in the NaN of a row.
    pub fn fill(&mut self, row: &mut [f32], rng: &mut ChaCha8Rng) {
        /// Sets of missing columns that are remembered: there can be as many as rows.
        const MOST_SETS: usize = 1 << 12;
        let Self { normal, given } = self;
        let missing: Vec<usize> = (0..row.len()).filter(|&column| row[column].is_nan()).collect();
        if given.len() == MOST_SETS && !given.contains_key(&missing) {
            given.clear();
        }
        let conditional = given.entry(missing).or_insert_with_key(|missing| normal.given_all_but(missing));
        conditional.fill(normal, row, rng);
    }
}

/// A normal distribution, fitted to rows.
struct Normal {
    columns: Vec<Column>,
    correlation: DMatrix<f64>,
}

struct Column {
    mean: f64,
    deviation: f64,
    lowest: f32,
    highest: f32,
}

/// Some columns of a normal distribution, given the others; in standard deviations.
struct Conditional {
    missing: Vec<usize>,
    observed: Vec<usize>,
    /// The mean of the missing ones is this times the observed ones.
    regression: DMatrix<f64>,
    /// Lower triangle, whose product with its transpose is their covariance.
    root: DMatrix<f64>,
}

impl Normal {
    fn of(rows: &Matrix) -> Self {
        /// Added to the variances, so that columns which say the same can be told apart.
        const RIDGE: f64 = 1e-6;
        let count = rows.rows() as f64;
        let column = |column: usize| {
            let values = || rows.column(column).map(f64::from);
            let mean = values().sum::<f64>() / count;
            let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
            Column {
                mean,
                deviation: if deviation > 0.0 { deviation } else { 1.0 },
                lowest: rows.column(column).fold(f32::INFINITY, f32::min),
                highest: rows.column(column).fold(f32::NEG_INFINITY, f32::max),
            }
        };
        let columns: Vec<Column> = (0..rows.columns()).map(column).collect();
        let mut correlation = DMatrix::identity(columns.len(), columns.len()) * RIDGE;
        for row in rows.iter_rows() {
            let standard = DVector::from_iterator(row.len(), row.iter().zip(&columns).map(|(x, of)| of.standard(*x)));
            correlation.ger(1.0 / count, &standard, &standard, 1.0);
        }
        Self { columns, correlation }
    }

    fn given_all_but(&self, missing: &[usize]) -> Conditional {
        let observed: Vec<usize> = (0..self.columns.len()).filter(|column| !missing.contains(column)).collect();
        let part = |rows: &[usize], columns: &[usize]| self.correlation.select_rows(rows).select_columns(columns);
        // A sum of squares and a ridge: both are positive definite but for rounding, which the ridge is far above.
        let among_observed = part(&observed, &observed).cholesky().expect("a covariance");
        let regression = among_observed.solve(&part(&observed, missing)).transpose();
        let covariance = part(missing, missing) - &regression * part(&observed, missing);
        let root = covariance.cholesky().expect("a covariance").unpack();
        Conditional { missing: missing.to_vec(), observed, regression, root }
    }
}

impl Column {
    fn standard(&self, value: f32) -> f64 {
        (f64::from(value) - self.mean) / self.deviation
    }
}

impl Conditional {
    fn fill(&self, normal: &Normal, row: &mut [f32], rng: &mut ChaCha8Rng) {
        let observed = self.observed.iter().map(|&column| normal.columns[column].standard(row[column]));
        let observed = DVector::from_iterator(self.observed.len(), observed);
        let deviates = DVector::from_fn(self.missing.len(), |_, _| rng.sample(StandardNormal));
        let drawn = &self.regression * observed + &self.root * deviates;
        for (&at, drawn) in self.missing.iter().zip(&drawn) {
            let column = &normal.columns[at];
            row[at] = ((column.mean + column.deviation * drawn) as f32).clamp(column.lowest, column.highest);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// Rows of x, y = 3 x + noise of a tenth of x's spread, and z, far off and on its own.
    fn rows(count: usize, seed: u64) -> Matrix {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || rng.sample::<f32, _>(StandardNormal);
        let row = |_| {
            let x = normal();
            [x, 3.0 * x + 0.1 * normal(), 1e4 + 50.0 * normal()]
        };
        Matrix::new(count, 3, (0..count).flat_map(row).collect())
    }

    fn moments(values: impl Iterator<Item = f32>) -> (f64, f64) {
        let values: Vec<f64> = values.map(f64::from).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
    }

    #[test]
    fn draws_keep_relations_and_spreads() {
        let (complete, truth) = (rows(4000, 1), rows(2000, 2));
        let mut incomplete = truth.clone();
        for (index, row) in incomplete.values_mut().chunks_exact_mut(3).enumerate() {
            row[1 + index % 2] = f32::NAN;
        }
        let filled = impute(&complete, &incomplete, &mut ChaCha8Rng::seed_from_u64(3));
        let errors = filled.iter_rows().step_by(2).map(|row| row[1] - 3.0 * row[0]);
        let (mean, deviation) = moments(errors);
        assert!(mean.abs() < 0.02 && (0.09..0.11).contains(&deviation), "{mean} {deviation}");
        let (mean, deviation) = moments(filled.iter_rows().skip(1).step_by(2).map(|row| row[2]));
        assert!((mean - 1e4).abs() < 5.0 && (46.0..54.0).contains(&deviation), "{mean} {deviation}");
        for (row, (filled, observed)) in filled.iter_rows().zip(incomplete.iter_rows()).enumerate() {
            for (filled, observed) in filled.iter().zip(observed) {
                assert!(observed.is_nan() || filled == observed, "row {row}: what is there stays");
            }
        }
    }

    #[test]
    fn draws_stay_within_what_the_column_has_shown() {
        let complete = rows(500, 1);
        let highest = complete.column(1).fold(f32::MIN, f32::max);
        let incomplete = Matrix::new(1, 3, vec![1e6, f32::NAN, 1e4]);
        let filled = impute(&complete, &incomplete, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(filled.row(0), [1e6, highest, 1e4]);
    }

    #[test]
    fn columns_that_say_the_same_are_no_obstacle() {
        let twice = |x: f32| [x, x, 7.0];
        let complete = Matrix::new(100, 3, (0..100).flat_map(|i| twice(i as f32)).collect());
        let incomplete = Matrix::new(2, 3, vec![10.0, f32::NAN, 7.0, f32::NAN, 20.0, f32::NAN]);
        let filled = impute(&complete, &incomplete, &mut ChaCha8Rng::seed_from_u64(3));
        for (found, expected) in filled.values().iter().zip([10.0, 10.0, 7.0, 20.0, 20.0, 7.0]) {
            assert!((found - expected).abs() < 0.5, "{filled:?}");
        }
    }
}
