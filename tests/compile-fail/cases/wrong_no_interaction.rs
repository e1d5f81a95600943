//! One coupling, and a cube that transforms each feature by itself: features 1 and 2 are modelled as independent given 0.

use flowlet::*;

/// Keeps one feature and transforms the others by it: each of them meets the first, and none meets another.
type Star = AffineCoupling<1, 3, Int8<1, 2, 0, 2>>;
type Layers = Chain<Star, Cube>;

fn score(flow: &Flow<4, Layers>) -> Result<f32, ReadingError> {
    flow.log_prob(&[0.0; 4], &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
