//! Scale and shift, "Density estimation using Real NVP" (Dinh, Sohl-Dickstein, Bengio 2017), equations 7 and 8.

use super::{TrainMap, Turned, clamp};
use crate::train::{Real, vectorize};

/// z = (x - t) / s, log |dz/dx| = -ln s; the parameters are the shift t and the u of the scale s(u).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// From u to s.
    pub scale: Scale,
}

/// How a scale comes from an output of a net.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// ln s = u / (1 + |u| / bound).
    Softsign {
        /// 1 / bound of the log-scales.
        inverse_bound: f32,
    },
    /// ln s = u, clamped to ±80.
    Exp,
    /// s = ln(1 + e^u) + floor.
    Softplus {
        /// The smallest scale.
        floor: f32,
    },
    /// s = sigmoid(u + 2) + floor.
    Sigmoid {
        /// The smallest scale.
        floor: f32,
    },
    /// s = 1 / sigmoid(u + 2), u + 2 clamped to ±80.
    InverseSigmoid,
}

impl Scale {
    /// Log-scales within ±`bound`.
    #[must_use]
    pub fn softsign(bound: f32) -> Self {
        Self::Softsign { inverse_bound: 1.0 / bound }
    }
}

/// Where log-scales are clamped, as in the core.
const LIMIT: f64 = 80.0;

/// What a row loop needs of a scale: ln s, d ln s / du, and the factor: s if `TURNED`, else 1 / s.
trait ScaleMap<T: Real>: Copy {
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T);
}

/// The stored 1 / bound.
#[derive(Clone, Copy)]
struct Softsign<T>(T);

impl<T: Real> ScaleMap<T> for Softsign<T> {
    #[inline(always)]
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T) {
        // 1 / (1 + |u| / bound): the clip's slope is its square.
        let damping = T::one() / (T::one() + raw.abs() * self.0);
        let log_scale = raw * damping;
        (log_scale, damping * damping, (if TURNED { log_scale } else { -log_scale }).fast_exp())
    }
}

#[derive(Clone, Copy)]
struct Exp;

impl<T: Real> ScaleMap<T> for Exp {
    #[inline(always)]
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T) {
        let (log_scale, slope) = clamp(raw, T::of(LIMIT));
        (log_scale, slope, (if TURNED { log_scale } else { -log_scale }).fast_exp())
    }
}

/// The floor.
#[derive(Clone, Copy)]
struct Softplus<T>(T);

impl<T: Real> ScaleMap<T> for Softplus<T> {
    #[inline(always)]
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T) {
        let scale = raw.fast_softplus() + self.0;
        let inverse = T::one() / scale;
        (scale.fast_ln(), raw.fast_sigmoid() * inverse, if TURNED { scale } else { inverse })
    }
}

/// The floor.
#[derive(Clone, Copy)]
struct Sigmoid<T>(T);

impl<T: Real> ScaleMap<T> for Sigmoid<T> {
    #[inline(always)]
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T) {
        let raw = raw + T::of(2.0);
        // Of a sigmoid and of 1 minus it, the one that is not cancelled.
        let (sigmoid, rest) = (raw.fast_sigmoid(), (-raw).fast_sigmoid());
        let scale = sigmoid + self.0;
        let inverse = T::one() / scale;
        let slope = sigmoid * rest * inverse;
        (scale.fast_ln(), slope, if TURNED { scale } else { inverse })
    }
}

#[derive(Clone, Copy)]
struct InverseSigmoid;

impl<T: Real> ScaleMap<T> for InverseSigmoid {
    #[inline(always)]
    fn at<const TURNED: bool>(self, raw: T) -> (T, T, T) {
        let (raw, slope) = clamp(raw + T::of(2.0), T::of(LIMIT));
        let sigmoid = raw.fast_sigmoid();
        let factor = if TURNED { T::one() / sigmoid } else { sigmoid };
        ((-raw).fast_softplus(), -slope * (-raw).fast_sigmoid(), factor)
    }
}

/// Kept of a row: the slope of the log-scale, the factor of x, and what the factor made of x.
const KEPT: usize = 3;

impl Affine {
    fn start(self) -> Vec<f64> {
        let raw = match self.scale {
            // ln(1 + e^u) = 1 - floor.
            Scale::Softplus { floor } => (1.0 - f64::from(floor)).exp_m1().ln(),
            // The sigmoids are at 0.88 then: where they are at 1, they have no slope left to train with.
            _ => 0.0,
        };
        vec![0.0, raw]
    }

