//! Rounding weights to a grid so that the errors cancel in the outputs, instead of each weight to its nearest.
//!
//! For inputs x with second moments H = E[x xᵀ], the error of a row of weights in its output is eᵀ H e. Columns are
//! rounded one after the other, and what is left of each is spread over the columns that are still free, in the
//! proportion that minimizes that error: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", 2023, equations 2 and 3, after
//! Hassibi and Stork, "Optimal brain surgeon", 1993. The bias is the last column and stays unrounded, so it takes up
//! what is left of the mean.

use nalgebra::{Cholesky, DMatrix};

/// What is added to the diagonal of the moments, relative to its mean, so that units that are hardly ever active do not
/// take up the errors of others without a bound.
const DAMPING: f64 = 1e-4;

/// How the error of one column is spread over the later ones: the upper factor of H⁻¹ = Uᵀ U.
#[derive(Clone, Debug)]
pub struct Spread(DMatrix<f64>);

impl Spread {
    /// Of inputs given as rows of `inputs`, the constant 1 of the bias as last column, with a weight for each row.
    ///
    /// Where the moments are not finite the columns are rounded independently.
    #[cfg(test)]
    pub fn new(inputs: &DMatrix<f64>, weights: Option<&[f64]>) -> Self {
        let moments = match weights {
            None => inputs.tr_mul(inputs),
            Some(weights) => {
                let mut weighted = inputs.clone();
                for (mut row, weight) in weighted.row_iter_mut().zip(weights) {
                    row *= *weight;
                }
                inputs.tr_mul(&weighted)
            }
        };
        Self::of_moments(moments)
    }

    /// Of the second moments of inputs, with the constant 1 of the bias as last one.
    ///
    /// Where they are not finite the columns are rounded independently.
    pub fn of_moments(moments: DMatrix<f64>) -> Self {
        let size = moments.ncols();
        let factor = Cholesky::new(damped(moments)).and_then(|cholesky| Cholesky::new(cholesky.inverse()));
        let upper = factor.map(|factor| factor.l().transpose()).filter(|upper| upper.iter().all(|u| u.is_finite()));
        Self(upper.unwrap_or_else(|| DMatrix::identity(size, size)))
    }

    /// Rounds a row of weights to multiples of `step` within ±`limit` steps; returns the steps, and leaves in the last
    /// element of `row`, the bias, what it should become.
    pub fn round(&self, row: &mut [f64], step: f64, limit: f64) -> Vec<i8> {
        let upper = &self.0;
        let columns = row.len() - 1;
        let mut rounded = Vec::with_capacity(columns);
        for column in 0..columns {
            let steps = (row[column] / step).round().clamp(-limit, limit);
            let error = (row[column] - steps * step) / upper[(column, column)];
            for later in column + 1..row.len() {
                row[later] -= error * upper[(column, later)];
            }
            rounded.push(steps as i8);
        }
        rounded
    }
}

/// Moments with the damping on their diagonal.
fn damped(moments: DMatrix<f64>) -> DMatrix<f64> {
    let size = moments.ncols();
    let damping = (moments.trace() / size as f64 * DAMPING).max(f64::MIN_POSITIVE);
    moments + DMatrix::identity(size, size) * damping
}

/// The weights (a row for each output, the bias last) that bring the outputs of inputs closest to their targets,
/// corrected by least squares, for inputs that are not the ones that they were fitted to: by the second moments of the
/// inputs, and those of the inputs with what the outputs are short of.
pub fn corrected_by(weights: &DMatrix<f64>, moments: DMatrix<f64>, residual: &DMatrix<f64>) -> DMatrix<f64> {
    let correction = Cholesky::new(damped(moments))
        .map(|cholesky| cholesky.solve(residual))
        .filter(|correction| correction.iter().all(|value| value.is_finite()));
    match correction {
        Some(correction) => weights + correction.transpose(),
        None => weights.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Correlated inputs, as hidden units of a net with few inputs are.
    fn inputs(rng: &mut ChaCha8Rng) -> DMatrix<f64> {
        let basis = DMatrix::from_fn(3, 16, |_, _| rng.random_range(-1.0..1.0));
        let factors = DMatrix::from_fn(400, 3, |_, _| rng.random_range(-1.0..1.0));
        let noise = DMatrix::from_fn(400, 16, |_, _| rng.random_range(-0.02..0.02));
        (factors * basis + noise).insert_column(16, 1.0)
    }

    #[test]
    fn errors_in_the_outputs_are_a_fraction_of_those_of_rounding_to_nearest() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let inputs = inputs(&mut rng);
        let spread = Spread::new(&inputs, None);
        let step = 1.0 / 16.0;
        let (mut careful, mut nearest) = (0.0, 0.0);
        for _ in 0..20 {
            let weights: Vec<f64> = (0..17).map(|_| rng.random_range(-1.0..1.0)).collect();
            let error = |steps: &[i8], bias: f64| -> f64 {
                let rounded = steps.iter().map(|steps| f64::from(*steps) * step).chain([bias]);
                let difference = DMatrix::from_iterator(17, 1, rounded.zip(&weights).map(|(a, b)| a - b));
                (&inputs * difference).norm_squared()
            };
            let mut row = weights.clone();
            let steps = spread.round(&mut row, step, 127.0);
            careful += error(&steps, row[16]);
            let steps: Vec<i8> = weights[..16].iter().map(|weight| (weight / step).round() as i8).collect();
            nearest += error(&steps, weights[16]);
        }
        assert!(careful < nearest / 4.0, "{careful} {nearest}");
    }

    #[test]
    fn correction_finds_the_weights_of_other_inputs() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let inputs = DMatrix::from_fn(200, 4, |_, _| rng.random_range(-1.0..1.0)).insert_column(4, 1.0);
        let truth = DMatrix::from_fn(2, 5, |_, _| rng.random_range(-1.0..1.0));
        let targets = &inputs * truth.transpose();
        let found = corrected_by(&DMatrix::zeros(2, 5), inputs.tr_mul(&inputs), &inputs.tr_mul(&targets));
        assert!((found - truth).amax() < 1e-3);
    }

    #[test]
    fn inputs_that_never_vary_and_rows_without_weight_do_no_harm() {
        let zeros = DMatrix::zeros(10, 4).insert_column(4, 1.0);
        for weights in [None, Some(&[0.0; 10][..]), Some(&[f64::NAN; 10][..])] {
            let mut row = vec![0.3, -0.7, 0.26, 1e9, 0.5];
            let steps = Spread::new(&zeros, weights).round(&mut row, 0.5, 127.0);
            assert_eq!(steps, [1, -1, 1, 127]);
            assert!(row[4].is_finite());
        }
    }
}
