//! A base with another number of coordinates than the flow.

use flowlet::*;

fn score(flow: &Flow<3, Cube, StandardNormal<2>>) -> Result<f32, ReadingError> {
    flow.log_prob(&[1.0; 3], &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
