//! Deep sigmoidal flow, "Neural Autoregressive Flows" (Huang, Krueger, Lacoste, Courville 2018), equation 8.

use super::{BLOCK, Block, TrainMap, Window, clamp, only, pick};
use crate::train::{Real, vectorize};

/// z = logit(Σ w_k sigmoid(a_k x + b_k)), a mixture of K sigmoids, unsquashed.
///
/// The parameters are K of the slopes, ln a = u / (1 + |u| / bound), K offsets b, and K logarithms of weights, of which w
/// is the softmax.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sigmoidal {
    /// K.
    pub units: usize,
    /// 1 / bound of the logarithms of the slopes.
    pub inverse_bound: f32,
}

/// Where logarithms of slopes are clamped, as in the core.
const STEEPEST: f64 = 14.0;

/// Kept of each unit, once [`Sigmoidal::inverse_rows`] is through with it.
///
/// dz/dc, where c = a x + b, dz/d log w, the same of the log-determinant, its derivative by ln a while c stays, a, and
/// d ln a / du.
const Z_BY_C: usize = 0;
const Z_BY_LOG_WEIGHT: usize = 1;
const LOG_DET_BY_C: usize = 2;
const LOG_DET_BY_LOG_WEIGHT: usize = 3;
const LOG_DET_BY_SLOPE: usize = 4;
const SLOPE: usize = 5;
const SLOPE_BY_RAW: usize = 6;
const KEPT: usize = 7;

/// What is at these places of [`KEPT`] before.
const POSITIVE: usize = Z_BY_C;
const NEGATIVE: usize = Z_BY_LOG_WEIGHT;
const DENSITY: usize = LOG_DET_BY_C;
const WEIGHT: usize = LOG_DET_BY_LOG_WEIGHT;
const SUM: usize = LOG_DET_BY_SLOPE;

/// A sum of exponentials: the largest exponent, which is taken from all, and the sum without it.
#[derive(Clone, Copy)]
struct Exponentials<T> {
    largest: Block<T>,
    sum: Block<T>,
}

impl<T: Real> Exponentials<T> {
    fn new() -> Self {
        Self { largest: [-T::infinity(); BLOCK], sum: [T::zero(); BLOCK] }
    }

    #[inline(always)]
    fn see(&mut self, exponents: &[T]) {
        for (largest, exponent) in self.largest.iter_mut().zip(exponents) {
            *largest = largest.max(*exponent);
        }
    }

    /// Turns `exponents` into e^(exponent - largest) · factor and adds that.
    #[inline(always)]
    fn add(&mut self, exponents: &mut [T], factors: &[T]) {
        for (((exponent, factor), largest), sum) in
            exponents.iter_mut().zip(factors).zip(&self.largest).zip(&mut self.sum)
        {
            *exponent = (*exponent - *largest).fast_exp() * *factor;
            *sum += *exponent;
        }
    }

    /// What divides by the sums.
    #[inline(always)]
    fn inverse(mut self) -> Block<T> {
        self.sum.iter_mut().for_each(|sum| *sum = T::one() / *sum);
        self.sum
    }
}

/// The smaller of a number and 0.
#[inline(always)]
fn negative<T: Real>(value: T) -> T {
    only(value < T::zero(), value)
}

/// a and d ln a / du.
#[inline(always)]
fn slope<T: Real>(raw: T, inverse_bound: T) -> (T, T) {
    let damping = T::one() / (T::one() + raw.abs() * inverse_bound);
    let (log_slope, by_raw) = clamp(raw * damping, T::of(STEEPEST));
    (log_slope.fast_exp(), by_raw * damping * damping)
}

