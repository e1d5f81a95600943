//! From the scores of held-back normal readings to p-values and a threshold.
//!
//! The p-value of a score s is `(1 + number of held-back rows with score >= s) / (rows + 1)`: of readings like the
//! held-back ones, no more than a share p has a p-value of p or less (conformal prediction; Vovk, Gammerman, Shafer,
//! "Algorithmic Learning in a Random World", 2005). Scores are negative log-densities, higher is more anomalous.

/// Most knots that a model stores.
pub const KNOTS: usize = 128;

/// The highest distinct scores, which all become knots: p-values are exact where alarms are decided.
const EXACT: usize = 64;

/// How scores of held-back readings are distributed, as the model stores it.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibrated {
    /// Scores, ascending, each with the number of held-back rows whose score is *above* it; at least one, at most
    /// [`KNOTS`].
    pub knots: Vec<(f32, u32)>,
    /// Held-back rows.
    pub rows: u32,
    /// A reading raises the alarm if its score is above this; always one of the knots.
    pub threshold: f32,
    /// The highest p-value that raises the alarm: the share of normal readings that may.
    pub false_alarm_rate: f32,
}

/// Why held-back scores make no calibration.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Too few rows for the rate.
    #[error("a false-alarm rate of {rate} needs at least {needed} held-back readings, found {found}")]
    TooFewRows {
        /// The rate.
        rate: f32,
        /// Rows needed.
        needed: usize,
        /// Rows there are.
        found: usize,
    },
    /// More rows than a count can hold exactly.
    #[error("{found} held-back readings are more than 2^24, the most that a p-value can count exactly")]
    TooManyRows {
        /// Rows there are.
        found: usize,
    },
    /// A score that is NaN or infinite.
    #[error("held-back reading {row} has the score {score}, expected a finite number")]
    NotFinite {
        /// Which reading, from 0.
        row: usize,
        /// Its score.
        score: f32,
    },
}

impl Calibrated {
    /// The calibration from the scores of held-back normal readings.
    ///
    /// # Errors
    /// If there are too few scores for the rate or one of them is not finite.
    pub fn new(scores: &[f32], false_alarm_rate: f32) -> Result<Self, CalibrationError> {
        let needed = rows_needed(false_alarm_rate);
        if scores.len() < needed {
            return Err(CalibrationError::TooFewRows { rate: false_alarm_rate, needed, found: scores.len() });
        }
        if scores.len() > 1 << 24 {
            return Err(CalibrationError::TooManyRows { found: scores.len() });
        }
        if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
            return Err(CalibrationError::NotFinite { row, score: scores[row] });
        }
        let rows = scores.len() as u32;
        let distinct = distinct_descending(scores);
        // Counts grow down the list, so those that keep to the rate are its beginning; `needed` says it is not empty.
        let alarming = distinct.partition_point(|&(_, above)| p_value(above, rows) <= false_alarm_rate);
        let threshold = distinct[alarming - 1].0;
        let mut knots: Vec<_> =
            kept(distinct.len(), alarming - 1).into_iter().map(|position| distinct[position]).collect();
        knots.reverse();
        Ok(Self { knots, rows, threshold, false_alarm_rate })
    }
}

/// The p-value of a score that `at_least` of `rows` held-back rows reach.
pub fn p_value(at_least: u32, rows: u32) -> f32 {
    (at_least + 1) as f32 / (rows + 1) as f32
}

/// The fewest held-back rows with which some score has a p-value as low as `false_alarm_rate`.
pub fn rows_needed(false_alarm_rate: f32) -> usize {
    let estimate = (1.0 / f64::from(false_alarm_rate)).floor() as u32;
    // The quotient is rounded; the rows just below it may do.
    (estimate.saturating_sub(2)..).find(|&rows| p_value(0, rows) <= false_alarm_rate).map_or(usize::MAX, |n| n as usize)
}

