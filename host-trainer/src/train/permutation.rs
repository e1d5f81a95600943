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

/// Why a list of permutations does not make a general density.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixingError {
    /// An order is not a permutation.
    #[error("permutation {index} does not hold every feature below {features} once")]
    NotAPermutation {
        /// Position in the list.
        index: usize,
        /// The number of features.
        features: usize,
    },
    /// A feature passes every coupling unchanged.
    #[error("feature {feature} is never transformed: add a coupling")]
    NeverTransformed {
        /// Index of the feature in the reading.
        feature: usize,
    },
    /// Two features are independent whatever the weights are.
    #[error("features {first} and {second} never interact: add a coupling")]
    NoInteraction {
        /// Index of a feature in the reading.
        first: usize,
        /// Index of the other.
        second: usize,
    },
}

/// Checks that every feature is transformed by some coupling and that every two features interact: that some base
/// coordinate can depend on both.
///
/// # Errors
/// The first feature or pair that is left out.
pub fn check_mixing(features: usize, orders: &[Vec<usize>]) -> Result<(), MixingError> {
    let passed = features / 2;
    // Per coordinate, in its place of the moment: the feature it carries, and the features its value can depend on.
    let mut carried: Vec<usize> = (0..features).collect();
    let mut depends: Vec<Vec<bool>> =
        (0..features).map(|own| (0..features).map(|other| own == other).collect()).collect();
    let mut transformed = vec![false; features];
    for (index, order) in orders.iter().enumerate() {
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..features) {
            return Err(MixingError::NotAPermutation { index, features });
        }
        carried = order.iter().map(|&from| carried[from]).collect();
        depends = order.iter().map(|&from| depends[from].clone()).collect();
        let (conditions, changed) = depends.split_at_mut(passed);
        for set in changed {
            for condition in &*conditions {
                for (own, other) in set.iter_mut().zip(condition) {
                    *own |= other;
                }
            }
        }
        for &feature in &carried[passed..] {
            transformed[feature] = true;
        }
    }
    if let Some(feature) = transformed.iter().position(|done| !done) {
        return Err(MixingError::NeverTransformed { feature });
    }
    for first in 0..features {
        for second in first + 1..features {
            if !depends.iter().any(|set| set[first] && set[second]) {
                return Err(MixingError::NoInteraction { first, second });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn two_couplings_mix_any_number_of_features() {
        for features in 1..=64 {
            for couplings in [2, 3, 6] {
                for seed in 0..3 {
                    let orders = orders(features, couplings, &mut ChaCha8Rng::seed_from_u64(seed));
                    assert_eq!(check_mixing(features, &orders), Ok(()), "{features} features, {couplings} couplings");
                }
            }
        }
    }

    #[test]
    fn what_does_not_mix_is_named() {
        assert_eq!(check_mixing(2, &[vec![0, 1]]), Err(MixingError::NeverTransformed { feature: 0 }));
        assert_eq!(check_mixing(2, &[vec![0, 0]]), Err(MixingError::NotAPermutation { index: 0, features: 2 }));
        assert_eq!(check_mixing(2, &[vec![0]]), Err(MixingError::NotAPermutation { index: 0, features: 2 }));
        let halves = [vec![0, 1, 2, 3], vec![0, 1, 2, 3]];
        assert_eq!(check_mixing(4, &halves), Err(MixingError::NeverTransformed { feature: 0 }));
        assert_eq!(check_mixing(3, &[vec![0, 1, 2]]), Err(MixingError::NeverTransformed { feature: 0 }));
        assert_eq!(check_mixing(1, &[]), Err(MixingError::NeverTransformed { feature: 0 }));
    }

    /// Seven features pass three. Every feature is transformed, and 5 and 6 are only ever transformed themselves, both
    /// at a time: no coordinate depends on both.
    #[test]
    fn a_pair_that_never_meets_is_named() {
        let arrangements = [[0, 1, 2, 3, 4, 5, 6], [0, 1, 3, 2, 4, 5, 6], [2, 3, 4, 0, 1, 5, 6]];
        let mut current: Vec<usize> = (0..7).collect();
        let mut orders = Vec::new();
        for arrangement in arrangements {
            let place =
                |feature: &usize| current.iter().position(|other| other == feature).expect("every feature has a place");
            orders.push(arrangement.iter().map(place).collect());
            current = arrangement.to_vec();
        }
        assert_eq!(check_mixing(7, &orders), Err(MixingError::NoInteraction { first: 5, second: 6 }));
    }
}
