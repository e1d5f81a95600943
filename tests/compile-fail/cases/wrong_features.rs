//! A coupling whose parts do not add up to the features.

use flowlet::*;

type Layers = [Chain<AffineCoupling<2, 2, Int8<1, 2, 0, 1>>, Reverse>; 2];

fn score(flow: &Flow<5, Layers>) -> Result<f32, ReadingError> {
    flow.log_prob(&[0.0; 5], &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