/// A false-alarm rate of two digits that `rows` held-back rows suffice for.
pub fn attainable_rate(rows: usize) -> f32 {
    let lowest = 1.0 / (rows as f64 + 1.0);
    let unit = 10_f64.powi(lowest.log10().floor() as i32 - 1);
    let digits = (lowest / unit - 1e-9).ceil();
    let rate = |digits: f64| format!("{:.12}", digits * unit).parse::<f32>().unwrap_or(1.0);
    if rows_needed(rate(digits)) <= rows { rate(digits) } else { rate(digits + 1.0) }
}

/// The distinct scores from the highest down, each with the number of scores above it.
fn distinct_descending(scores: &[f32]) -> Vec<(f32, u32)> {
    // Adding zero makes -0 and 0 one score.
    let mut sorted: Vec<f32> = scores.iter().map(|score| score + 0.0).collect();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut above = 0;
    sorted
        .chunk_by(|a, b| a == b)
        .map(|run| {
            let entry = (run[0], above);
            above += run.len() as u32;
            entry
        })
        .collect()
}

/// Positions in the list of distinct scores that become knots, in order: all if they fit; else the highest, then ranks
/// in geometric progression down to the lowest, one of them moved to the threshold's.
fn kept(distinct: usize, threshold: usize) -> Vec<usize> {
    if distinct <= KNOTS {
        return (0..distinct).collect();
    }
    let (first, last, steps) = (EXACT as f64, (distinct - 1) as f64, (KNOTS - EXACT - 1) as f64);
    let spaced = (0..KNOTS - EXACT).map(|i| (first * (last / first).powf(i as f64 / steps)).round() as usize);
    let mut kept: Vec<usize> = (0..EXACT).chain(spaced.map(|position| position.min(distinct - 1))).collect();
    if let Err(next) = kept.binary_search(&threshold) {
        kept[next] = threshold;
    }
    kept.dedup();
    kept
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use flowlet::calibration::CalibrationView;

    use super::*;

    /// As the device reads it: padded to the knots that every model has.
    struct Device {
        scores: [f32; KNOTS],
        above: [u32; KNOTS],
        calibrated: Calibrated,
    }

    impl Device {
        fn new(scores: &[f32], rate: f32) -> Self {
            let calibrated = Calibrated::new(scores, rate).unwrap();
            let knot = |index: usize| calibrated.knots.get(index).copied().unwrap_or((f32::MAX, 0));
            let (scores, above) = (std::array::from_fn(|i| knot(i).0), std::array::from_fn(|i| knot(i).1));
            Self { scores, above, calibrated }
        }

        fn view(&self) -> CalibrationView<'_> {
            let Calibrated { rows, threshold, false_alarm_rate, .. } = self.calibrated;
            CalibrationView { scores: &self.scores, above: &self.above, rows, threshold, false_alarm_rate }
        }
    }

    fn by_definition(scores: &[f32], score: f32) -> f32 {
        p_value(scores.iter().filter(|&&other| other >= score).count() as u32, scores.len() as u32)
    }

    /// Scores, values between them, and values beyond.
    fn queries(scores: &[f32]) -> Vec<f32> {
        let mut sorted = scores.to_vec();
        sorted.sort_by(f32::total_cmp);
        let between = sorted.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
        let around = sorted.iter().flat_map(|&score| [score.next_down(), score, score.next_up()]);
        between.chain(around).chain([f32::MIN, f32::MAX, f32::INFINITY, f32::NEG_INFINITY]).collect()
    }

    fn random(rows: usize, seed: u64, digits: f32) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..rows).map(|_| ((rng.random::<f32>().ln() * -5.0 - 3.0) * digits).round() / digits).collect()
    }

    #[test]
    fn p_values_are_exact_where_all_scores_are_knots() {
        for (rows, digits) in [(1, 1e3), (2, 1e3), (100, 1e6), (128, 1e6), (5000, 2.0)] {
            let scores = random(rows, rows as u64, digits);
            let device = Device::new(&scores, 0.5);
            for score in queries(&scores) {
                assert_eq!(
                    device.view().p_value::<f32>(score),
                    by_definition(&scores, score),
                    "{rows} rows, score {score}"
                );
            }
        }
    }

    #[test]
    fn thinned_p_values_are_never_too_low_and_exact_at_the_top() {
        for rows in [129, 1000, 20_000] {
            let scores = random(rows, 3, 1e6);
            let device = Device::new(&scores, 0.01);
            let knots = device.calibrated.knots.len();
            assert!(knots <= KNOTS && knots > 120, "{knots}");
            let mut sorted = scores.clone();
            sorted.sort_by(f32::total_cmp);
            let lowest_exact = sorted[rows - EXACT];
            for score in queries(&scores[..rows.min(2000)]) {
                let (found, exact) = (device.view().p_value::<f32>(score), by_definition(&scores, score));
                assert!(found >= exact, "{rows} rows, score {score}: {found} < {exact}");
                assert!(found <= exact * 1.2, "{rows} rows, score {score}: {found} far above {exact}");
                if score > lowest_exact {
                    assert_eq!(found, exact, "{rows} rows, score {score}");
                }
            }
        }
    }

    #[test]
    fn verdict_is_the_p_value_against_the_rate() {
        for (rows, digits, rate) in
            [(99, 1e6, 0.01), (1000, 1e6, 0.01), (1000, 4.0, 0.05), (30_000, 1e6, 0.3), (30_000, 1e6, 0.003)]
        {
            let scores = random(rows, 11, digits);
            let device = Device::new(&scores, rate);
            let calibrated = &device.calibrated;
            assert!(calibrated.knots.iter().any(|&(knot, _)| knot == calibrated.threshold));
            for score in queries(&scores[..rows.min(2000)]).into_iter().chain(queries(&[calibrated.threshold])) {
                let verdict = device.view().alarm(score);
                assert_eq!(
                    verdict,
                    device.view().p_value::<f32>(score) <= rate,
                    "{rows} rows at {rate}, score {score}"
                );
                assert_eq!(verdict, by_definition(&scores, score) <= rate, "{rows} rows at {rate}, score {score}");
            }
        }
    }

    #[test]
    fn knots_ascend_and_count_what_is_above() {
        let calibrated = Calibrated::new(&random(3000, 5, 1e6), 0.02).unwrap();
        assert!(calibrated.knots.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1));
        assert_eq!(calibrated.knots.last().unwrap().1, 0);
        let ties = Calibrated::new(&[1.0, -0.0, 0.0, 1.0, 1.0], 0.5).unwrap();
        assert_eq!(ties.knots, [(0.0, 3), (1.0, 0)]);
        assert_eq!(ties.threshold, 1.0);
    }

    #[test]
    fn fresh_rows_keep_to_the_rate() {
        let device = Device::new(&random(2000, 1, 1e6), 0.05);
        let fresh = random(50_000, 2, 1e6);
        let alarms = fresh.iter().filter(|&&score| device.view().alarm(score)).count() as f64 / 50_000.0;
        assert!((0.03..0.07).contains(&alarms), "{alarms}");
    }

    #[test]
    fn rates_and_rows_agree() {
        assert_eq!(rows_needed(0.01), 99);
        assert_eq!(rows_needed(0.5), 1);
        assert_eq!(rows_needed(0.001), 999);
        assert_eq!(rows_needed(1.0), 0);
        for rows in (1..200).chain([999, 1000, 12_345]) {
            let rate = attainable_rate(rows);
            assert!(rows_needed(rate) <= rows, "{rows} rows, rate {rate}");
            assert!(f64::from(rate) <= 1.2 / (rows as f64 + 1.0), "{rows} rows, rate {rate}");
        }
        assert_eq!(attainable_rate(99), 0.01);
        assert_eq!(attainable_rate(75), 0.014);
    }

    #[test]
    fn bad_scores_are_refused() {
        let too_few = Calibrated::new(&[1.0; 98], 0.01).unwrap_err();
        assert_eq!(too_few.to_string(), "a false-alarm rate of 0.01 needs at least 99 held-back readings, found 98");
        let not_finite = Calibrated::new(&[1.0, f32::NAN], 0.5).unwrap_err();
        assert_eq!(not_finite.to_string(), "held-back reading 1 has the score NaN, expected a finite number");
        assert!(Calibrated::new(&[f32::INFINITY, 1.0], 0.5).is_err());
    }
}
