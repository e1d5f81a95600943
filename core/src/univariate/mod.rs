//! Monotone maps of one feature, one file each, whose parameters a net computes: what couplings and masked autoregressive
//! layers do to a feature once the conditioner has spoken.
//!
//! A map is invertible whatever its parameters, and total: it clamps what would leave the domain of its mathematics. So a
//! quantized conditioner moves the density and never breaks it. Numbers that are no net's outputs (bounds, floors) are
//! stored with the layer, once for all of its features.
//!
//! | map | outputs of the net for each feature | x = |
//! |---|---|---|
//! | [`Additive`] | 1 | z + t |
//! | [`Affine`] | 2 | z · s + t |
//! | [`Spline`] | 3K - 1 | the inverse of a monotone rational-quadratic spline of K bins |
//! | [`Sigmoidal`] | 3K | the inverse of a mixture of K sigmoids, unsquashed |

pub mod additive;
pub mod affine;
pub mod scale;
pub mod sigmoidal;
pub mod spline;

pub use additive::Additive;
pub use affine::Affine;
pub use sigmoidal::Sigmoidal;
pub use spline::Spline;

use crate::bijector::Turned;
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Parameter, Record, Value};

/// The most parameters of one feature that views hold: a spline's or a mixture's, of 32 parts.
pub const MOST_OUTPUTS: usize = 3 * MOST_PARTS;

/// The most bins of a spline, or sigmoids of a mixture, that views hold.
pub const MOST_PARTS: usize = 32;

/// What the compiler knows of a map.
pub trait Univariate {
    /// Name, shapes, stored fields and scratch.
    const RECORD: Record;
    /// Outputs of the net for each feature.
    const OUTPUTS: usize;

    /// Lends zeros in the place of one feature's parameters, to be gathered there.
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R;
}

/// The mathematics of a map in the scalar `T`: typed, or with shapes at run time.
pub trait Monotone<T: Real, E: Elementary<T>> {
    /// Data -> base with a feature's parameters, of which only the first ones, as many as there are outputs, are read.
    /// Returns z and ln dz/dx.
    ///
    /// Total: where parameters are missing it is the identity, and the logarithm is finite.
    fn inverse(&self, parameters: &[T], x: T) -> (T, T);

    /// Base -> data. Returns x and ln dx/dz, the opposite of what [`Monotone::inverse`] returns at x.
    fn forward(&self, parameters: &[T], z: T) -> (T, T);
}

/// How far apart the parameters of two features are in a net's outputs: one and two are next to each other, more begin at
/// a multiple of four.
#[must_use]
pub const fn stride(outputs: usize) -> usize {
    if outputs <= 2 { outputs } else { outputs.next_multiple_of(4) }
}

/// Bytes in which the parameters of one feature are gathered: up to two are used where they are.
#[must_use]
pub const fn gathered(outputs: usize) -> usize {
    if outputs <= 2 { 0 } else { size_of::<f32>() * (outputs + 1) }
}

/// Splits a net's outputs, which come in quads, into the parameters of one feature after the other.
#[derive(Debug)]
pub struct Gather<'a, T> {
    /// For each feature.
    outputs: usize,
    /// Where more than two are gathered.
    space: &'a mut [T],
    /// Quads of the feature so far.
    quads: usize,
}

impl<'a, T: Real> Gather<'a, T> {
    /// Gathers `outputs` for each feature in `space`, which has that many places or more.
    #[inline(always)]
    pub fn new(outputs: usize, space: &'a mut [T]) -> Self {
        Self { outputs, space, quads: 0 }
    }

    /// The next quad. Gives the parameters of every feature that has them all now to `feature`, in order.
    #[inline(always)]
    pub fn quad(&mut self, quad: [T; 4], mut feature: impl FnMut(&[T])) {
        match self.outputs {
            0 => {}
            1 => {
                for parameter in quad {
                    feature(&[parameter]);
                }
            }
            2 => {
                let [a, b, c, d] = quad;
                for parameters in [[a, b], [c, d]] {
                    feature(&parameters);
                }
            }
            outputs => {
                for (place, parameter) in self.space.iter_mut().skip(4 * self.quads).zip(quad) {
                    *place = parameter;
                }
                self.quads += 1;
                if self.quads >= outputs.div_ceil(4) {
                    self.quads = 0;
                    feature(self.space);
                }
            }
        }
    }
}

impl<T: Real, E: Elementary<T>, U: Monotone<T, E>> Monotone<T, E> for &U {
    #[inline(always)]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        U::inverse(self, parameters, x)
    }

    #[inline(always)]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        U::forward(self, parameters, z)
    }
}

impl<U: Univariate> Univariate for Turned<U> {
    const RECORD: Record =
        turned_record(&U::RECORD, &const { turned_parameters(&U::RECORD) }, &const { turned_fields(&U::RECORD) });
    const OUTPUTS: usize = U::OUTPUTS;

    #[inline(always)]
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R {
        U::lend(run)
    }
}

/// What describes a map with its directions swapped.
#[must_use]
pub const fn turned_parameters(map: &'static Record) -> [Parameter; 1] {
    [("map", Value::Record(map))]
}

/// What a map with its directions swapped stores.
#[must_use]
pub const fn turned_fields(map: &'static Record) -> [Field; 1] {
    [Field::Nested { times: 1, record: map }]
}

/// The record of a map with its directions swapped.
#[must_use]
pub const fn turned_record(map: &Record, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { scratch: map.scratch, ..Record::stored("Turned", parameters, fields) }
}

