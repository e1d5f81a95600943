//! Fixed maps of single features, for sensors whose readings have a sign or a range: what a normal distribution, which
//! ranges over all numbers, cannot say of them.
//!
//! | map | z = | readings | for |
//! |---|---|---|---|
//! | [`Log`] | ln x | x > 0 | what varies by factors: vibration, concentrations |
//! | [`InverseSoftplus`] | s ln(e^(x/s) - 1) | x > 0 | what varies by factors near 0 and by amounts above s |
//! | [`Logit`] | ln((x - low) / (high - x)) | low < x < high | duty cycles, humidity, valve positions |
//! | [`Atanh`] | atanh of x scaled to (-1, 1) | low < x < high | the same, with half the slope |
//! | [`Power`] | ∛x, or another odd root | any | heavy tails on both sides |
//!
//! Each feature stores its own map, which may be to leave it as it is, so that a flow has some positive, some bounded and
//! many other features. These layers come first, where the readings still have the sensor's units; a
//! [`Standardize`](crate::Standardize) behind them takes what they give.
//!
//! **Outside of the readings of a map the density is 0**: the log-determinant is -∞, which
//! [`Flow::log_prob`](crate::Flow::log_prob) reports as [`ReadingError::OutsideSupport`](crate::ReadingError): a typed case,
//! and not one very anomalous reading among others, because a sensor that leaves its range is broken or another one.

mod atanh;
mod inverse_softplus;
mod log;
mod logit;
mod power;

pub use atanh::Atanh;
pub use inverse_softplus::InverseSoftplus;
pub use log::Log;
pub use logit::Logit;
pub use power::Power;

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Mixing, Parameter, Record, Schema, Value};

/// A map of one feature with the values that it stores for it. The first word of them is 0 if, and only if, the map leaves
/// the feature as it is.
pub trait Map {
    /// Name and stored fields of one feature.
    const RECORD: Record;

    /// The feature is mapped.
    fn is_selected(&self) -> bool;

    /// Data -> base: z and ln dz/dx; `None` outside of the support. The logarithm is +∞ where the density is singular.
    ///
    /// Total, and otherwise finite: what has no finite value saturates.
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)>;

    /// Base -> data: x, which is in the support, and ln dx/dz.
    ///
    /// Total, and finite but for the logarithm where the map is flat.
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T);
}

/// One map for each feature, all of one kind.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Elementwise<const D: usize, M, E = Libm> {
    /// The features' maps.
    pub maps: [M; D],
    elementary: PhantomData<E>,
}

impl<const D: usize, M, E> Elementwise<D, M, E> {
    /// These maps, in the order of the features.
    #[must_use]
    pub const fn new(maps: [M; D]) -> Self {
        Self { maps, elementary: PhantomData }
    }
}

impl<const D: usize, M: Map, E: ElementaryName> Layer for Elementwise<D, M, E> {
    const SCHEMA: Schema = Schema::Layer(
        &const { record(&M::RECORD, &const { parameters(D, &M::RECORD, E::NAME) }, &const { fields(D, &M::RECORD) }) },
    );
}

/// What describes the layer.
#[must_use]
pub const fn parameters(features: usize, map: &'static Record, elementary: &'static str) -> [Parameter; 3] {
    [("features", Value::Number(features)), ("map", Value::Record(map)), ("elementary", Value::Word(elementary))]
}

/// What the layer stores.
#[must_use]
pub const fn fields(features: usize, map: &'static Record) -> [Field; 1] {
    [Field::Nested { times: features, record: map }]
}

/// The layer's record.
#[must_use]
pub const fn record(map: &Record, parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record { mixing: Mixing::Selected { stride: map.size() }, ..Record::stored("Elementwise", parameters, fields) }
}

/// Data -> base, in place; returns the log-determinant, summed in the order of the features: -∞ when one is outside of the
/// support of its map, and is then left as it is.
#[inline]
pub fn inverse<M: Map, T: Real, E: Elementary<T>>(maps: &[M], x: &mut [T]) -> T {
    let mut log_det = T::ZERO;
    for (x, map) in x.iter_mut().zip(maps).filter(|(_, map)| map.is_selected()) {
        let log_slope = match map.inverse::<T, E>(*x) {
            Some((z, log_slope)) => {
                *x = z;
                log_slope
            }
            None => T::from_f32(f32::NEG_INFINITY),
        };
        log_det = log_det + log_slope;
    }
    log_det
}

/// Data -> base, in place; adds each feature's log-slope, of which that of one outside of its map's support is -∞.
#[inline]
pub fn inverse_slopes<M: Map, T: Real, E: Elementary<T>>(maps: &[M], x: &mut [T], log_slopes: &mut [T]) {
    for ((x, map), sum) in x.iter_mut().zip(maps).zip(log_slopes) {
        *sum = *sum + inverse::<M, T, E>(core::slice::from_ref(map), core::slice::from_mut(x));
    }
}

