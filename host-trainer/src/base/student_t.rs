//! Student's t distribution as a base: independent coordinates with trained degrees of freedom.

use std::f64::consts::PI;

use flowlet::base::student_t::{self, StudentTView};
use flowlet::schema::Record;
use flowlet::{Fixed, Libm};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Base, BaseKind, BaseView, TrainableBase, TrainedBase};
use crate::image::Image;
use crate::layers::slice;
use crate::model::architecture::{Elementary, forever, with_functions};
use crate::train::{Batch, Real};

/// `StudentT<D, E>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentT {
    /// D.
    pub features: usize,
    /// Elementary functions.
    pub elementary: Elementary,
}

impl BaseKind for StudentT {
    fn record(&self) -> &'static Record {
        let parameters = student_t::parameters(self.features, self.elementary.name());
        forever(student_t::record(forever(parameters), forever(student_t::fields(self.features))))
    }

    fn fits(&self, features: usize) -> bool {
        self.features == features
    }

    fn compute_with(&mut self, elementary: Elementary) {
        self.elementary = elementary;
    }

    fn is_independent(&self) -> bool {
        true
    }

    fn rust_type(&self) -> Option<String> {
        Some(format!("StudentT<{}{}>", self.features, self.elementary.suffix()))
    }

    fn view<'a>(&self, bytes: &mut &'a [u8]) -> Option<Box<dyn BaseView + 'a>> {
        let view = StudentTView { degrees: slice(bytes, self.features)?, constant: slice(bytes, self.features)? };
        Some(Box::new(Computed(view, self.elementary)))
    }
}

#[derive(Debug)]
struct Computed<'a>(StudentTView<'a>, Elementary);

impl BaseView for Computed<'_> {
    fn log_prob(&self, z: &[f32]) -> f32 {
        with_functions!(self.1, E => self.0.log_prob::<f32, E>(z))
    }

    fn log_prob_f64(&self, z: &[f64]) -> f64 {
        self.0.log_prob::<f64, Libm>(z)
    }

    fn log_prob_fixed(&self, z: &[Fixed]) -> Fixed {
        self.0.log_prob::<Fixed, Libm>(z)
    }

    fn terms(&self, z: &mut [f32], log_probs: &mut [f32]) {
        with_functions!(self.1, E => self.0.terms::<f32, E>(z, log_probs));
    }

    fn terms_fixed(&self, z: &mut [Fixed], log_probs: &mut [Fixed]) {
        self.0.terms::<Fixed, Libm>(z, log_probs);
    }

    fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        let mut z = vec![0.0; self.0.degrees.len()];
        with_functions!(self.1, E => self.0.sample::<f32, E, _>(rng, &mut z));
        z
    }
}

/// ln Γ((ν+1)/2) - ln Γ(ν/2) - ln(νπ)/2: what a model stores beside its degrees of freedom ν.
#[must_use]
pub fn constant(degrees: f64) -> f64 {
    libm::lgamma((degrees + 1.0) / 2.0) - libm::lgamma(degrees / 2.0) - (degrees * PI).ln() / 2.0
}

/// The derivative of [`constant`].
fn slope(degrees: f64) -> f64 {
    (digamma((degrees + 1.0) / 2.0) - digamma(degrees / 2.0) - 1.0 / degrees) / 2.0
}

/// ψ(x) = d ln Γ(x) / dx for positive x: ψ(x) = ψ(x + 1) - 1/x up to where the asymptotic series holds (Abramowitz, Stegun,
/// "Handbook of Mathematical Functions", 6.3.5 and 6.3.18).
fn digamma(mut x: f64) -> f64 {
    let mut sum = 0.0;
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square
        * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square * (1.0 / 240.0 - square / 132.0))));
    sum + x.ln() - 0.5 / x - series
}

/// Where a fit begins: not far from normal, and with a slope that moves it.
const FIRST_DEGREES: f64 = 10.0;

