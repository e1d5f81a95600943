//! All randomness of a fit: independent streams of one seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Permutations,
    Initialization,
    Shuffle,
    /// Which blocks of a long table go together, by epoch.
    Blocks(u64),
    Validation,
    /// Of one chunk, counted over all steps: chunks are drawn for on any thread in any order.
    Noise(u64),
    /// What one chunk of the validation rows is matched with, or of the samples of an estimate.
    Draws(u64),
}

/// The generator of one purpose.
pub(crate) fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(match stream {
        Stream::Permutations => 0,
        Stream::Initialization => 1,
        Stream::Shuffle => 2,
        Stream::Validation => 3,
        Stream::Noise(chunk) => 4 + chunk,
        Stream::Blocks(epoch) => (1 << 63) + epoch,
        Stream::Draws(chunk) => u64::MAX - chunk,
    });
    rng
}

/// Uniform noise of the given width, centred; a width of 0 draws nothing.
pub(super) fn dither(value: &mut f32, width: f32, rng: &mut ChaCha8Rng) {
    if width > 0.0 {
        *value += width * (rng.random::<f32>() - 0.5);
    }
}
