//! Monotone rational-quadratic spline, "Neural Spline Flows" (Durkan, Bekasov, Murray, Papamakarios 2019), section 3.1.

use super::{BLOCK, Block, TrainMap, Window, only, pick};
use crate::train::{Real, vectorize};

/// z = RQS(x) within ±bound and z = x outside, through K bins.
///
/// The parameters are K of the bins' widths, K of their heights and K - 1 of the derivatives at the inner knots; those
/// at the outer knots are 1, so that the spline meets the identity smoothly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spline {
    /// K.
    pub bins: usize,
    /// Where the identity begins, B.
    pub bound: f32,
    /// From parameters to widths, heights and derivatives.
    pub parameterization: Parameterization,
}

/// How widths, heights and derivatives come from a net's outputs. Widths and heights are shares of 2 B.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parameterization {
    /// zuko's: the shares are a softmax of u / (1 + 2 |u| / L), the derivatives are e^(u / (1 + |u| / L)), the
    /// smallest of which is e^-L.
    Softclip {
        /// 1 / L.
        inverse_bound: f32,
    },
    /// nflows': the shares are floor + (1 - K floor) softmax(u), the derivatives are floor + ln(1 + e^u).
    Floored {
        /// The smallest share.
        share: f32,
        /// The smallest derivative.
        derivative: f32,
    },
}

impl Parameterization {
    /// zuko's, with slopes between `slope`, which is below 1, and its reciprocal.
    #[must_use]
    pub fn softclip(slope: f32) -> Self {
        Self::Softclip { inverse_bound: flowlet::spline::Softclip::new(slope).inverse_bound }
    }
}

/// A parameterization in the row loops' numbers.
trait Form<T: Real>: Copy {
    /// Whether exponents have to be kept from overflowing.
    const UNBOUNDED: bool;

    /// The exponent of a bin's share.
    fn exponent(self, raw: T) -> T;

    /// The slope of [`Self::exponent`].
    fn slope(self, raw: T) -> T;

    /// Share of every bin whatever its exponent.
    fn floor(self) -> T;

    /// A derivative and its slope.
    fn derivative(self, raw: T) -> (T, T);
}

/// 1 / L.
#[derive(Clone, Copy)]
struct Softclip<T>(T);

impl<T: Real> Form<T> for Softclip<T> {
    const UNBOUNDED: bool = false;

    #[inline(always)]
    fn exponent(self, raw: T) -> T {
        raw / (T::one() + (raw + raw).abs() * self.0)
    }

    #[inline(always)]
    fn slope(self, raw: T) -> T {
        let damping = T::one() / (T::one() + (raw + raw).abs() * self.0);
        damping * damping
    }

    #[inline(always)]
    fn floor(self) -> T {
        T::zero()
    }

    #[inline(always)]
    fn derivative(self, raw: T) -> (T, T) {
        let damping = T::one() / (T::one() + raw.abs() * self.0);
        let derivative = (raw * damping).fast_exp();
        (derivative, derivative * damping * damping)
    }
}

#[derive(Clone, Copy)]
struct Floored<T> {
    share: T,
    derivative: T,
}

impl<T: Real> Form<T> for Floored<T> {
    const UNBOUNDED: bool = true;

    #[inline(always)]
    fn exponent(self, raw: T) -> T {
        raw
    }

    #[inline(always)]
    fn slope(self, _: T) -> T {
        T::one()
    }

    #[inline(always)]
    fn floor(self) -> T {
        self.share
    }

    #[inline(always)]
    fn derivative(self, raw: T) -> (T, T) {
        (self.derivative + raw.fast_softplus(), raw.fast_sigmoid())
    }
}

