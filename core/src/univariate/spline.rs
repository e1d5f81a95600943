//! Monotone rational-quadratic splines: Durkan, Bekasov, Murray, Papamakarios, "Neural spline flows", 2019, section 3.1 and
//! appendix A.1.
//!
//! z = RQS(x) on (-B, B) and z = x outside of it: K bins, with the derivative 1 at both ends, so that the spline meets the
//! identity smoothly. Data -> base is the spline itself, since densities are what is asked for most; base -> data solves a
//! quadratic equation. Both are exact.
//!
//! In a bin of width w and height h, with s = h / w, derivatives d_0 and d_1 at its ends, and t + r = 1 the shares of the bin
//! to the left and to the right of x (equations 4 and 5):
//!
//! - z = z_0 + h (s t² + d_0 t r) / q, with q = s (t² + r²) + (d_0 + d_1) t r
//! - dz/dx = (s / q)² (d_1 t² + 2 s t r + d_0 r²)
//!
//! Written with r, every term of every sum is positive, so nothing cancels. The same for the quadratic's discriminant, with η
//! and ζ the shares below and above z: (d_0 ζ - d_1 η)² + 4 s² η ζ, which is the paper's b² - 4 a c.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{MOST_PARTS, Monotone, Univariate};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// A spline of `K` bins, up to 32, whose knots come from the net's outputs as `P` says: K outputs for the widths, K for the
/// heights and K - 1 for the derivatives at the inner knots, in this order.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Spline<const K: usize, P = Softclip> {
    /// B: the spline is the identity beyond ±B; positive.
    pub bound: f32,
    /// From outputs to widths, heights and derivatives.
    pub parameterization: P,
}

/// A spline whose number of bins is known at run time.
#[derive(Clone, Copy, Debug)]
pub struct SplineView<P> {
    /// K, up to 32; with more it is the identity.
    pub bins: usize,
    /// B.
    pub bound: f32,
    /// From outputs to widths, heights and derivatives.
    pub parameterization: P,
}

/// From a net's outputs to the widths, heights and derivatives of a spline.
///
/// Widths and heights are shares of the interval: the floor, and what is left is shared in proportion to the exponentials.
pub trait Parameterization {
    /// Name and stored fields.
    const RECORD: Record;

    /// The smallest share of a bin.
    fn floor(&self) -> f32;

    /// The logarithm of a bin's part of what is left above the floors, but for a constant.
    fn exponent<T: Real>(&self, raw: T) -> T;

    /// The derivative at a knot.
    fn derivative<T: Real, E: Elementary<T>>(&self, raw: T) -> T;
}

/// zuko's: bins in proportion to e^(u / (1 + 2 |u| / L)), derivatives e^(u / (1 + |u| / L)). Whatever the net says, no slope is
/// below e^-L or above e^L.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Softclip {
    /// 1 / L; positive.
    pub inverse_bound: f32,
}

/// The record of [`Softclip`].
pub const SOFTCLIP: Record = Record::stored(
    "Softclip",
    &[],
    &[Field::Data { name: "inverse_bound", format: Format::F32, count: 1, rule: Rule::Positive }],
);

impl Softclip {
    /// Slopes between `slope`, which is below 1, and its reciprocal.
    #[must_use]
    pub fn new(slope: f32) -> Self {
        Self { inverse_bound: -1.0 / libm::logf(slope) }
    }
}

impl Parameterization for Softclip {
    const RECORD: Record = SOFTCLIP;

    #[inline(always)]
    fn floor(&self) -> f32 {
        0.0
    }

    #[inline(always)]
    fn exponent<T: Real>(&self, raw: T) -> T {
        raw / (T::ONE + (raw + raw).abs() * T::from_f32(self.inverse_bound))
    }

    #[inline(always)]
    fn derivative<T: Real, E: Elementary<T>>(&self, raw: T) -> T {
        E::exp(raw / (T::ONE + raw.abs() * T::from_f32(self.inverse_bound)))
    }
}

/// nflows': bins of at least `share` of the interval, the rest in proportion to e^u; derivatives derivative + ln(1 + e^u).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Floored {
    /// The smallest share of a bin; positive, and below 1 / K, where all bins are alike.
    pub share: f32,
    /// The smallest derivative; positive.
    pub derivative: f32,
}