impl Sigmoidal {
    /// ln sigmoid(c) = min(c, 0) - ln(1 + e^-|c|): the first part may be far below 0 and is summed as an exponent, the
    /// rest is a factor between ½ and 1.
    #[inline(always)]
    fn inverse_rows<T: Real>(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
        let (rows, units) = (x.len(), self.units);
        let inverse_bound = T::of(f64::from(self.inverse_bound));
        let (own, kept) = kept.split_at_mut(rows);
        own.copy_from_slice(x);
        let zeros = [T::zero(); BLOCK];
        for window in Window::cover(rows) {
            let n = window.len();
            let (x, log_det) = (window.of_mut(x, 0), window.of_mut(log_det, 0));
            let [mut weight, mut above, mut below, mut density] = [Exponentials::<T>::new(); 4];
            for k in 0..units {
                let raw_slope = window.of(parameters, k);
                let offset = window.of(parameters, units + k);
                let log_weight = window.of(parameters, 2 * units + k);
                let [mut sum, mut by_x, mut by_raw, mut up, mut down, mut both] = [zeros; 6];
                for row in 0..n {
                    (by_x[row], by_raw[row]) = slope(raw_slope[row], inverse_bound);
                    let c = by_x[row] * x[row] + offset[row];
                    sum[row] = c;
                    up[row] = log_weight[row] + negative(c);
                    down[row] = log_weight[row] + negative(-c);
                    both[row] = log_weight[row] - c.abs();
                }
                weight.see(log_weight);
                above.see(&up[..n]);
                below.see(&down[..n]);
                density.see(&both[..n]);
                for (index, values) in [(SUM, &sum), (SLOPE, &by_x), (SLOPE_BY_RAW, &by_raw)] {
                    window.of_mut(kept, KEPT * k + index).copy_from_slice(&values[..n]);
                }
            }
            for k in 0..units {
                let log_weight = window.of(parameters, 2 * units + k);
                let of = |index| window.of(kept, KEPT * k + index);
                let (sum, by_x) = (of(SUM), of(SLOPE));
                let [mut up, mut down, mut both, mut own, mut factor, mut by_both] = [zeros; 6];
                for row in 0..n {
                    let c = sum[row];
                    factor[row] = T::one() / (T::one() + (-c.abs()).fast_exp());
                    by_both[row] = factor[row] * factor[row] * by_x[row];
                    up[row] = log_weight[row] + negative(c);
                    down[row] = log_weight[row] + negative(-c);
                    both[row] = log_weight[row] - c.abs();
                    own[row] = log_weight[row];
                }
                above.add(&mut up[..n], &factor);
                below.add(&mut down[..n], &factor);
                density.add(&mut both[..n], &by_both);
                weight.add(&mut own[..n], &[T::one(); BLOCK]);
                for (index, values) in [(POSITIVE, &up), (NEGATIVE, &down), (DENSITY, &both), (WEIGHT, &own)] {
                    window.of_mut(kept, KEPT * k + index).copy_from_slice(&values[..n]);
                }
            }
            for row in 0..n {
                // The weights' sum, which cancels in z, is S₊ + S₋, so that dz/dx = N (1 + e^-|z|) / the smaller one.
                let z = (above.largest[row] - below.largest[row]) + (above.sum[row] / below.sum[row]).fast_ln();
                let positive = z > T::zero();
                let largest = pick(positive, below.largest[row], above.largest[row]);
                let sum = pick(positive, below.sum[row], above.sum[row]);
                let log_slope = (density.largest[row] - largest) + (density.sum[row] / sum).fast_ln();
                x[row] = z;
                log_det[row] += log_slope + (-z.abs()).fast_exp().fast_ln_1p();
            }
            let [above, below, density, weight] = [above, below, density, weight].map(Exponentials::inverse);
            for k in 0..units {
                let mut values = [zeros; KEPT];
                for (index, values) in values.iter_mut().enumerate() {
                    values[..n].copy_from_slice(window.of(kept, KEPT * k + index));
                }
                for row in 0..n {
                    let c = values[SUM][row];
                    let high = c.fast_sigmoid();
                    let low = (-c).fast_sigmoid();
                    // Shares of the unit in the four sums.
                    let positive = values[POSITIVE][row] * above[row];
                    let negative = values[NEGATIVE][row] * below[row];
                    let density = values[DENSITY][row] * density[row];
                    let weight = values[WEIGHT][row] * weight[row];
                    let (positive_by_c, negative_by_c) = (positive * low, negative * high);
                    values[Z_BY_C][row] = positive_by_c + negative_by_c;
                    values[Z_BY_LOG_WEIGHT][row] = positive - negative;
                    values[LOG_DET_BY_C][row] = density * (low - high) - positive_by_c + negative_by_c;
                    values[LOG_DET_BY_LOG_WEIGHT][row] = density - positive - negative + weight;
                    values[LOG_DET_BY_SLOPE][row] = density;
                }
                for (index, values) in values.iter().enumerate().take(SLOPE) {
                    window.of_mut(kept, KEPT * k + index).copy_from_slice(&values[..n]);
                }
            }
        }
    }

