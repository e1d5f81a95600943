//! Equal normal distributions around points.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

#[derive(Debug)]
pub struct Mixture {
    centres: Vec<[f64; 2]>,
    deviation: f64,
}

impl Mixture {
    pub fn new(centres: Vec<[f64; 2]>, deviation: f64) -> Self {
        Self { centres, deviation }
    }

    pub fn sample(&self, rng: &mut impl Rng) -> [f64; 2] {
        let centre = self.centres[rng.random_range(0..self.centres.len())];
        centre.map(|value| value + self.deviation * rng.sample::<f64, _>(StandardNormal))
    }

    pub fn log_prob(&self, x: [f64; 2]) -> f64 {
        let exponent = |centre: &[f64; 2]| {
            let [a, b] = [x[0] - centre[0], x[1] - centre[1]].map(|distance| distance / self.deviation);
            -0.5 * (a * a + b * b)
        };
        let largest = self.centres.iter().map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.centres.iter().map(|centre| (exponent(centre) - largest).exp()).sum();
        largest + sum.ln() - (self.centres.len() as f64 * TAU * self.deviation * self.deviation).ln()
    }
}