/// The record of [`Floored`].
pub const FLOORED: Record = Record::stored(
    "Floored",
    &[],
    &[
        Field::Data { name: "share", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Data { name: "derivative", format: Format::F32, count: 1, rule: Rule::Positive },
    ],
);

impl Parameterization for Floored {
    const RECORD: Record = FLOORED;

    #[inline(always)]
    fn floor(&self) -> f32 {
        self.share
    }

    #[inline(always)]
    fn exponent<T: Real>(&self, raw: T) -> T {
        raw
    }

    #[inline(always)]
    fn derivative<T: Real, E: Elementary<T>>(&self, raw: T) -> T {
        T::from_f32(self.derivative) + E::softplus(raw)
    }
}

/// What describes the map.
#[must_use]
pub const fn parameters(bins: usize, parameterization: &'static Record) -> [Parameter; 2] {
    [("bins", Value::Number(bins)), ("parameterization", Value::Word(parameterization.name))]
}

/// What the map stores.
#[must_use]
pub const fn fields(parameterization: &'static Record) -> [Field; 2] {
    [
        Field::Data { name: "bound", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Nested { times: 1, record: parameterization },
    ]
}

/// The map's record. The shares of the bins are scratch.
#[must_use]
pub const fn record(bins: usize, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { scratch: 2 * size_of::<f32>() * bins, ..Record::stored("Spline", parameters, fields) }
}

/// Outputs of the net for each feature.
#[must_use]
pub const fn outputs(bins: usize) -> usize {
    3 * bins - 1
}

impl<const K: usize, P: Parameterization> Univariate for Spline<K, P> {
    const RECORD: Record = record(K, &const { parameters(K, &P::RECORD) }, &const { fields(&P::RECORD) });
    const OUTPUTS: usize = outputs(K);

    #[inline(always)]
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R {
        const { assert!(K >= 1 && K <= MOST_PARTS, "flowlet: a spline has 1 to 32 bins") };
        run([[T::ZERO; K]; 3].as_flattened_mut())
    }
}

impl<const K: usize, P: Parameterization + Copy> Spline<K, P> {
    #[inline(always)]
    fn view(&self) -> SplineView<P> {
        SplineView { bins: K, bound: self.bound, parameterization: self.parameterization }
    }
}

impl<T: Real, E: Elementary<T>, const K: usize, P: Parameterization + Copy> Monotone<T, E> for Spline<K, P> {
    #[inline]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        self.view().evaluate::<T, E>(parameters, x, &mut [T::ZERO; K], &mut [T::ZERO; K])
    }

    #[inline]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        self.view().solve::<T, E>(parameters, z, &mut [T::ZERO; K], &mut [T::ZERO; K])
    }
}

impl<T: Real, E: Elementary<T>, P: Parameterization> Monotone<T, E> for SplineView<P> {
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        let (mut widths, mut heights) = ([T::ZERO; MOST_PARTS], [T::ZERO; MOST_PARTS]);
        match (widths.get_mut(..self.bins), heights.get_mut(..self.bins)) {
            (Some(widths), Some(heights)) => self.evaluate::<T, E>(parameters, x, widths, heights),
            _ => (x, T::ZERO),
        }
    }

    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        let (mut widths, mut heights) = ([T::ZERO; MOST_PARTS], [T::ZERO; MOST_PARTS]);
        match (widths.get_mut(..self.bins), heights.get_mut(..self.bins)) {
            (Some(widths), Some(heights)) => self.solve::<T, E>(parameters, z, widths, heights),
            _ => (z, T::ZERO),
        }
    }
}

/// Outputs of a net up to this: differences of two are finite then.
pub const LARGEST: f32 = 1e30;

/// Slopes are between the reciprocal of this and this. Bins of a file's parameterization are far from either, unless it
/// was made to have none: then logarithms stay finite.
const STEEPEST: f32 = 1e6;

/// Intervals up to this.
const WIDEST: f32 = 1e10;

#[inline(always)]
fn between<T: Real>(value: T, low: T, high: T) -> T {
    if value > high {
        high
    } else if value > low {
        value
    } else {
        low
    }
}

#[inline(always)]
fn slope<T: Real>(value: T) -> T {
    between(value, T::from_f32(1.0 / STEEPEST), T::from_f32(STEEPEST))
}