/// Bounds of the degrees of freedom: tails of half of Cauchy's at the most, and what nobody tells from normal.
const DEGREES: (f64, f64) = (0.5, 1e4);

/// A Student t base whose parameters are the logarithms of the degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainedStudentT {
    /// D.
    pub features: usize,
}

/// ν, within bounds, and whether it is inside of them.
fn degrees(log: f64) -> (f64, bool) {
    let degrees = log.exp();
    (degrees.clamp(DEGREES.0, DEGREES.1), DEGREES.0 < degrees && degrees < DEGREES.1)
}

impl<T: Real> TrainableBase<T> for TrainedStudentT {
    fn parameters(&self) -> usize {
        self.features
    }

    fn initialize(&self, parameters: &mut [T], _: &mut ChaCha8Rng) {
        parameters.fill(T::of(FIRST_DEGREES.ln()));
    }

    fn log_prob(&self, parameters: &[T], batch: &Batch<T>, log_prob: &mut [T]) {
        for (feature, log) in parameters.iter().enumerate() {
            let (degrees, _) = degrees(log.wide());
            let (constant, power, inverse) =
                (T::of(constant(degrees)), T::of((degrees + 1.0) / 2.0), T::of(1.0 / degrees));
            for (sum, z) in log_prob.iter_mut().zip(batch.feature(feature)) {
                *sum += constant - power * (*z * *z * inverse).ln_1p();
            }
        }
    }

    fn backward(&self, parameters: &[T], batch: &mut Batch<T>, weight: T, parameter_gradient: &mut [T]) {
        for (feature, (log, gradient)) in parameters.iter().zip(parameter_gradient).enumerate() {
            let (degrees, inside) = degrees(log.wide());
            let (half, ratio, inverse) = (T::of(0.5), T::of((degrees + 1.0) / degrees), T::of(1.0 / degrees));
            let rows = T::of(batch.rows() as f64);
            let mut by_degrees = rows * T::of(slope(degrees));
            for z in batch.feature_mut(feature) {
                let square = *z * *z * inverse;
                let damping = T::one() / (T::one() + square);
                by_degrees += half * (ratio * square * damping - square.ln_1p());
                // d ln p / dz = -(ν + 1) z / (ν + z²).
                *z *= -weight * ratio * damping;
            }
            if inside {
                *gradient += weight * by_degrees * T::of(degrees);
            }
        }
    }
}

impl TrainedBase for TrainedStudentT {
    fn base(&self) -> Base {
        StudentT { features: self.features, elementary: Elementary::Libm }.into()
    }

    fn write(&self, parameters: &[f32], image: &mut Image) {
        let degrees: Vec<f32> = parameters.iter().map(|log| degrees(f64::from(*log)).0 as f32).collect();
        image.f32s(&degrees);
        degrees.iter().for_each(|degrees| image.f32(constant(f64::from(*degrees)) as f32));
    }
}

#[cfg(test)]
mod tests {
    use super::{constant, digamma, slope};

    #[test]
    fn digamma_has_its_known_values() {
        const GAMMA: f64 = 0.577_215_664_901_532_9;
        for (x, expected) in [
            (1.0, -GAMMA),
            (2.0, 1.0 - GAMMA),
            (0.5, -GAMMA - 2.0 * 2.0_f64.ln()),
            (10.0, 2.251_752_589_066_721),
            (0.01, -100.560_885_457_868_6),
        ] {
            assert!((digamma(x) - expected).abs() < 1e-12 * expected.abs(), "{x}: {}", digamma(x));
        }
    }

    #[test]
    fn the_slope_is_that_of_the_constant() {
        for degrees in [0.5, 1.0, 3.0, 30.0, 1e4] {
            let step = 1e-5 * degrees;
            let measured = (constant(degrees + step) - constant(degrees - step)) / (2.0 * step);
            assert!((slope(degrees) - measured).abs() < 1e-6 * (1e-3 + measured.abs()), "{degrees}: {measured}");
        }
    }
}