    #[inline(always)]
    fn backward_rows<T: Real>(
        &self,
        kept: &[T],
        gradient: &mut [T],
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let (rows, units) = (gradient.len(), self.units);
        let (x, kept) = kept.split_at(rows);
        let (by_slopes, rest) = parameter_gradient.split_at_mut(units * rows);
        let (by_offsets, by_log_weights) = rest.split_at_mut(units * rows);
        for window in Window::cover(rows) {
            let n = window.len();
            let (x, gradient, by_log_det) =
                (window.of(x, 0), window.of_mut(gradient, 0), window.of(log_det_gradient, 0));
            let mut by_x = [T::zero(); BLOCK];
            for k in 0..units {
                let of = |index| window.of(kept, KEPT * k + index);
                let (z_by_log_weight, by_log_weight) = (of(Z_BY_LOG_WEIGHT), of(LOG_DET_BY_LOG_WEIGHT));
                let by = window.of_mut(by_log_weights, k);
                for row in 0..n {
                    by[row] = gradient[row] * z_by_log_weight[row] + by_log_det[row] * by_log_weight[row];
                }
                let (z_by_c, by_c, a) = (of(Z_BY_C), of(LOG_DET_BY_C), of(SLOPE));
                let by = window.of_mut(by_offsets, k);
                for row in 0..n {
                    by[row] = gradient[row] * z_by_c[row] + by_log_det[row] * by_c[row];
                    by_x[row] += by[row] * a[row];
                }
                let (by_slope, by_raw) = (of(LOG_DET_BY_SLOPE), of(SLOPE_BY_RAW));
                let by_offset = &*by;
                let by = window.of_mut(by_slopes, k);
                for row in 0..n {
                    by[row] = (by_offset[row] * x[row] * a[row] + by_log_det[row] * by_slope[row]) * by_raw[row];
                }
            }
            gradient.copy_from_slice(&by_x[..n]);
        }
    }
}

impl<T: Real> TrainMap<T> for Sigmoidal {
    fn outputs(&self) -> usize {
        3 * self.units
    }

    fn kept(&self) -> usize {
        1 + KEPT * self.units
    }

    /// Slopes of 1 and offsets next to each other: units that are alike would have the same derivatives, and stay alike.
    fn start(&self) -> Vec<f64> {
        let spread = (self.units.max(2) - 1) as f64;
        let mut start = vec![0.0; self.units];
        start.extend((0..self.units).map(|k| if self.units > 1 { 2.0 * k as f64 / spread - 1.0 } else { 0.0 }));
        start.resize(3 * self.units, 0.0);
        start
    }

    fn inverse(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
        vectorize(
            #[inline(always)]
            || self.inverse_rows(parameters, x, log_det, kept),
        );
    }

    fn backward(&self, kept: &[T], gradient: &mut [T], log_det_gradient: &[T], parameter_gradient: &mut [T]) {
        vectorize(
            #[inline(always)]
            || self.backward_rows(kept, gradient, log_det_gradient, parameter_gradient),
        );
    }
}
