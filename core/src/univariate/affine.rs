//! A shift and a scale: x = z · s + t. Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, equation 7;
//! Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", 2017, equation 4.
//!
//! - base -> data: x = z · s + t, ln dx/dz = ln s
//! - data -> base: z = (x - t) / s, ln dz/dx = -ln s
//!
//! How s comes from the net's output is a type of its own (see [`scale`](super::scale)). Libraries that scale on the way
//! to the base, z = x · s + t, have `Turned<Affine<S>>`.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::scale::{Scale, Softsign};
use super::{Monotone, Univariate};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Parameter, Record, Value};

/// x = z · s(u) + t, with the outputs t and u of the net, in this order.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Affine<S = Softsign> {
    /// From the output u to the scale s.
    pub scale: S,
}

/// What describes the map.
#[must_use]
pub const fn parameters(scale: &'static Record) -> [Parameter; 1] {
    [("scale", Value::Word(scale.name))]
}

/// What the map stores.
#[must_use]
pub const fn fields(scale: &'static Record) -> [Field; 1] {
    [Field::Nested { times: 1, record: scale }]
}

/// The map's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record::stored("Affine", parameters, fields)
}

impl<S: Scale> Univariate for Affine<S> {
    const RECORD: Record = record(&const { parameters(&S::RECORD) }, &const { fields(&S::RECORD) });
    const OUTPUTS: usize = 2;

    #[inline(always)]
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R {
        run(&mut [T::ZERO; 2])
    }
}

impl<T: Real, E: Elementary<T>, S: Scale> Monotone<T, E> for Affine<S> {
    #[inline(always)]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        let Some([shift, raw]) = parameters.first_chunk() else { return (x, T::ZERO) };
        let (z, log_scale) = self.scale.divide::<T, E>(x - *shift, *raw);
        (z, -log_scale)
    }

    #[inline(always)]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        let Some([shift, raw]) = parameters.first_chunk() else { return (z, T::ZERO) };
        let (scaled, log_scale) = self.scale.multiply::<T, E>(z, *raw);
        (scaled + *shift, log_scale)
    }
}

#[cfg(test)]
mod tests {
    use super::super::scale::{Exp, InverseSigmoid, Scale, Sigmoid, Softplus, Softsign};
    use super::Affine;
    use crate::Turned;
    use crate::elementary::Libm;
    use crate::univariate::Monotone;
    use crate::univariate::tests::{check, check_layout};

    fn laws<S: Scale + Copy>(scale: S) {
        check(&Affine { scale }, 3.0, 5.0);
        check(&Turned(Affine { scale }), 3.0, 5.0);
        check_layout::<Affine<S>>();
        check_layout::<Turned<Affine<S>>>();
    }

    #[test]
    fn every_scale_obeys_the_laws() {
        laws(Softsign { inverse_bound: 0.5 });
        laws(Exp);
        laws(Softplus { floor: 1e-3 });
        laws(Sigmoid { floor: 1e-3 });
        laws(InverseSigmoid);
    }

    #[test]
    fn hostile_outputs_leave_scales_finite() {
        // A net's infinities would meet in the shift: only the scale is at stake here.
        for raw in [1e30, -1e30, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-40, 90.0, -90.0] {
            fn finite(map: &impl Monotone<f32, Libm>, raw: f32) {
                for (value, log_slope) in [map.inverse(&[0.0, raw], 1.0), map.forward(&[0.0, raw], 1.0)] {
                    assert!(value.is_finite() && value >= 0.0 && log_slope.is_finite(), "{raw}: {value}, {log_slope}");
                }
            }
            finite(&Affine { scale: Exp }, raw);
            finite(&Affine { scale: Softplus { floor: 1e-3 } }, raw);
            finite(&Affine { scale: Sigmoid { floor: 1e-3 } }, raw);
            finite(&Affine { scale: InverseSigmoid }, raw);
        }
    }

    #[test]
    fn scales_are_those_of_other_libraries() {
        fn scale(map: impl Monotone<f64, Libm>, raw: f64) -> f64 {
            let (value, log_scale) = map.forward(&[0.0, raw], 1.0);
            assert!((libm::log(value) - log_scale).abs() < 1e-12);
            value
        }
        for raw in [-40.0, -3.0, -1.0, 0.0, 0.3, 2.0, 30.0] {
            let sigmoid = 1.0 / (1.0 + libm::exp(-(raw + 2.0)));
            let floor = f64::from(1e-3_f32);
            let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a}, but {b}");
            close(scale(Affine { scale: Exp }, raw), libm::exp(raw));
            close(scale(Affine { scale: Softplus { floor: 1e-3 } }, raw), libm::log1p(libm::exp(raw)) + floor);
            close(scale(Affine { scale: Sigmoid { floor: 1e-3 } }, raw), sigmoid + floor);
            close(scale(Affine { scale: InverseSigmoid }, raw), 1.0 / sigmoid);
            // zuko: a / (1 + |a| / L).
            let clipped = raw / (1.0 + raw.abs() / 4.0);
            close(scale(Affine { scale: Softsign { inverse_bound: 0.25 } }, raw), libm::exp(clipped));
        }
    }
}
