//! Laws of the trainer.

mod behaviour;
mod gradients;
mod matching;
mod written;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;

/// Standard normal numbers.
fn normal(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

/// Rows of a curved density: x ~ N(0, 1), y = x² + N(0, 0.3²), then their noisy sum, then the same again.
fn banana(features: usize, rows: usize, seed: u64) -> Vec<f32> {
    let mut values = normal(features * rows, seed);
    for row in values.chunks_exact_mut(features) {
        for at in 1..features {
            row[at] = match at % 3 {
                1 => row[at - 1] * row[at - 1] + 0.3 * row[at],
                2 => row[at - 1] + row[at - 2] + 0.1 * row[at],
                _ => row[at],
            };
        }
    }
    values
}

/// A quick fit.
fn options(features: usize) -> Options {
    let mut options = Options::for_features(features);
    options.architecture = Architecture { layers: 4, hidden: 16, hidden_layers: 2, bound: 2.0, ..options.architecture };
    options.epochs = 30;
    options
}