/// A bin, with its slopes.
#[derive(Clone, Copy, Debug)]
pub struct Bin<T> {
    left: T,
    right: T,
    bottom: T,
    top: T,
    /// s = h / w.
    mean: T,
    /// d_0.
    first: T,
    /// d_1.
    last: T,
}

impl<T: Real> Bin<T> {
    /// The bin between these ends, on the axis of x and on that of z, with these derivatives at them.
    #[inline(always)]
    pub fn new((left, right): (T, T), (bottom, top): (T, T), (first, last): (T, T)) -> Self {
        Self { left, right, bottom, top, mean: slope((top - bottom) / (right - left)), first, last }
    }

    /// Data -> base of an x in the bin and not at its left end: z, and ln dz/dx.
    #[inline(always)]
    pub fn evaluate<E: Elementary<T>>(&self, x: T) -> (T, T) {
        // The width is above 0, then.
        let width = self.right - self.left;
        let (t, r) = ((x - self.left) / width, (self.right - x) / width);
        let (q, log_slope) = self.log_slope::<E>(t, r);
        let share = (self.mean * t * t + self.first * t * r) / q;
        (between(self.bottom + (self.top - self.bottom) * share, self.bottom, self.top), log_slope)
    }

    /// q, and ln dz/dx, where the shares to the left and to the right of x are t and r.
    #[inline(always)]
    fn log_slope<E: Elementary<T>>(&self, t: T, r: T) -> (T, T) {
        let Self { mean, first, last, .. } = *self;
        let both = t * r;
        let q = mean * (t * t + r * r) + (first + last) * both;
        let ratio = mean / q;
        (q, E::ln(ratio * ratio * (last * t * t + (mean + mean) * both + first * r * r)))
    }
}

impl<P: Parameterization> SplineView<P> {
    /// B, within what f32 squares and divides.
    #[inline(always)]
    pub fn bound<T: Real>(&self) -> T {
        between(T::from_f32(self.bound), T::from_f32(1.0 / WIDEST), T::from_f32(WIDEST))
    }

    /// Fills `shares` with the bins' shares of the interval: a softmax above the floors.
    #[inline(always)]
    fn share<T: Real, E: Elementary<T>>(&self, raw: &[T], shares: &mut [T]) {
        let mut highest = T::from_f32(-LARGEST);
        for (share, raw) in shares.iter_mut().zip(raw) {
            *share = self.exponent(*raw);
            highest = if *share > highest { *share } else { highest };
        }
        let mut sum = T::ZERO;
        for share in shares.iter_mut() {
            *share = E::exp(*share - highest);
            sum = sum + *share;
        }
        let (floor, rest) = self.floor(sum);
        for share in shares {
            *share = floor + rest * *share;
        }
    }

    /// The logarithm of a bin's part of what is left above the floors, but for a constant.
    #[inline(always)]
    pub fn exponent<T: Real>(&self, raw: T) -> T {
        self.parameterization.exponent(raw.clamp_abs(T::from_f32(LARGEST)))
    }

    /// The smallest share of a bin, and the share above it of a part 1 where all parts add up to `sum`.
    #[inline(always)]
    pub fn floor<T: Real>(&self, sum: T) -> (T, T) {
        let bins = T::from_i32(self.bins as i32);
        let floor = between(T::from_f32(self.parameterization.floor()), T::ZERO, T::ONE / bins);
        (floor, (T::ONE - floor * bins) / sum)
    }

    /// The right end of a bin that begins at `left`, not the last one, where shares up to its own add up to `sum`.
    #[inline(always)]
    pub fn end<T: Real>(&self, sum: T, left: T) -> T {
        let bound = self.bound::<T>();
        between(bound * (sum + sum - T::ONE), left, bound)
    }

    /// The derivative at an inner knot.
    #[inline(always)]
    pub fn inner_derivative<T: Real, E: Elementary<T>>(&self, raw: T) -> T {
        slope(self.parameterization.derivative::<T, E>(raw.clamp_abs(T::from_f32(LARGEST))))
    }

    /// The ends of every bin, from shares: the first is -B, the last exactly B, and none is below its predecessor.
    #[inline(always)]
    fn ends<T: Real>(&self, shares: &[T]) -> impl Iterator<Item = (T, T)> {
        let (bound, last) = (self.bound::<T>(), self.bins.wrapping_sub(1));
        let (mut left, mut sum) = (-bound, T::ZERO);
        shares.iter().enumerate().map(move |(bin, share)| {
            sum = sum + *share;
            let right = if bin == last { bound } else { self.end(sum, left) };
            let ends = (left, right);
            left = right;
            ends
        })
    }

