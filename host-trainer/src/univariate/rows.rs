//! Maps of one feature for many readings side by side, with the device's bits.
//!
//! Every operation on a number is the core's. What differs is the order of the loops: the innermost one goes over readings and has
//! no branch, so the compiler makes vectors of it.

use flowlet::elementary::Elementary;
use flowlet::spline::{Bin, LARGEST, Parameterization, SplineView};
use flowlet::univariate::Monotone;

use super::{MapView, pick};
use crate::net::rows::{Lanes, ROWS, each};
use crate::train::vectorize;

impl MapView {
    /// Data -> base of one feature of many readings; adds to their log-determinants. `parameters` are the net's outputs for the
    /// feature.
    pub fn inverse_rows<E: Elementary<f32>>(
        &self,
        parameters: &[Lanes<f32>],
        x: &mut Lanes<f32>,
        log_dets: &mut Lanes<f32>,
    ) {
        match self {
            Self::Additive(map) => vectorize(
                #[inline(always)]
                || rows::<E, 1>(map, parameters, x, log_dets),
            ),
            Self::Softsign(map) => vectorize(
                #[inline(always)]
                || rows::<E, 2>(map, parameters, x, log_dets),
            ),
            Self::Softclip(map) => vectorize(
                #[inline(always)]
                || spline::<E, _>(map, parameters, x, log_dets),
            ),
            Self::Floored(map) => vectorize(
                #[inline(always)]
                || spline::<E, _>(map, parameters, x, log_dets),
            ),
            _ => {
                let mut one = vec![0.0; parameters.len()];
                for (row, (x, log_det)) in x.iter_mut().zip(log_dets).enumerate() {
                    one.iter_mut().zip(parameters).for_each(|(value, lanes)| *value = lanes[row]);
                    let (z, log_slope) = Monotone::<f32, E>::inverse(self, &one, *x);
                    *x = z;
                    *log_det += log_slope;
                }
            }
        }
    }
}

/// A map of `P` parameters.
#[inline(always)]
fn rows<E: Elementary<f32>, const P: usize>(
    map: &impl Monotone<f32, E>,
    parameters: &[Lanes<f32>],
    x: &mut Lanes<f32>,
    log_dets: &mut Lanes<f32>,
) {
    let Some(parameters) = parameters.first_chunk::<P>() else { return };
    // Indices that are seen to be inside: what has to be checked leaves the last vector to scalar code.
    for row in 0..ROWS {
        let one: [f32; P] = std::array::from_fn(|parameter| parameters[parameter][row]);
        let (z, log_slope) = map.inverse(&one, x[row]);
        x[row] = z;
        log_dets[row] += log_slope;
    }
}

/// A spline. All bins are walked through, and of each reading the last one stays that begins below it.
#[inline(always)]
fn spline<E: Elementary<f32>, P: Parameterization>(
    map: &SplineView<P>,
    parameters: &[Lanes<f32>],
    x: &mut Lanes<f32>,
    log_dets: &mut Lanes<f32>,
) {
    let (widths, rest) = parameters.split_at(map.bins);
    let (heights, derivatives) = rest.split_at(map.bins);
    let (widths, heights) = (Shares::new::<E, _>(map, widths), Shares::new::<E, _>(map, heights));
    let bound = map.bound::<f32>();
    let none = [0.0; ROWS];
    // Of the bin at hand: where it begins on both axes, and the shares before it.
    let (mut left, mut bottom) = ([-bound; ROWS], [-bound; ROWS]);
    let (mut sums, mut sums_of_heights) = ([0.0; ROWS], [0.0; ROWS]);
    // Of each reading's bin: its ends on both axes, and what the net says of the derivatives at them, which are 1 at the ends of
    // the interval.
    let (mut lefts, mut rights, mut bottoms, mut tops) = (none, none, none, none);
    let (mut first, mut last) = (none, none);
    let (mut begins, mut ends) = ([1_u32; ROWS], [0_u32; ROWS]);
    for (bin, (width, height)) in widths.parts.iter().zip(&heights.parts).enumerate() {
        let (is_first, is_last) = (bin == 0, bin + 1 == map.bins);
        let before = bin.checked_sub(1).and_then(|knot| derivatives.get(knot)).unwrap_or(&none);
        let behind = derivatives.get(bin).unwrap_or(&none);
        for row in 0..ROWS {
            sums[row] += widths.floor + widths.rest[row] * width[row];
            sums_of_heights[row] += heights.floor + heights.rest[row] * height[row];
            let right = pick(is_last, bound, map.end(sums[row], left[row]));
            let top = pick(is_last, bound, map.end(sums_of_heights[row], bottom[row]));
            let here = is_first | (x[row] > left[row]);
            lefts[row] = pick(here, left[row], lefts[row]);
            rights[row] = pick(here, right, rights[row]);
            bottoms[row] = pick(here, bottom[row], bottoms[row]);
            tops[row] = pick(here, top, tops[row]);
            first[row] = pick(here, before[row], first[row]);
            last[row] = pick(here, behind[row], last[row]);
            begins[row] = pick(here, u32::from(is_first), begins[row]);
            ends[row] = pick(here, u32::from(is_last), ends[row]);
            (left[row], bottom[row]) = (right, top);
        }
    }
    for row in 0..ROWS {
        let first = pick(begins[row] == 1, 1.0, map.inner_derivative::<f32, E>(first[row]));
        let last = pick(ends[row] == 1, 1.0, map.inner_derivative::<f32, E>(last[row]));
        let bin = Bin::new((lefts[row], rights[row]), (bottoms[row], tops[row]), (first, last));
        let (z, log_slope) = bin.evaluate::<E>(x[row]);
        let is_inside = (x[row] > -bound) & (x[row] < bound);
        x[row] = pick(is_inside, z, x[row]);
        log_dets[row] += pick(is_inside, log_slope, 0.0);
    }
}

/// The bins' shares of the interval on one axis.
struct Shares {
    /// The exponentials of each bin, without the highest.
    parts: Vec<Lanes<f32>>,
    floor: f32,
    /// The share of a part of 1 above the floor.
    rest: Lanes<f32>,
}

impl Shares {
    #[inline(always)]
    fn new<E: Elementary<f32>, P: Parameterization>(map: &SplineView<P>, raw: &[Lanes<f32>]) -> Self {
        let mut highest = [-LARGEST; ROWS];
        let mut parts = Vec::with_capacity(raw.len());
        for raw in raw {
            let exponents = each(raw, |raw| map.exponent(raw));
            for row in 0..ROWS {
                highest[row] = pick(exponents[row] > highest[row], exponents[row], highest[row]);
            }
            parts.push(exponents);
        }
        let mut sums = [0.0; ROWS];
        for parts in &mut parts {
            for row in 0..ROWS {
                parts[row] = E::exp(parts[row] - highest[row]);
                sums[row] += parts[row];
            }
        }
        let (floor, _) = map.floor(1.0);
        Self { parts, floor, rest: each(&sums, |sum| map.floor(sum).1) }
    }
}
