//! A quantized net as a velocity.

use flowlet::*;

fn score(flow: &Flow<2, Continuous<2, 8, Int8<1, 2, 0, 1>>>) -> Result<f32, ReadingError> {
    flow.log_prob(&[0.0; 2], &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
