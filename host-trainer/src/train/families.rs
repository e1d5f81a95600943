//! Which layers a family of flows is made of.

use std::sync::Arc;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::permutation::orders;
use super::random::{Stream, stream};
use crate::base::{TrainedBase, TrainedStandardNormal};
use crate::layers::{Sequence, TrainedCoupling, TrainedPermute};

/// A family of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Affine couplings (RealNVP): density and sampling in one pass
    Realnvp,
}

/// Shape of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Architecture {
    /// The family.
    pub family: Family,
    /// Layers that transform, each after a permutation.
    pub layers: usize,
    /// Units of each hidden layer of the nets, a multiple of 4.
    pub hidden: usize,
    /// Hidden layers of the nets.
    pub hidden_layers: usize,
    /// Limit of |log_scale| of one affine layer. A reading is scaled by up to exp(bound) in each of the layers that
    /// transform it: what a wide bound gains in fit it loses many times over on the first far-off reading.
    pub bound: f32,
}

impl Architecture {
    /// Six couplings with two hidden layers of 32 to 64 units, by the number of features: about 12 kB of int8 weights
    /// for 8 features.
    pub fn for_features(features: usize) -> Self {
        let width = (24 + features).next_multiple_of(8).clamp(32, 64);
        Self { family: Family::Realnvp, layers: 6, hidden: width, hidden_layers: 2, bound: 1.0 }
    }

    /// The layers behind the standardization of `features` features that come with `context` values.
    pub fn sequence(&self, features: usize, context: usize, seed: u64) -> Sequence {
        let orders = orders(features, self.layers, &mut stream(seed, Stream::Permutations));
        let hidden = vec![self.hidden; self.hidden_layers];
        orders.into_iter().fold(Sequence::new(), |sequence, order| {
            let a = features / 2;
            let coupling = match self.family {
                Family::Realnvp => TrainedCoupling::new(a, features - a, context, &hidden, self.bound),
            };
            sequence.then(TrainedPermute::new(order)).then(coupling)
        })
    }

    /// The base.
    pub fn base(&self, features: usize) -> Arc<dyn TrainedBase> {
        Arc::new(TrainedStandardNormal { features })
    }
}