    /// The derivative at a knot, of 0 to K.
    #[inline(always)]
    fn derivative<T: Real, E: Elementary<T>>(&self, raw: &[T], knot: usize) -> T {
        match knot.checked_sub(1).and_then(|inner| raw.get(inner)) {
            Some(raw) => self.inner_derivative::<T, E>(*raw),
            None => T::ONE,
        }
    }

    /// The bin that holds `value` on the axis of x, or else on that of z; `None` outside of the interval.
    #[inline(always)]
    fn find<T: Real, E: Elementary<T>>(
        &self,
        parameters: &[T],
        value: T,
        on_x: bool,
        widths: &mut [T],
        heights: &mut [T],
    ) -> Option<Bin<T>> {
        let bound = self.bound::<T>();
        if !(value > -bound && value < bound) {
            return None;
        }
        let (raw_widths, rest) = parameters.split_at_checked(self.bins)?;
        let (raw_heights, rest) = rest.split_at_checked(self.bins)?;
        let raw_derivatives = rest.get(..self.bins.checked_sub(1)?)?;
        self.share::<T, E>(raw_widths, widths);
        self.share::<T, E>(raw_heights, heights);
        let mut bins = self.ends(widths).zip(self.ends(heights)).enumerate();
        let (index, ((left, right), (bottom, top))) =
            bins.find(|(_, ((_, right), (_, top)))| value <= if on_x { *right } else { *top })?;
        let first = self.derivative::<T, E>(raw_derivatives, index);
        let last = self.derivative::<T, E>(raw_derivatives, index + 1);
        Some(Bin::new((left, right), (bottom, top), (first, last)))
    }

    /// Data -> base: the spline.
    #[inline(always)]
    fn evaluate<T: Real, E: Elementary<T>>(
        &self,
        parameters: &[T],
        x: T,
        widths: &mut [T],
        heights: &mut [T],
    ) -> (T, T) {
        match self.find::<T, E>(parameters, x, true, widths, heights) {
            Some(bin) => bin.evaluate::<E>(x),
            None => (x, T::ZERO),
        }
    }

