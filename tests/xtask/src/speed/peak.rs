//! What the processor can do at the most: fused multiply-adds in registers, on all cores.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Independent sums: more than a fused multiply-add's latency times the units that compute it, and no more than the fewest
/// registers.
const SUMS: usize = 12;
/// Multiply-adds of each number in one measurement: some milliseconds.
const ROUNDS: usize = 1 << 18;
/// Measurements, of which the best one counts.
const TRIES: usize = 20;

/// f32 operations a second, a fused multiply-add counted as two, in thousand millions.
pub fn gflops() -> f64 {
    let threads = rayon::current_num_threads();
    let mut best = f64::INFINITY;
    let mut lanes = 0;
    for _ in 0..TRIES {
        let start = Instant::now();
        lanes = (0..threads).into_par_iter().map(|_| Arch::new().dispatch(MultiplyAdd)).sum();
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * SUMS * ROUNDS * lanes) as f64 / best / 1e9
}

struct MultiplyAdd;

impl WithSimd for MultiplyAdd {
    /// Numbers in a vector.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (factor, term) = (simd.splat_f32s(black_box(0.999)), simd.splat_f32s(black_box(0.001)));
        let mut sums = [term; SUMS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        black_box(sums);
        S::F32_LANES
    }
}