/// Kept of a row, before the softmaxes' slopes.
const BIN: usize = 0;
const T_IN_BIN: usize = 1;
const WIDTH: usize = 2;
const HEIGHT: usize = 3;
const LEFT: usize = 4;
const RIGHT: usize = 5;
const LEFT_SLOPE: usize = 6;
const RIGHT_SLOPE: usize = 7;
const WIDTHS_BEFORE: usize = 8;
const HEIGHTS_BEFORE: usize = 9;
const SHARES: usize = 10;

/// What one of the two softmaxes gives of the bins that rows are in.
struct Bins<T> {
    /// Where a row's bin begins.
    knot: Block<T>,
    /// Its size.
    size: Block<T>,
    /// The sum of the softmax before it.
    before: Block<T>,
}

impl Spline {
    /// The share of each bin that its exponent does not move, and what is shared by exponents.
    #[inline(always)]
    fn shares<T: Real>(&self, form: impl Form<T>) -> (T, T) {
        let floor = form.floor();
        (floor, T::one() - floor * T::of(self.bins as f64))
    }

    /// The softmax of K parameters, of which `kept` receives the slopes, and the bins that rows are in: those that `bin`
    /// holds, or with `SEARCH` those of the coordinates `x`, which `bin` receives.
    #[inline(always)]
    fn locate<T: Real, F: Form<T>, const SEARCH: bool>(
        &self,
        form: F,
        window: Window,
        raw: &[T],
        kept: &mut [T],
        x: &Block<T>,
        bin: &mut Block<T>,
    ) -> Bins<T> {
        let n = window.len();
        let zeros = [T::zero(); BLOCK];
        let mut top = zeros;
        if F::UNBOUNDED {
            top[..n].copy_from_slice(window.of(raw, 0));
            for k in 1..self.bins {
                for (top, raw) in top[..n].iter_mut().zip(window.of(raw, k)) {
                    *top = top.max(*raw);
                }
            }
        }
        let mut sum = zeros;
        for k in 0..self.bins {
            let (raw, kept) = (window.of(raw, k), window.of_mut(kept, k));
            for row in 0..n {
                let exponent = form.exponent(raw[row]);
                kept[row] = if F::UNBOUNDED { exponent - top[row] } else { exponent }.fast_exp();
                sum[row] += kept[row];
            }
        }
        for sum in &mut sum[..n] {
            *sum = T::one() / *sum;
        }
        let bound = T::of(f64::from(self.bound));
        let (floor, shared) = self.shares(form);
        let (floor, shared) = ((bound + bound) * floor, (bound + bound) * shared);
        let mut edge = [-bound; BLOCK];
        let mut bins = Bins { knot: edge, size: zeros, before: zeros };
        if SEARCH {
            *bin = zeros;
        }
        for k in 0..self.bins {
            let (raw, kept) = (window.of(raw, k), window.of_mut(kept, k));
            let (at, inner) = (T::of(k as f64), k + 1 < self.bins);
            for row in 0..n {
                let part = kept[row] * sum[row];
                let size = floor + shared * part;
                let begun = if SEARCH { x[row] >= edge[row] } else { bin[row] >= at };
                edge[row] += size;
                let over = if SEARCH { x[row] >= edge[row] } else { bin[row] > at } & inner;
                // Sums of what counts, the rest as zeros: a choice between two numbers in memory does not vectorize.
                if SEARCH {
                    bin[row] += only(over, T::one());
                }
                bins.knot[row] += only(over, size);
                bins.size[row] += only(begun & !over, size);
                bins.before[row] += only(over, part);
                kept[row] = part * form.slope(raw[row]);
            }
        }
        bins
    }

