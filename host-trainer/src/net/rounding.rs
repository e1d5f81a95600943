//! Rounding weights to a grid so that the errors cancel in the outputs, instead of each weight to its nearest.
//!
//! For inputs x with second moments H = E[x xᵀ], the error of a row of weights in its output is eᵀ H e. Columns are
//! rounded one after the other, and what is left of each is spread over the columns that are still free, in the
//! proportion that minimizes that error: Frantar, Ashkboos, Hoefler, Alistarh, "GPTQ", 2023, equations 2 and 3, after
//! Hassibi and Stork, "Optimal brain surgeon", 1993. The bias is the last column and stays unrounded, so it takes up
//! what is left of the mean.

use std::ops::RangeInclusive;

use nalgebra::{Cholesky, DMatrix, DVector};

/// What is added to the diagonal of the moments, relative to its mean, so that units that are hardly ever active do not
/// take up the errors of others without a bound.
const DAMPING: f64 = 1e-4;

/// Shares of the step that a row's largest weight needs. A smaller step rounds all others more finely and clips the
/// largest, whose errors are spread like any other's.
const STEPS: [f64; 6] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.7];

/// How the error of one column is spread over the later ones: the upper factor of H⁻¹ = Uᵀ U.
#[derive(Clone, Debug)]
pub struct Spread {
    moments: DMatrix<f64>,
    upper: DMatrix<f64>,
}

/// A row of weights, rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundedRow {
    /// Weights, in steps.
    pub weights: Vec<i8>,
    /// The value of a step.
    pub step: f64,
    /// What the bias becomes.
    pub bias: f64,
    /// The squared error in the output, weighed and summed over the inputs.
    pub error: f64,
}

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
        let moments = damped(moments);
        let factor = Cholesky::new(moments.clone()).and_then(|cholesky| Cholesky::new(cholesky.inverse()));
        let upper = factor.map(|factor| factor.l().transpose()).filter(|upper| upper.iter().all(|u| u.is_finite()));
        match upper {
            Some(upper) => Self { moments, upper },
            None => Self { moments: DMatrix::identity(size, size), upper: DMatrix::identity(size, size) },
        }
    }

    /// A row of weights, its bias last, rounded to multiples of a step within ±`limit` steps.
    ///
    /// The step is the one, of `step` and smaller ones, that costs the output least. After rounding, step and bias become
    /// those that fit the outputs best, as long as the step is one of `allowed`.
    pub fn best(&self, row: &[f64], step: f64, allowed: RangeInclusive<f64>, limit: f64) -> RoundedRow {
        let candidate = |share: f64| {
            let step = (step * share).clamp(*allowed.start(), *allowed.end());
            let mut moved = row.to_vec();
            let weights = self.round(&mut moved, step, limit);
            self.refitted(row, weights, step, moved[row.len() - 1], &allowed)
        };
        let candidates = STEPS.into_iter().map(candidate);
        candidates.min_by(|a, b| a.error.total_cmp(&b.error)).expect("there are steps")
    }

    /// Rounds a row of weights to multiples of `step` within ±`limit` steps; returns the steps, and leaves in the last
    /// element of `row`, the bias, what it should become.
    fn round(&self, row: &mut [f64], step: f64, limit: f64) -> Vec<i8> {
        let upper = &self.upper;
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

    /// Rounded weights with the step and the bias of least squares: the normal equations of two unknowns.
    fn refitted(
        &self,
        row: &[f64],
        weights: Vec<i8>,
        step: f64,
        bias: f64,
        allowed: &RangeInclusive<f64>,
    ) -> RoundedRow {
        let last = row.len() - 1;
        let steps = DVector::from_iterator(row.len(), weights.iter().map(|weight| f64::from(*weight)).chain([0.0]));
        let exact = DVector::from_column_slice(row);
        let (by_steps, by_exact) = (&self.moments * &steps, &self.moments * &exact);
        let (aa, ab, bb) = (steps.dot(&by_steps), by_steps[last], self.moments[(last, last)]);
        let (ya, yb) = (steps.dot(&by_exact), by_exact[last]);
        let error = |step: f64, bias: f64| {
            let mut difference = &exact - &steps * step;
            difference[last] -= bias;
            (&self.moments * &difference).dot(&difference)
        };
        let determinant = aa * bb - ab * ab;
        let fitted = ((bb * ya - ab * yb) / determinant, (aa * yb - ab * ya) / determinant);
        let (step, bias) = Some(fitted)
            .filter(|(fitted, moved)| allowed.contains(fitted) && error(*fitted, *moved) < error(step, bias))
            .unwrap_or((step, bias));
        RoundedRow { weights, step, bias, error: error(step, bias) }
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

    /// Against the largest weight's step and the bias that rounding leaves.
    #[test]
    fn steps_are_chosen_and_refitted_by_what_they_cost() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let inputs = inputs(&mut rng);
        let spread = Spread::new(&inputs, None);
        let (mut best, mut plain) = (0.0, 0.0);
        for _ in 0..20 {
            let mut row: Vec<f64> = (0..17).map(|_| rng.random_range(-1.0..1.0)).collect();
            row[3] *= 3.0;
            let error = |steps: &[i8], step: f64, bias: f64| -> f64 {
                let rounded = steps.iter().map(|steps| f64::from(*steps) * step).chain([bias]);
                let difference = DMatrix::from_iterator(17, 1, rounded.zip(&row).map(|(a, b)| a - b));
                (&inputs * difference).norm_squared()
            };
            let step = row.iter().take(16).fold(0.0, |largest: f64, weight| largest.max(weight.abs())) / 7.0;
            let found = spread.best(&row, step, 0.0..=f64::INFINITY, 7.0);
            let own = error(&found.weights, found.step, found.bias);
            assert!(own <= found.error && found.error < 1.5 * own, "{own}, {} with the damping", found.error);
            best += own;
            let mut moved = row.clone();
            let steps = spread.round(&mut moved, step, 7.0);
            plain += error(&steps, step, moved[16]);
        }
        assert!(best < 0.8 * plain, "{best} {plain}");
    }

    #[test]
    fn steps_keep_to_what_is_allowed() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let spread = Spread::new(&inputs(&mut rng), None);
        let row: Vec<f64> = (0..17).map(|_| rng.random_range(-1.0..1.0)).collect();
        for allowed in [0.02..=0.02, 0.001..=0.002, 0.5..=2.0] {
            let found = spread.best(&row, 1.0 / 127.0, allowed.clone(), 127.0);
            assert!(allowed.contains(&found.step), "{} of {allowed:?}", found.step);
        }
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
