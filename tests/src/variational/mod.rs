//! Variational inference on targets whose normalization is known by other means.
//!
//! With ln Z known, the divergence KL(q || p) = E_q\[log q + U\] + ln Z is measured up to the error of a mean over samples,
//! and so is the free energy -ln Z that the samples' weights give.

mod chain;
mod plane;

pub use chain::{Chain, Chained};
pub use plane::{Divergences, Family, flows};

use flowlet_trainer::layers::{Sequence, TrainedCoupling, TrainedMaskedAutoregressive, TrainedPermute};
use flowlet_trainer::net::{Activation, Body, Hidden};
use flowlet_trainer::univariate::{Affine, Scale};
use flowlet_trainer::variational::Estimate;

/// Units of the nets' one hidden layer.
const UNITS: usize = 32;

/// Limit of the log-scales of one layer.
const BOUND: f32 = 2.0;

const HIDDEN: Hidden = Hidden { units: UNITS, deep: 0, body: Body::Plain, activation: Activation::Tanh };

fn affine() -> Affine {
    Affine { scale: Scale::softsign(BOUND) }
}

/// So many layers, with the order of the features turned around in between.
fn alternating(features: usize, depth: usize, mut then: impl FnMut(Sequence) -> Sequence) -> Sequence {
    (0..depth).fold(Sequence::new(), |sequence, index| {
        let order = (0..features).rev().collect();
        then(if index == 0 { sequence } else { sequence.then(TrainedPermute::new(order)) })
    })
}

/// Inverse autoregressive flow.
#[must_use]
pub fn inverse_autoregressive(features: usize, depth: usize) -> Sequence {
    alternating(features, depth, |sequence| {
        sequence.then(TrainedMaskedAutoregressive::new(features, 0, affine(), HIDDEN))
    })
}

/// Affine couplings.
#[must_use]
pub fn couplings(features: usize, depth: usize) -> Sequence {
    let kept = features / 2;
    alternating(features, depth, |sequence| {
        sequence.then(TrainedCoupling::new(kept, features - kept, 0, affine(), HIDDEN))
    })
}

/// A number with its standard error.
fn shown(estimate: Estimate) -> String {
    format!("{:.4} ± {:.4}", estimate.value, estimate.standard_error)
}