    fn inverse<T: Real, const TURNED: bool>(self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
        let of = |value: f32| T::of(f64::from(value));
        match self.scale {
            Scale::Softsign { inverse_bound } => {
                let softsign = Softsign(of(inverse_bound));
                vectorize(
                    #[inline(always)]
                    || inverse::<T, _, TURNED>(softsign, parameters, x, log_det, kept),
                );
            }
            Scale::Exp => vectorize(
                #[inline(always)]
                || inverse::<T, _, TURNED>(Exp, parameters, x, log_det, kept),
            ),
            Scale::Softplus { floor } => vectorize(
                #[inline(always)]
                || inverse::<T, _, TURNED>(Softplus(of(floor)), parameters, x, log_det, kept),
            ),
            Scale::Sigmoid { floor } => vectorize(
                #[inline(always)]
                || inverse::<T, _, TURNED>(Sigmoid(of(floor)), parameters, x, log_det, kept),
            ),
            Scale::InverseSigmoid => vectorize(
                #[inline(always)]
                || inverse::<T, _, TURNED>(InverseSigmoid, parameters, x, log_det, kept),
            ),
        }
    }
}

#[inline(always)]
fn inverse<T: Real, S: ScaleMap<T>, const TURNED: bool>(
    scale: S,
    parameters: &[T],
    x: &mut [T],
    log_det: &mut [T],
    kept: &mut [T],
) {
    let rows = x.len();
    let (shift, raw) = parameters.split_at(rows);
    let (slope, kept) = kept.split_at_mut(rows);
    let (factor, product) = kept.split_at_mut(rows);
    let (raw, product, log_det) = (&raw[..rows], &mut product[..rows], &mut log_det[..rows]);
    for row in 0..rows {
        let (log_scale, by_raw, by_x) = scale.at::<TURNED>(raw[row]);
        slope[row] = by_raw;
        factor[row] = by_x;
        if TURNED {
            log_det[row] += log_scale;
            product[row] = x[row] * by_x;
            x[row] = product[row] + shift[row];
        } else {
            log_det[row] -= log_scale;
            product[row] = (x[row] - shift[row]) * by_x;
            x[row] = product[row];
        }
    }
}

#[inline(always)]
fn backward<T: Real, const TURNED: bool>(
    kept: &[T],
    gradient: &mut [T],
    log_det_gradient: &[T],
    parameter_gradient: &mut [T],
) {
    let rows = gradient.len();
    let (slope, kept) = kept.split_at(rows);
    let (factor, product) = kept.split_at(rows);
    let (shift, raw) = parameter_gradient.split_at_mut(rows);
    let (product, log_det_gradient, raw) = (&product[..rows], &log_det_gradient[..rows], &mut raw[..rows]);
    for row in 0..rows {
        let by_log_scale = gradient[row] * product[row] + log_det_gradient[row];
        let by_x = gradient[row] * factor[row];
        if TURNED {
            raw[row] = by_log_scale * slope[row];
            shift[row] = gradient[row];
        } else {
            raw[row] = -by_log_scale * slope[row];
            shift[row] = -by_x;
        }
        gradient[row] = by_x;
    }
}

macro_rules! train_map {
    ($(#[$docs:meta])* $map:ty, $turned:literal, $of:expr) => {
        $(#[$docs])*
        impl<T: Real> TrainMap<T> for $map {
            fn outputs(&self) -> usize {
                2
            }

            fn kept(&self) -> usize {
                KEPT
            }

            fn start(&self) -> Vec<f64> {
                $of(self).start()
            }

            fn inverse(&self, parameters: &[T], x: &mut [T], log_det: &mut [T], kept: &mut [T]) {
                $of(self).inverse::<T, $turned>(parameters, x, log_det, kept);
            }

            fn backward(&self, kept: &[T], gradient: &mut [T], log_det_gradient: &[T], parameter_gradient: &mut [T]) {
                vectorize(
                    #[inline(always)]
                    || backward::<T, $turned>(kept, gradient, log_det_gradient, parameter_gradient),
                );
            }
        }
    };
}

train_map!(Affine, false, |map: &Affine| *map);
train_map!(
    /// z = x s + t, log |dz/dx| = ln s.
    Turned<Affine>,
    true,
    |map: &Turned<Affine>| map.0
);