/// Base -> data, in place; returns the log-determinant, summed in the order of the features.
#[inline]
pub fn forward<M: Map, T: Real, E: Elementary<T>>(maps: &[M], z: &mut [T]) -> T {
    let mut log_det = T::ZERO;
    for (z, map) in z.iter_mut().zip(maps).filter(|(_, map)| map.is_selected()) {
        let (x, log_slope) = map.forward::<T, E>(*z);
        *z = x;
        log_det = log_det + log_slope;
    }
    log_det
}

impl<M: Map, E: Elementary<T>, const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Elementwise<D, M, E> {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        inverse::<M, T, E>(&self.maps, x)
    }
}

impl<M: Map, E: Elementary<T>, const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Elementwise<D, M, E> {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], _: &[T; C]) {
        inverse_slopes::<M, T, E>(&self.maps, x, log_slopes);
    }
}

impl<M: Map, E: Elementary<T>, const D: usize, const C: usize, T: Real> Forward<D, C, T> for Elementwise<D, M, E> {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        forward::<M, T, E>(&self.maps, z)
    }
}

/// The highest f32, above which maps saturate in either scalar.
#[inline]
fn highest<T: Real>() -> T {
    T::from_f32(f32::MAX)
}

/// A value that is not below 0, neither infinite nor 0.
#[inline]
fn positive<T: Real>(value: T) -> T {
    let smallest = T::from_f32(f32::from_bits(1));
    if value >= highest() {
        highest()
    } else if value > smallest {
        value
    } else {
        smallest
    }
}

#[cfg(test)]
mod tests {
    use super::{Atanh, Elementwise, InverseSoftplus, Log, Logit, Map, Power};
    use crate::base::StandardNormal;
    use crate::bijector::{Forward, Inverse};
    use crate::elementary::Libm;
    use crate::flow::{Flow, ReadingError};

    const EXTREMES: [f32; 17] = [
        0.0,
        -0.0,
        1e-45,
        -1e-45,
        1e-38,
        1e-7,
        0.999_999_94,
        1.0,
        -1.0,
        3.0,
        88.0,
        -104.0,
        1e4,
        1e30,
        -1e30,
        f32::MAX,
        f32::MIN,
    ];

    /// All values in the support, and finite but at a singularity; forward into the support, even from no number.
    fn check(map: &impl Map) {
        for x in EXTREMES {
            if let Some((z, log_slope)) = map.inverse::<f32, Libm>(x) {
                assert!(z.is_finite() && (log_slope.is_finite() || x == 0.0), "{x} became {z}, {log_slope}");
            }
        }
        for z in EXTREMES.into_iter().chain([f32::INFINITY, f32::NEG_INFINITY, f32::NAN]) {
            let (x, log_slope) = map.forward::<f32, Libm>(z);
            assert!(x.is_finite() && (log_slope.is_finite() || z == 0.0), "{z} became {x}, {log_slope}");
            assert!(map.inverse::<f32, Libm>(x).is_some(), "{z} became {x}, which is outside");
        }
    }

    #[test]
    fn finite_values_stay_finite_and_samples_stay_in_the_support() {
        check(&Log { selected: 1 });
        for scale in [1e-40, 1e-3, 1.0, 1e30, f32::MAX] {
            check(&InverseSoftplus { scale });
        }
        for bounds in [[0.0, 1.0], [-1e-45, 1e-45], [1000.0, 1000.001], [-1e38, 1e38], [-1.0, -1e-40], [0.0, f32::MAX]]
        {
            check(&Logit { selected: 1, bounds });
            check(&Atanh { selected: 1, bounds });
        }
        for exponent in [3, 5, 15] {
            check(&Power { exponent });
        }
        // What no loader accepts.
        for exponent in [1, 2, u32::MAX] {
            check(&Power { exponent });
        }
    }

    /// Round trips in f64 and f32 where neither saturates, and single precision beside double.
    fn check_round_trips(map: &impl Map, digits: f64) {
        for step in -80..=80 {
            let z = f64::from(step) / 10.0 + 0.05;
            let (x, log_slope) = map.forward::<f64, Libm>(z);
            let (back, opposite) = map.inverse::<f64, Libm>(x).expect("in the support");
            assert!((back - z).abs() < 1e-9 * (1.0 + z.abs()), "{z} came back as {back} by {x}");
            assert!((log_slope + opposite).abs() < 1e-9 * (1.0 + log_slope.abs()), "{log_slope} and {opposite}");
            let (single, log_slope_single) = map.forward::<f32, Libm>(z as f32);
            let close = 1e-5 * (1.0 + log_slope.abs());
            assert!((f64::from(single) - x).abs() < digits * x.abs().max(1e-30), "{z}: {single}, but {x}");
            assert!(
                (f64::from(log_slope_single) - log_slope).abs() < close,
                "{z}: {log_slope_single}, but {log_slope}"
            );
            let (double, log_slope) = map.inverse::<f64, Libm>(f64::from(single)).expect("in the support");
            let (single, log_slope_single) = map.inverse::<f32, Libm>(single).expect("in the support");
            assert!((f64::from(single) - double).abs() < 1e-5 * (1.0 + double.abs()), "{z}: {single}, but {double}");
            assert!(
                (f64::from(log_slope_single) - log_slope).abs() < close,
                "{z}: {log_slope_single}, but {log_slope}"
            );
        }
    }