    /// Base -> data: the root of the quadratic, by the one of its two formulas in which nothing cancels.
    #[inline(always)]
    fn solve<T: Real, E: Elementary<T>>(&self, parameters: &[T], z: T, widths: &mut [T], heights: &mut [T]) -> (T, T) {
        let Some(bin) = self.find::<T, E>(parameters, z, false, widths, heights) else { return (z, T::ZERO) };
        let height = bin.top - bin.bottom;
        let (below, above) = ((z - bin.bottom) / height, (bin.top - z) / height);
        let (mean, difference) = (bin.mean, bin.first * above - bin.last * below);
        let double = mean + mean;
        let root = E::sqrt(difference * difference + double * double * below * above);
        let share = |difference: T, part: T| {
            let b = difference + double * part;
            let share = if b > T::ZERO { double * part / (b + root) } else { (root - b) / (double - b - b) };
            between(share, T::ZERO, T::ONE)
        };
        let (t, r) = (share(difference, below), share(-difference, above));
        let (_, log_slope) = bin.log_slope::<E>(t, r);
        (between(bin.left + (bin.right - bin.left) * t, bin.left, bin.right), -log_slope)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::{Floored, Parameterization, Softclip, Spline, SplineView};
    use crate::elementary::Libm;
    use crate::univariate::tests::{check, check_hostile, check_layout, numbers};
    use crate::univariate::{Monotone, Univariate};

    const FLOORED: Floored = Floored { share: 1e-3, derivative: 1e-3 };

    fn softclip() -> Softclip {
        Softclip::new(1e-3)
    }

    #[test]
    fn splines_obey_the_laws() {
        for size in [0.0, 1.0, 5.0] {
            check(&Spline::<1, _> { bound: 3.0, parameterization: softclip() }, size, 4.0);
            check(&Spline::<2, _> { bound: 3.0, parameterization: FLOORED }, size, 4.0);
            check(&Spline::<8, _> { bound: 5.0, parameterization: softclip() }, size, 6.0);
            check(&Spline::<8, _> { bound: 3.0, parameterization: FLOORED }, size.min(3.0), 4.0);
            check(&Spline::<5, _> { bound: 0.25, parameterization: softclip() }, size.min(3.0), 0.3);
        }
        check_layout::<Spline<8>>();
        check_layout::<Spline<3, Floored>>();
    }

    #[test]
    fn hostile_splines_stay_monotone_and_finite() {
        check_hostile(&Spline::<1, _> { bound: 3.0, parameterization: softclip() }, 4.0);
        check_hostile(&Spline::<8, _> { bound: 5.0, parameterization: softclip() }, 6.0);
        check_hostile(&Spline::<8, _> { bound: 3.0, parameterization: FLOORED }, 4.0);
        // Bins of no width and no height: what only a file that means harm asks for.
        for inverse_bound in [1e-40, 1e-30, 1e-3, 1e3, 1e30] {
            check_hostile(&Spline::<7, _> { bound: 3.0, parameterization: Softclip { inverse_bound } }, 4.0);
            for bound in [1e-40, 1e-30, 1e30, f32::MAX] {
                check_hostile(&Spline::<4, _> { bound, parameterization: Softclip { inverse_bound } }, 4.0);
            }
        }
        for share in [1e-40, 1e-30, 0.25, 1.0, 1e30] {
            for derivative in [1e-40, 1.0, 1e30] {
                check_hostile(&Spline::<4, _> { bound: 3.0, parameterization: Floored { share, derivative } }, 4.0);
            }
        }
    }

    /// The spline by its published formulas (zuko's and nflows' notation).
    fn published(widths: &[f64], heights: &[f64], derivatives: &[f64], bound: f64, x: f64) -> (f64, f64) {
        let knots = |shares: &[f64]| -> Vec<f64> {
            let sums = (0..=shares.len()).map(|count| shares[..count].iter().sum::<f64>());
            sums.map(|sum| bound * (2.0 * sum - 1.0)).collect()
        };
        let (xs, ys) = (knots(widths), knots(heights));
        let k = (0..widths.len()).rfind(|k| xs[*k] < x).expect("inside");
        let (w, h) = (xs[k + 1] - xs[k], ys[k + 1] - ys[k]);
        let (s, t, d0, d1) = (h / w, (x - xs[k]) / w, derivatives[k], derivatives[k + 1]);
        let q = d0 + d1 - 2.0 * s;
        let denominator = s + q * t * (1.0 - t);
        let y = ys[k] + h * (s * t * t + d0 * t * (1.0 - t)) / denominator;
        let slope = s * s * (d1 * t * t + 2.0 * s * t * (1.0 - t) + d0 * (1.0 - t) * (1.0 - t));
        (y, libm::log(slope) - 2.0 * libm::log(denominator))
    }

    fn against_published<P: Parameterization + Copy>(
        parameterization: P,
        bound: f32,
        share: impl Fn(&[f64]) -> Vec<f64>,
        derivative: impl Fn(f64) -> f64,
    ) {
        let spline = Spline::<8, P> { bound, parameterization };
        for seed in 1..50 {
            let raw: Vec<f64> = numbers(seed, 23).iter().map(|number| 4.0 * number).collect();
            let inner = raw[16..].iter().map(|raw| derivative(*raw));
            let derivatives: Vec<f64> = [1.0].into_iter().chain(inner).chain([1.0]).collect();
            let (widths, heights) = (share(&raw[..8]), share(&raw[8..16]));
            for x in numbers(seed + 100, 50).iter().map(|x| x * f64::from(bound)) {
                let (y, log_slope) = published(&widths, &heights, &derivatives, f64::from(bound), x);
                let (found, found_log_slope) = Monotone::<f64, Libm>::inverse(&spline, &raw, x);
                assert!((found - y).abs() < 1e-12 && (found_log_slope - log_slope).abs() < 1e-10, "{x}");
                // Rounding moves the knots of f32 by an ulp or two: as far from z as the slope takes it.
                let raw: Vec<f32> = raw.iter().map(|raw| *raw as f32).collect();
                let (single, single_log_slope) = Monotone::<f32, Libm>::inverse(&spline, &raw, x as f32);
                let (slope, error) = (libm::exp(log_slope), (f64::from(single) - y).abs());
                assert!(error < 3e-6 * (1.0 + slope), "{error} where the slope is {slope}");
                let error = (f64::from(single_log_slope) - log_slope).abs();
                assert!(error < 2e-3, "{error} where the slope is {slope}");
            }
        }
    }

    #[test]
    fn splines_are_those_of_other_libraries() {
        let softmax = |exponents: Vec<f64>| -> Vec<f64> {
            let exponentials: Vec<f64> = exponents.into_iter().map(libm::exp).collect();
            let sum: f64 = exponentials.iter().sum();
            exponentials.into_iter().map(|value| value / sum).collect()
        };
        let clip = softclip();
        let l = 1.0 / f64::from(clip.inverse_bound);
        assert!((l + libm::log(1e-3)).abs() < 1e-6);
        against_published(
            clip,
            5.0,
            |raw| softmax(raw.iter().map(|u| u / (1.0 + 2.0 * u.abs() / l)).collect()),
            |u| libm::exp(u / (1.0 + u.abs() / l)),
        );
        let floor = f64::from(1e-3_f32);
        against_published(
            FLOORED,
            3.0,
            |raw| softmax(raw.to_vec()).iter().map(|share| floor + (1.0 - 8.0 * floor) * share).collect(),
            |u| floor + libm::log1p(libm::exp(u)),
        );
    }

    #[test]
    fn zero_outputs_of_zuko_are_the_identity() {
        let spline = Spline::<8> { bound: 5.0, parameterization: softclip() };
        for x in numbers(1, 100).iter().map(|x| 7.0 * x) {
            let (z, log_slope) = Monotone::<f64, Libm>::inverse(&spline, &[0.0; 23], x);
            assert!((z - x).abs() < 1e-14 && log_slope.abs() < 1e-14);
        }
    }

    #[test]
    fn knots_leave_no_gap() {
        // Neighbouring numbers around every knot and both ends: z never steps further than the slope allows.
        let spline = Spline::<8> { bound: 5.0, parameterization: softclip() };
        let view = SplineView { bins: 8, bound: 5.0, parameterization: softclip() };
        for seed in 1..100 {
            let raw: Vec<f32> = numbers(seed, 23).iter().map(|number| 3.0 * *number as f32).collect();
            let mut shares = [0.0; 8];
            view.share::<f32, Libm>(&raw[..8], &mut shares);
            let ends: Vec<(f32, f32)> = view.ends(&shares).collect();
            assert!(ends[0].0 == -5.0 && ends[7].1 == 5.0 && ends.windows(2).all(|pair| pair[0].1 == pair[1].0));
            for (left, right) in ends {
                for knot in [left, right] {
                    let at = |x: f32| Monotone::<f32, Libm>::inverse(&spline, &raw, x);
                    let ((below, slope), (on, _), (above, _)) = (at(knot.next_down()), at(knot), at(knot.next_up()));
                    let step = 4e-6 * (1.0 + libm::expf(slope));
                    assert!((on - below).abs() < step && (above - on).abs() < step, "{below}, {on}, {above}");
                }
            }
        }
    }

    #[test]
    fn views_have_the_bits_of_types() {
        fn same<const K: usize>() {
            let spline = Spline::<K, _> { bound: 2.5, parameterization: FLOORED };
            let view = SplineView { bins: K, bound: 2.5, parameterization: FLOORED };
            let raw: Vec<f32> = numbers(K as u32, 96).iter().map(|number| 2.0 * *number as f32).collect();
            let raw = &raw[..Spline::<K>::OUTPUTS];
            for x in numbers(7, 50).iter().map(|x| 3.0 * *x as f32) {
                assert_eq!(
                    Monotone::<f32, Libm>::inverse(&spline, raw, x),
                    Monotone::<f32, Libm>::inverse(&view, raw, x)
                );
                assert_eq!(
                    Monotone::<f32, Libm>::forward(&spline, raw, x),
                    Monotone::<f32, Libm>::forward(&view, raw, x)
                );
            }
            // Missing parameters, or more bins than there is room for: the identity.
            assert_eq!(Monotone::<f32, Libm>::inverse(&view, &raw[1..], 0.5), (0.5, 0.0));
            let view = SplineView { bins: 33 + K, ..view };
            assert_eq!(Monotone::<f32, Libm>::forward(&view, &[0.5; 300], 0.5), (0.5, 0.0));
        }
        same::<1>();
        same::<8>();
        same::<32>();
    }
}
