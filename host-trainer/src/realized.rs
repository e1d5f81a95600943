//! How far a realized false-alarm rate may be from the one that was calibrated for, by chance alone.
//!
//! With n held-back rows and the threshold at the k-th highest of their scores, k = ⌊α (n + 1)⌋, the chance that a new row
//! scores above it is itself random: Beta(k, n + 1 - k), whatever the distribution of the scores (Vovk, "Conditional validity of
//! inductive conformal predictors", Machine Learning 92, 2013, section 2). Of m new rows the number that do is therefore
//! beta-binomial, if all rows are exchangeable and no scores are equal; equal scores can only make it fewer.

/// Exceedances of a threshold that n held-back rows set for a rate, among m new rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Exceedances {
    /// The rank of the threshold among the held-back scores, from the highest: 0 where the rate is below 1 / (n + 1), which no
    /// row reaches.
    pub rank: usize,
    held_back: usize,
    fresh: usize,
}

impl Exceedances {
    /// For a rate between 0 and 1, `held_back` rows and `fresh` ones.
    #[must_use]
    pub fn new(rate: f64, held_back: usize, fresh: usize) -> Self {
        // A rate of exactly k / (n + 1) has the rank k, whatever its last bit.
        let rank = (rate * (held_back as f64 + 1.0) * (1.0 + 1e-12)).floor() as usize;
        Self { rank: rank.min(held_back), held_back, fresh }
    }

    /// The chance of `count` exceedances; 0 for more than there are rows. Without a rank there is none.
    #[must_use]
    pub fn probability(&self, count: usize) -> Option<f64> {
        (self.rank > 0).then(|| if count > self.fresh { 0.0 } else { libm::exp(self.log_probability(count)) })
    }

    fn log_probability(&self, count: usize) -> f64 {
        let log_beta = |a: f64, b: f64| libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b);
        let (m, x) = (self.fresh as f64, count as f64);
        let (a, b) = (self.rank as f64, (self.held_back + 1 - self.rank) as f64);
        let choose = libm::lgamma(m + 1.0) - libm::lgamma(x + 1.0) - libm::lgamma(m - x + 1.0);
        choose + log_beta(x + a, m - x + b) - log_beta(a, b)
    }

    /// The counts that leave out no more than half of `1 - level` on either side. Without a rank there are none.
    #[must_use]
    pub fn interval(&self, level: f64) -> Option<(usize, usize)> {
        if self.rank == 0 {
            return None;
        }
        let outside = 0.5 * (1.0 - level);
        let (mut below, mut low, mut high) = (0.0, None, self.fresh);
        for count in 0..=self.fresh {
            below += libm::exp(self.log_probability(count));
            if low.is_none() && below > outside {
                low = Some(count);
            }
            if below >= 1.0 - outside {
                high = count;
                break;
            }
        }
        Some((low.unwrap_or(high), high))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn chances_add_up_and_have_the_mean_of_the_rank() {
        for (rate, held_back, fresh) in [(0.01, 99, 50), (0.05, 400, 1000), (0.2, 7, 3), (0.013, 1000, 300)] {
            let exceedances = Exceedances::new(rate, held_back, fresh);
            let chance = |count| exceedances.probability(count).unwrap();
            let (sum, mean) = (0..=fresh)
                .fold((0.0, 0.0), |(sum, mean), count| (sum + chance(count), mean + count as f64 * chance(count)));
            assert!((sum - 1.0_f64).abs() < 1e-9, "{sum}");
            let expected = fresh as f64 * exceedances.rank as f64 / (held_back as f64 + 1.0);
            assert!((mean - expected).abs() < 1e-7 * (1.0 + expected), "{mean} {expected}");
        }
    }

    #[test]
    fn ranks_are_those_of_conformal_p_values() {
        let rank = |rate, held_back| Exceedances::new(rate, held_back, 1).rank;
        assert_eq!([rank(0.01, 99), rank(0.01, 98), rank(0.01, 198), rank(0.01, 199), rank(0.5, 3)], [1, 0, 1, 2, 2]);
        assert_eq!(Exceedances::new(0.001, 500, 100).interval(0.95), None);
        assert_eq!(Exceedances::new(0.001, 500, 100).probability(0), None);
    }

    #[test]
    fn random_rows_lie_within_the_interval_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let (held_back, fresh, rate) = (150, 200, 0.05);
        let exceedances = Exceedances::new(rate, held_back, fresh);
        let (low, high) = exceedances.interval(0.95).unwrap();
        let chance: f64 = (low..=high).map(|count| exceedances.probability(count).unwrap()).sum();
        assert!(chance >= 0.95);
        let trials = 4000;
        let within = (0..trials)
            .filter(|_| {
                let mut scores: Vec<f32> = (0..held_back).map(|_| rng.random()).collect();
                scores.sort_by(|a, b| b.total_cmp(a));
                let threshold = scores[exceedances.rank - 1];
                let count = (0..fresh).filter(|_| rng.random::<f32>() > threshold).count();
                (low..=high).contains(&count)
            })
            .count() as f64;
        assert!((within / f64::from(trials) - chance).abs() < 0.015, "{within} of {trials}, expected {chance}");
    }
}
