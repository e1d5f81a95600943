//! A net so wide that its accumulators could overflow.

use flowlet::*;

type Layers = [Chain<AffineCoupling<4, 4, Int8<1, 129, 0, 2>>, Reverse>; 2];

fn score(flow: &Flow<8, Layers>) -> Result<f32, ReadingError> {
    flow.log_prob(&[0.0; 8], &[])
}

fn main() {
    let _ = std::hint::black_box(score as fn(&_) -> _);
}