    #[inline(always)]
    fn inverse_rows<T: Real, F: Form<T>>(
        &self,
        form: F,
        parameters: &[T],
        x: &mut [T],
        log_det: &mut [T],
        kept: &mut [T],
    ) {
        let rows = x.len();
        let bins = self.bins;
        let bound = T::of(f64::from(self.bound));
        let (raw_widths, rest) = parameters.split_at(bins * rows);
        let (raw_heights, raw_derivatives) = rest.split_at(bins * rows);
        let (kept, shares) = kept.split_at_mut(SHARES * rows);
        let (width_shares, height_shares) = shares.split_at_mut(bins * rows);
        let zeros = [T::zero(); BLOCK];
        for window in Window::cover(rows) {
            let n = window.len();
            // Rows outside go through the middle, and what comes of it is dropped.
            let mut inside = zeros;
            for (inside, x) in inside[..n].iter_mut().zip(window.of(x, 0)) {
                *inside = if x.abs() <= bound { *x } else { T::zero() };
            }
            let mut bin = zeros;
            let widths = self.locate::<T, F, true>(form, window, raw_widths, width_shares, &inside, &mut bin);
            let heights = self.locate::<T, F, false>(form, window, raw_heights, height_shares, &inside, &mut bin);

            let (mut left, mut right) = (zeros, zeros);
            for k in 1..bins {
                let raw = window.of(raw_derivatives, k - 1);
                let (before, after) = (T::of(k as f64 - 1.0), T::of(k as f64));
                for row in 0..n {
                    left[row] += only(bin[row] == after, raw[row]);
                    right[row] += only(bin[row] == before, raw[row]);
                }
            }
            let (mut left_slope, mut right_slope) = (zeros, zeros);
            let last = T::of(bins as f64 - 1.0);
            for row in 0..n {
                let (derivative, slope) = form.derivative(left[row]);
                let inner = bin[row] > T::zero();
                left[row] = pick(inner, derivative, T::one());
                left_slope[row] = only(inner, slope);
                let (derivative, slope) = form.derivative(right[row]);
                let inner = bin[row] < last;
                right[row] = pick(inner, derivative, T::one());
                right_slope[row] = only(inner, slope);
            }

            let mut position = zeros;
            let (x, log_det) = (window.of_mut(x, 0), window.of_mut(log_det, 0));
            for row in 0..n {
                let point = Point::at(
                    (inside[row] - widths.knot[row]) / widths.size[row],
                    widths.size[row],
                    heights.size[row],
                    left[row],
                    right[row],
                );
                position[row] = point.t;
                let within = x[row].abs() <= bound;
                x[row] = pick(within, heights.knot[row] + point.height * point.ratio, x[row]);
                log_det[row] += only(within, point.slope.fast_ln());
                bin[row] = pick(within, bin[row], -T::one());
            }
            for (index, values) in [
                (BIN, &bin),
                (T_IN_BIN, &position),
                (WIDTH, &widths.size),
                (HEIGHT, &heights.size),
                (LEFT, &left),
                (RIGHT, &right),
                (LEFT_SLOPE, &left_slope),
                (RIGHT_SLOPE, &right_slope),
                (WIDTHS_BEFORE, &widths.before),
                (HEIGHTS_BEFORE, &heights.before),
            ] {
                window.of_mut(kept, index).copy_from_slice(&values[..n]);
            }
        }
    }

