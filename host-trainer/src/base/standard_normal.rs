//! The standard normal base: independent coordinates of mean 0 and variance 1.

use flowlet::Fixed;
use flowlet::base::{
    HALF_LN_TAU, standard_normal, standard_normal_deviate, standard_normal_log_prob, standard_normal_terms,
};
use flowlet::schema::Record;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Base, BaseKind, BaseView, TrainableBase, TrainedBase};
use crate::image::Image;
use crate::model::architecture::{Elementary, forever, with_functions};
use crate::net::rows::{Lanes, ROWS};
use crate::train::{Batch, LN_2PI, Real, vectorize};

/// `StandardNormal<D, E>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandardNormal {
    /// D.
    pub features: usize,
    /// Elementary functions of its sampling.
    pub elementary: Elementary,
}

impl BaseKind for StandardNormal {
    fn record(&self) -> &'static Record {
        let parameters = standard_normal::parameters(self.features, self.elementary.name());
        forever(standard_normal::record(forever(parameters)))
    }

    fn fits(&self, features: usize) -> bool {
        self.features == features
    }

    fn is_independent(&self) -> bool {
        true
    }

    fn rust_type(&self) -> Option<String> {
        (self.elementary != Elementary::Libm)
            .then(|| format!("StandardNormal<{}, {}>", self.features, self.elementary.name()))
    }

    fn view<'a>(&self, _: &mut &'a [u8]) -> Option<Box<dyn BaseView + 'a>> {
        Some(Box::new(*self))
    }
}

impl BaseView for StandardNormal {
    fn log_prob(&self, z: &[f32]) -> f32 {
        standard_normal_log_prob(z)
    }

    fn log_prob_rows(&self, z: &[Lanes<f32>]) -> Lanes<f32> {
        let mut squares = [0.0; ROWS];
        vectorize(
            #[inline(always)]
            || {
                for z in z {
                    for row in 0..ROWS {
                        squares[row] += z[row] * z[row];
                    }
                }
            },
        );
        let constant = z.iter().fold(0.0, |constant, _| constant + HALF_LN_TAU);
        squares.map(|squares| -0.5 * squares - constant)
    }

    fn log_prob_f64(&self, z: &[f64]) -> f64 {
        standard_normal_log_prob(z)
    }

    fn log_prob_fixed(&self, z: &[Fixed]) -> Fixed {
        standard_normal_log_prob(z)
    }

    fn terms(&self, z: &mut [f32], log_probs: &mut [f32]) {
        standard_normal_terms(z, log_probs);
    }

    fn terms_fixed(&self, z: &mut [Fixed], log_probs: &mut [Fixed]) {
        standard_normal_terms(z, log_probs);
    }

    fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        let deviate = with_functions!(self.elementary, E => standard_normal_deviate::<f32, E>);
        (0..self.features).map(|_| deviate(rng.next_u32())).collect()
    }
}

/// The standard normal base of a flow that is trained. It has nothing to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainedStandardNormal {
    /// D.
    pub features: usize,
}

impl<T: Real> TrainableBase<T> for TrainedStandardNormal {
    fn parameters(&self) -> usize {
        0
    }

    fn initialize(&self, _: &mut [T], _: &mut ChaCha8Rng) {}

    fn log_prob(&self, _: &[T], batch: &Batch<T>, log_prob: &mut [T]) {
        let half = T::of(0.5);
        for feature in 0..batch.features() {
            for (sum, z) in log_prob.iter_mut().zip(batch.feature(feature)) {
                *sum -= half * *z * *z;
            }
        }
        let constant = T::of(0.5 * LN_2PI * batch.features() as f64);
        log_prob.iter_mut().for_each(|sum| *sum -= constant);
    }

    fn backward(&self, _: &[T], batch: &mut Batch<T>, weight: T, _: &mut [T]) {
        // d log N(z) / dz = -z.
        batch.values_mut().iter_mut().for_each(|z| *z *= -weight);
    }
}

impl TrainedBase for TrainedStandardNormal {
    fn base(&self) -> Base {
        StandardNormal { features: self.features, elementary: Elementary::Libm }.into()
    }

    fn write(&self, _: &[f32], _: &mut Image) {}
}
