//! Five arms of normal distributions, bent by a rotation whose angle grows with the radius: it keeps areas, so the
//! density of a point is that of the point turned back.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

const ARMS: u32 = 5;
/// Along the arm: mean and standard deviation; across: standard deviation.
const ALONG: [f64; 2] = [2.0, 0.6];
const ACROSS: f64 = 0.15;
/// Radians for each unit of the radius.
const TWIST: f64 = 0.6;

#[derive(Debug)]
pub struct Pinwheel;

fn rotate([x, y]: [f64; 2], angle: f64) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    [cos * x - sin * y, sin * x + cos * y]
}

impl Pinwheel {
    pub fn new() -> Self {
        Self
    }

    pub fn sample(&self, rng: &mut impl Rng) -> [f64; 2] {
        let arm = f64::from(rng.random_range(0..ARMS)) * TAU / f64::from(ARMS);
        let [along, across] = [(); 2].map(|()| rng.sample::<f64, _>(StandardNormal));
        let straight = rotate([ALONG[0] + ALONG[1] * along, ACROSS * across], arm);
        rotate(straight, TWIST * straight[0].hypot(straight[1]))
    }

    pub fn log_prob(&self, x: [f64; 2]) -> f64 {
        let straight = rotate(x, -TWIST * x[0].hypot(x[1]));
        let density = |arm: u32| {
            let [along, across] = rotate(straight, -f64::from(arm) * TAU / f64::from(ARMS));
            let (a, b) = ((along - ALONG[0]) / ALONG[1], across / ACROSS);
            (-0.5 * (a * a + b * b)).exp()
        };
        let sum: f64 = (0..ARMS).map(density).sum();
        (sum / (f64::from(ARMS) * TAU * ALONG[1] * ACROSS)).ln()
    }
}