    #[inline(always)]
    fn backward_rows<T: Real, F: Form<T>>(
        &self,
        form: F,
        kept: &[T],
        gradient: &mut [T],
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    ) {
        let rows = gradient.len();
        let bins = self.bins;
        let (kept, shares) = kept.split_at(SHARES * rows);
        let (width_shares, height_shares) = shares.split_at(bins * rows);
        let (by_widths, rest) = parameter_gradient.split_at_mut(bins * rows);
        let (by_heights, by_derivatives) = rest.split_at_mut(bins * rows);
        let zeros = [T::zero(); BLOCK];
        for window in Window::cover(rows) {
            let n = window.len();
            let [mut by_left, mut by_right] = [zeros; 2];
            let [mut by_x_knot, mut by_width, mut by_y_knot, mut by_height] = [zeros; 4];
            {
                let of = |index| window.of(kept, index);
                let (bin, position, width, height) = (of(BIN), of(T_IN_BIN), of(WIDTH), of(HEIGHT));
                let (left, right) = (of(LEFT), of(RIGHT));
                let (gradient, log_det_gradient) = (window.of_mut(gradient, 0), window.of(log_det_gradient, 0));
                for row in 0..n {
                    let within = bin[row] >= T::zero();
                    let by_z = only(within, gradient[row]);
                    let by_log_det = only(within, log_det_gradient[row]);
                    let point = Point::at(position[row], width[row], height[row], left[row], right[row]);
                    let by = point.backward(by_z, by_log_det);
                    gradient[row] = pick(within, by.x, gradient[row]);
                    by_x_knot[row] = -by.x;
                    by_width[row] = by.width;
                    by_y_knot[row] = by_z;
                    by_height[row] = by.height;
                    by_left[row] = by.left;
                    by_right[row] = by.right;
                }
            }
            let bin = window.of(kept, BIN);
            for (slope, by) in [(LEFT_SLOPE, &mut by_left), (RIGHT_SLOPE, &mut by_right)] {
                by.iter_mut().zip(window.of(kept, slope)).for_each(|(by, slope)| *by *= *slope);
            }
            for k in 1..bins {
                let (before, after) = (T::of(k as f64 - 1.0), T::of(k as f64));
                let by = window.of_mut(by_derivatives, k - 1);
                for row in 0..n {
                    let by_left = only(bin[row] == after, by_left[row]);
                    by[row] = pick(bin[row] == before, by_right[row], by_left);
                }
            }
            let before = window.of(kept, WIDTHS_BEFORE);
            let size = window.of(kept, WIDTH);
            self.share(form, window, bin, [before, size, width_shares], [&mut by_x_knot, &mut by_width], by_widths);
            let before = window.of(kept, HEIGHTS_BEFORE);
            let size = window.of(kept, HEIGHT);
            self.share(form, window, bin, [before, size, height_shares], [&mut by_y_knot, &mut by_height], by_heights);
        }
    }

    /// The gradient by the parameters of a softmax from that by a row's knot and by the size of its bin.
    #[inline(always)]
    fn share<T: Real, F: Form<T>>(
        &self,
        form: F,
        window: Window,
        bin: &[T],
        [before, size, shares]: [&[T]; 3],
        [by_knot, by_size]: [&mut Block<T>; 2],
        by: &mut [T],
    ) {
        let n = window.len();
        let bound = T::of(f64::from(self.bound));
        let (floor, shared) = self.shares(form);
        let (floor, shared) = ((bound + bound) * floor, (bound + bound) * shared);
        let mut mean = [T::zero(); BLOCK];
        for row in 0..n {
            // By the parts of the softmax; every part before the bin moves its knot.
            mean[row] = shared * by_knot[row] * before[row] + by_size[row] * (size[row] - floor);
            by_knot[row] *= shared;
            by_size[row] *= shared;
        }
        for k in 0..self.bins {
            let at = T::of(k as f64);
            let (shares, by) = (window.of(shares, k), window.of_mut(by, k));
            for row in 0..n {
                let by_size = only(bin[row] == at, by_size[row]);
                let by_part = pick(bin[row] > at, by_knot[row], by_size);
                by[row] = shares[row] * (by_part - mean[row]);
            }
        }
    }
}

/// A point in its bin, with what equations 4 and 5 of the paper are made of.
struct Point<T> {
    /// ξ, from 0 to 1.
    t: T,
    width: T,
    height: T,
    left: T,
    right: T,
    /// s = height / width.
    rise: T,
    /// ξ (1 - ξ).
    middle: T,
    /// 1 / (s (ξ² + (1 - ξ)²) + (left + right) ξ (1 - ξ)).
    inverse: T,
    /// (y - the bin's knot) / height.
    ratio: T,
    /// right ξ² + 2 s ξ (1 - ξ) + left (1 - ξ)².
    numerator: T,
    /// dy/dx.
    slope: T,
}

