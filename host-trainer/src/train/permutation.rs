//! Which features each coupling conditions on.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The orders of `couplings` permutations of `features` features, each applied (`y[i] = x[order[i]]`) before a coupling
/// that passes the first `features / 2`.
///
/// They come in pairs: a random order, then the one that transforms next what the coupling before passed. One pair is
/// enough for every pair of features to interact; new random splits in every pair let each feature be conditioned on
/// different others.
pub fn orders(features: usize, couplings: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let passed = features / 2;
    (0..couplings)
        .map(|index| {
            let mut order: Vec<usize> = (0..features).collect();
            if index % 2 == 0 {
                order.shuffle(rng);
            } else {
                order.rotate_left(passed);
            }
            order
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::base::TrainedStandardNormal;
    use crate::export::Written;
    use crate::layers::{Sequence, Trainable, TrainedCoupling, TrainedPermute};
    use crate::model::{Feature, Metadata, ModelError, Training};
    use crate::net::{Activation, Body, Hidden};
    use crate::train::{Flow, Options};
    use crate::univariate::Additive;

    /// What the device's loader says of a flow with these permutations.
    fn load(features: usize, orders: Vec<Vec<usize>>) -> Result<(), ModelError> {
        let mut flow =
            Flow::zeroed(vec![0.0; features], vec![1.0; features], features, &Options::for_features(features));
        flow.base = std::sync::Arc::new(TrainedStandardNormal { features });
        let hidden = Hidden { units: 4, deep: 0, body: Body::Plain, activation: Activation::Relu };
        flow.sequence = orders.into_iter().fold(Sequence::new(), |sequence, order| {
            let a = features / 2;
            sequence.then(TrainedPermute::new(order)).then(TrainedCoupling::new(a, features - a, 0, Additive, hidden))
        });
        flow.parameters = vec![0.0; Trainable::<f32>::parameters(&flow.sequence)];
        let feature = |index: usize| Feature { name: format!("x{index}"), unit: String::new() };
        let metadata = Metadata {
            architecture: String::new(),
            features: (0..features).map(feature).collect(),
            training: Training::default(),
        };
        Written::float(&flow).model(&flow, metadata).map(drop)
    }

    #[test]
    fn two_couplings_mix_any_number_of_features() {
        for features in [1, 2, 3, 4, 5, 6, 7, 16, 33, 64, 128] {
            for couplings in [2, 3, 6] {
                for seed in 0..3 {
                    let orders = orders(features, couplings, &mut ChaCha8Rng::seed_from_u64(seed));
                    load(features, orders).unwrap_or_else(|why| panic!("{features}, {couplings} couplings: {why}"));
                }
            }
        }
    }

    #[test]
    fn the_loader_notices_what_does_not_mix() {
        let straight: Vec<usize> = (0..5).collect();
        let why = load(5, vec![straight.clone(), straight]).unwrap_err().to_string();
        assert!(why.contains("feature 0"), "{why}");
    }
}