impl<T: Real, E: Elementary<T>, U: Monotone<T, E>> Monotone<T, E> for Turned<U> {
    #[inline(always)]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        self.0.forward(parameters, x)
    }

    #[inline(always)]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        self.0.inverse(parameters, z)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    extern crate std;
    use std::format;
    use std::vec::Vec;

    use super::{Gather, Monotone, Univariate, stride};
    use crate::elementary::Libm;
    use crate::schema::Field;

    /// Numbers between -1 and 1 that look like any.
    pub(crate) fn numbers(seed: u32, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(2_654_435_769) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            f64::from(state) / f64::from(1_u32 << 31) - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// Round trips, slopes against finite differences and monotony, in f64, with parameters up to `size`, at points up to
    /// `reach`.
    pub(crate) fn check<U>(map: &U, size: f64, reach: f64)
    where
        U: Univariate + Monotone<f64, Libm>,
    {
        let name = format!("{:?}", U::RECORD.name);
        for seed in 1..60 {
            let parameters: Vec<f64> = numbers(seed, U::OUTPUTS).iter().map(|number| number * size).collect();
            let mut last = None;
            let mut points = numbers(seed + 1000, 40);
            points.sort_by(f64::total_cmp);
            for x in points.iter().map(|x| x * reach) {
                let (z, log_slope) = map.inverse(&parameters, x);
                let (back, opposite) = map.forward(&parameters, z);
                // What rounding z costs, divided by the slope.
                let bound = 1e-12 * (1.0 + x.abs() + (1.0 + z.abs()) * libm::exp(-log_slope));
                assert!((back - x).abs() < bound, "{name}: {x} came back as {back} by {z}, {parameters:?}");
                // Along the slope's own change over such a distance.
                let bound = 1e-9 * (1.0 + log_slope.abs());
                assert!((log_slope + opposite).abs() < bound, "{name}: {log_slope} and {opposite} at {x}");

                let step = 1e-6;
                let (up, down) = (map.inverse(&parameters, x + step).0, map.inverse(&parameters, x - step).0);
                let numerical = libm::log((up - down) / (2.0 * step));
                assert!((numerical - log_slope).abs() < 1e-3, "{name}: {log_slope}, but {numerical} at {x}");
                assert!(last.is_none_or(|last| z > last), "{name}: {z} after {last:?}");
                last = Some(z);

                let (x, log_slope) = map.forward(&parameters, z);
                let (up, down) = (map.forward(&parameters, z + step).0, map.forward(&parameters, z - step).0);
                let numerical = libm::log((up - down) / (2.0 * step));
                assert!((numerical - log_slope).abs() < 1e-2, "{name}: forward {log_slope}, but {numerical} at {x}");
            }
        }
    }

    /// With hostile parameters in f32: finite for finite values of the size of readings, finite logarithms of slopes for
    /// any, and no step down but for rounding.
    pub(crate) fn check_hostile<U>(map: &U, reach: f32)
    where
        U: Univariate + Monotone<f32, Libm>,
    {
        let extremes =
            [0.0, -0.0, 1e-40, 1.0, -1.0, 30.0, -30.0, 1e4, -1e4, 1e30, -1e30, f32::MAX, f32::MIN, f32::INFINITY];
        let extremes = extremes.iter().chain(&[f32::NEG_INFINITY, f32::NAN]);
        let extremes: Vec<f32> = extremes.copied().collect();
        for seed in 1..80 {
            let pick = |number: &f64| extremes[(number.abs() * 4096.0) as usize % (2 + seed as usize % 15)];
            let parameters: Vec<f32> = numbers(seed, U::OUTPUTS).iter().map(pick).collect();
            for direction in [U::inverse, U::forward] {
                let mut last = f32::NEG_INFINITY;
                for step in -200..=200 {
                    let at = reach * step as f32 / 200.0;
                    let (value, log_slope) = direction(map, &parameters, at);
                    assert!(value.is_finite() || !parameters.iter().all(|value| value.is_finite()), "{value} at {at}");
                    assert!(log_slope.is_finite(), "{log_slope} at {at}, {parameters:?}");
                    if value.is_finite() {
                        let rounding = 2e-6 * (1.0 + value.abs() + reach);
                        assert!(value >= last - rounding, "{value} after {last} at {at}, {parameters:?}");
                        last = last.max(value);
                    }
                }
                for at in &extremes {
                    let (_, log_slope) = direction(map, &parameters, *at);
                    assert!(log_slope.is_finite(), "{log_slope} at {at}, {parameters:?}");
                }
            }
        }
    }

    /// Bytes of the fields.
    pub(crate) fn check_layout<U: Univariate>() {
        assert_eq!(U::RECORD.size(), size_of::<U>());
        let nested = |field: &Field| match field {
            Field::Nested { record, .. } => record.size(),
            Field::Data { format, count, .. } => format.size() * count,
            Field::Flows { .. } => unreachable!("a map has no flows"),
        };
        assert_eq!(U::RECORD.fields.iter().map(nested).sum::<usize>(), size_of::<U>());
        assert!(U::lend(|space: &mut [f32]| space.len() >= U::OUTPUTS));
    }

    #[test]
    fn outputs_are_gathered_by_stride() {
        for outputs in 1..=12 {
            let stride = stride(outputs);
            let features = 8;
            let quads = (stride * features).div_ceil(4);
            let mut space = [-1; 12].map(f64::from);
            let mut gather = Gather::new(outputs, &mut space);
            let mut found = Vec::new();
            for quad in 0..quads {
                let values = core::array::from_fn(|place| (4 * quad + place) as f64);
                gather.quad(values, |parameters| found.push(parameters[..outputs].to_vec()));
            }
            for (feature, parameters) in found.iter().enumerate().take(features) {
                let expected: Vec<f64> = (0..outputs).map(|output| (feature * stride + output) as f64).collect();
                assert_eq!(*parameters, expected);
            }
            assert!(found.len() >= features);
        }
    }
}