/// Derivatives of a loss.
struct By<T> {
    x: T,
    width: T,
    height: T,
    left: T,
    right: T,
}

impl<T: Real> Point<T> {
    #[inline(always)]
    fn at(t: T, width: T, height: T, left: T, right: T) -> Self {
        let rise = height / width;
        let rest = T::one() - t;
        let middle = t * rest;
        // Equation 4's denominator with 1 = (ξ + 1 - ξ)²: every term is positive, so that nothing cancels.
        let inverse = T::one() / (rise * (t * t + rest * rest) + (left + right) * middle);
        let ratio = (rise * t * t + left * middle) * inverse;
        let numerator = right * t * t + (rise + rise) * middle + left * rest * rest;
        let slope = (rise * inverse) * (rise * inverse) * numerator;
        Self { t, width, height, left, right, rise, middle, inverse, ratio, numerator, slope }
    }

    /// From the derivatives by z and by the log-determinant. The knot's at y is that by z, the knot's at x the opposite
    /// of that by x.
    #[inline(always)]
    fn backward(&self, by_z: T, by_log_det: T) -> By<T> {
        let Self { t, width, height, left, right, rise, middle, inverse, ratio, numerator, slope } = *self;
        let one = T::one();
        let two = one + one;
        let rest = one - t;
        let turn = rest - t;
        let inverse_width = one / width;
        // Of ln(numerator) and of ln(denominator).
        let top = by_log_det / numerator;
        let bottom = -two * by_log_det * inverse;
        // The denominator's, in y and in the log-determinant together.
        let scaled = by_z * height * inverse;
        let by_denominator = bottom - scaled * ratio;
        let by_t = by_z * slope * width
            + two * top * (right * t + rise * turn - left * rest)
            + bottom * (left + right - two * rise) * turn;
        let by_rise = scaled * t * t + two * (by_log_det / rise + top * middle) + by_denominator * (one - two * middle);
        let x = by_t * inverse_width;
        By {
            x,
            width: -(by_rise * rise + by_t * t) * inverse_width,
            height: by_z * ratio + by_rise * inverse_width,
            left: (scaled + by_denominator) * middle + top * rest * rest,
            right: by_denominator * middle + top * t * t,
        }
    }
}

macro_rules! with_form {
    ($spline:expr, $form:ident => $work:expr) => {{
        let of = |value: f32| T::of(f64::from(value));
        match $spline.parameterization {
            Parameterization::Softclip { inverse_bound } => {
                let $form = Softclip(of(inverse_bound));
                vectorize(
                    #[inline(always)]
                    || $work,
                )
            }
            Parameterization::Floored { share, derivative } => {
                let $form = Floored { share: of(share), derivative: of(derivative) };
                vectorize(
                    #[inline(always)]
                    || $work,
                )
            }
        }
    }};
}

impl<T: Real> TrainMap<T> for Spline {
    fn outputs(&self) -> usize {
        3 * self.bins - 1
    }

    fn kept(&self) -> usize {
        SHARES + 2 * self.bins
    }

    fn start(&self) -> Vec<f64> {
        let derivative = match self.parameterization {
            Parameterization::Softclip { .. } => 0.0,
            Parameterization::Floored { derivative, .. } => (1.0 - f64::from(derivative)).exp_m1().ln(),
        };
        let mut start = vec![0.0; 2 * self.bins];
        start.resize(3 * self.bins - 1, derivative);
        start
    }

    fn inverse(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
        with_form!(self, form => self.inverse_rows(form, parameters, x, log_det, kept));
    }

    fn backward(&self, kept: &[T], gradient: &mut [T], log_det_gradient: &[T], parameter_gradient: &mut [T]) {
        with_form!(self, form => self.backward_rows(form, kept, gradient, log_det_gradient, parameter_gradient));
    }
}
