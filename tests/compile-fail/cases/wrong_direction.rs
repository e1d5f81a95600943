//! Sampling from layers of which one has only the direction of densities.

use flowlet::schema::{Mixing, Record, Schema};
use flowlet::*;

/// A layer without a closed-form forward map.
struct OneWay;

impl Layer for OneWay {
    const SCHEMA: Schema =
        Schema::Layer(&Record { mixing: Mixing::Elementwise, ..Record::stored("OneWay", &[], &[]) });
}

impl<const D: usize> Inverse<D> for OneWay {
    fn inverse(&self, _: &mut [f32; D], _: &[f32; 0]) -> f32 {
        0.0
    }
}

fn score(flow: &Flow<1, Chain<Cube, OneWay>>) -> Result<f32, ReadingError> {
    flow.log_prob(&[1.0], &[])
}

fn sample(flow: &Flow<1, Chain<Cube, OneWay>>, rng: &mut dyn rand_core::Rng) -> [f32; 1] {
    flow.sample(rng, &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