    #[test]
    fn maps_are_undone_and_single_precision_is_close_to_double() {
        check_round_trips(&Log { selected: 1 }, 2e-6);
        check_round_trips(&InverseSoftplus { scale: 0.5 }, 4e-6);
        check_round_trips(&Logit { selected: 1, bounds: [0.0, 4.0] }, 4e-6);
        check_round_trips(&Atanh { selected: 1, bounds: [0.0, 1.0] }, 4e-6);
        check_round_trips(&Power { exponent: 5 }, 4e-6);
    }

    #[test]
    fn equals_what_the_functions_are_called() {
        let close = |found: Option<(f64, f64)>, z: f64, slope: f64| {
            let (value, log_slope) = found.expect("in the support");
            assert!((value - z).abs() < 1e-12 && (log_slope - libm::log(slope)).abs() < 1e-7, "{value} for {z}");
        };
        for x in [0.1, 0.5, 0.7, 0.95] {
            close(Log { selected: 1 }.inverse::<f64, Libm>(x), libm::log(x), 1.0 / x);
            let z = libm::log(libm::expm1(x));
            close(InverseSoftplus { scale: 1.0 }.inverse::<f64, Libm>(x), z, 1.0 + libm::exp(-z));
            let unit = [0.0, 1.0];
            let logit = Logit { selected: 1, bounds: unit };
            close(logit.inverse::<f64, Libm>(x), libm::log(x / (1.0 - x)), 1.0 / (x * (1.0 - x)));
            let atanh = Atanh { selected: 1, bounds: [-1.0, 1.0] };
            close(atanh.inverse::<f64, Libm>(x), libm::atanh(x), 1.0 / (1.0 - x * x));
            let z = libm::pow(x, 1.0 / 7.0);
            close(Power { exponent: 7 }.inverse::<f64, Libm>(x), z, z / (7.0 * x));
            close(Power { exponent: 7 }.inverse::<f64, Libm>(-x), -z, z / (7.0 * x));
        }
    }

    #[test]
    fn features_that_are_not_selected_pass() {
        let layer = Elementwise::<3, Log>::new([Log { selected: 0 }, Log { selected: 1 }, Log { selected: 0 }]);
        let mut x = [-5.0_f32, 1.0, f32::NAN];
        let log_det: f32 = layer.inverse(&mut x, &[]);
        assert!(x[0] == -5.0 && x[1] == 0.0 && x[2].is_nan() && log_det == 0.0, "{x:?}, {log_det}");
        let mut z = [-5.0_f32, 1.0, 0.25];
        let log_det: f32 = layer.forward(&mut z, &[]);
        assert_eq!((z[0], z[2], log_det), (-5.0, 0.25, 1.0));
    }

    /// Density and latent at x: all refused, or all numbers.
    fn outside<M: Map>(map: M, x: f32) -> bool {
        let flow: Flow<1, Elementwise<1, M>> = Flow::new(Elementwise::new([map]), StandardNormal::new());
        let (log_prob, latent) = (flow.log_prob(&[x], &[]), flow.latent(&[x], &[]));
        assert_eq!(log_prob.err(), latent.err());
        log_prob == Err(ReadingError::OutsideSupport)
    }

    #[test]
    fn readings_outside_of_the_support_are_a_case_of_their_own() {
        for (x, expected) in
            [(0.0, true), (-0.0, true), (-3.0, true), (f32::MIN, true), (1e-45, false), (f32::MAX, false)]
        {
            assert_eq!(outside(Log { selected: 1 }, x), expected, "{x}");
            assert_eq!(outside(InverseSoftplus { scale: 2.0 }, x), expected, "{x}");
            assert!(!outside(Log { selected: 0 }, x) && !outside(InverseSoftplus { scale: 0.0 }, x));
        }
        let bounds = [-2.0, 3.0];
        for (x, expected) in [
            (-2.0, true),
            ((-2.0_f32).next_up(), false),
            (0.0, false),
            (3.0_f32.next_down(), false),
            (3.0, true),
            (1e30, true),
        ] {
            assert_eq!(outside(Logit { selected: 1, bounds }, x), expected, "{x}");
            assert_eq!(outside(Atanh { selected: 1, bounds }, x), expected, "{x}");
        }
        // A singularity is no such case.
        let flow: Flow<1, Elementwise<1, Power>> =
            Flow::new(Elementwise::new([Power { exponent: 5 }]), StandardNormal::new());
        assert_eq!(flow.log_prob(&[0.0], &[]), Err(ReadingError::Singular));
        assert_eq!(flow.latent(&[0.0], &[]), Ok([0.0]));
    }
}
