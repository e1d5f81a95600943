//! Scores of groups of readings, such as load cycles, runs or shifts, and their p-values by whole groups that were held back.
//!
//! Readings of one group are alike, and groups differ from each other: a rate that is calibrated by readings, as if all were
//! exchangeable, is kept by no group that is new. Whole groups are exchangeable where readings are not. So a group's score is one
//! number, and its p-value counts groups: `(1 + held-back groups with score >= s) / (groups + 1)` (conformal prediction with
//! the group as the example; Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2).

mod folds;

use clap::ValueEnum;
use flowlet::Assessment;
use flowlet::calibration::CalibrationView;
use serde::Serialize;

pub use folds::{Fold, folds};

use crate::metrics::median;

/// How the scores of a group's readings become the group's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregate {
    /// The mean of scores, none counting as less or more than the lowest and the highest of the model's calibration: no single wild
    /// reading decides
    #[default]
    Winsorized,
    /// The mean of scores, none counting as more than the alarm's threshold
    Clipped,
    /// The mean of -ln(p-value), as Fisher combined independent tests
    LogP,
    /// The median of scores: readings of the other half do not count at all
    Median,
    /// The mean of scores as they are, which is minus the mean log-density
    Mean,
}

impl Aggregate {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Winsorized, Self::Clipped, Self::LogP, Self::Median, Self::Mean];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The score of each of `count` groups, higher being more anomalous; NaN for a group without readings. `of_rows` has the
    /// number of each reading's group, and `calibration` is of the model that assessed the readings.
    ///
    /// # Panics
    /// If there is not one group for each reading, or one that is not below `count`.
    #[must_use]
    pub fn scores(
        self,
        readings: &[Assessment],
        of_rows: &[usize],
        count: usize,
        calibration: &CalibrationView<'_>,
    ) -> Vec<f32> {
        assert_eq!(readings.len(), of_rows.len(), "one group for each reading");
        let mut members = vec![Vec::new(); count];
        readings.iter().zip(of_rows).for_each(|(reading, group)| members[*group].push(*reading));
        members.iter().map(|members| self.score(members, calibration)).collect()
    }

    /// The score of one group.
    fn score(self, readings: &[Assessment], calibration: &CalibrationView<'_>) -> f32 {
        let mean = |of: &dyn Fn(&Assessment) -> f64| readings.iter().map(of).sum::<f64>() / readings.len() as f64;
        let value = match self {
            Self::Winsorized => {
                let (low, high) = extremes(calibration);
                mean(&|reading| reading.score().clamp(low, high).into())
            }
            Self::Clipped => mean(&|reading| reading.score().min(calibration.threshold).into()),
            Self::LogP => mean(&|reading| -libm::log(reading.p_value.into())),
            Self::Mean => mean(&|reading| reading.score().into()),
            Self::Median => {
                let scores: Vec<f32> = readings.iter().map(Assessment::score).collect();
                median(&scores).unwrap_or(f64::NAN)
            }
        };
        value as f32
    }
}

/// The lowest and the highest score of a calibration.
fn extremes(calibration: &CalibrationView<'_>) -> (f32, f32) {
    // Models have as many knots as others, and fill up with the highest number.
    let knots = calibration.scores.partition_point(|score| *score < f32::MAX);
    match calibration.scores[..knots] {
        [] => (f32::MIN, f32::MAX),
        [low, .., high] => (low, high),
        [one] => (one, one),
    }
}

/// Scores of normal groups that the model was not trained on, and the rate that alarms are to keep to.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupCalibration {
    /// Ascending.
    scores: Vec<f32>,
    /// The share of normal groups that may raise an alarm.
    rate: f64,
}

/// Why groups make no calibration.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GroupError {
    /// Too few groups for the rate.
    #[error(
        "a false-alarm rate of {rate} for groups needs at least {needed} normal groups, found {found}: the lowest rate that these reach is {lowest:.4}"
    )]
    TooFew {
        /// The rate.
        rate: f64,
        /// Groups needed.
        needed: usize,
        /// Groups there are.
        found: usize,
        /// The lowest rate that they reach.
        lowest: f64,
    },
    /// A score that is NaN or infinite.
    #[error("group {group} has the score {score}, expected a finite number")]
    NotFinite {
        /// Which group, from 0.
        group: usize,
        /// Its score.
        score: f32,
    },
}

impl GroupCalibration {
    /// From the scores of normal groups, for a rate between 0 and 1.
    ///
    /// # Errors
    /// If there are too few groups for the rate or one of the scores is not finite.
    pub fn new(scores: &[f32], rate: f64) -> Result<Self, GroupError> {
        let lowest = lowest_rate(scores.len());
        if lowest > rate {
            let needed = (1.0 / rate - 1.0).ceil() as usize;
            return Err(GroupError::TooFew { rate, needed, found: scores.len(), lowest });
        }
        if let Some(group) = scores.iter().position(|score| !score.is_finite()) {
            return Err(GroupError::NotFinite { group, score: scores[group] });
        }
        let mut scores = scores.to_vec();
        scores.sort_unstable_by(f32::total_cmp);
        Ok(Self { scores, rate })
    }

    /// Groups that it counts.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.scores.len()
    }

    /// The share of normal groups that may raise an alarm.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// The p-value of a group: of groups like the held-back ones no more than a share p has one of p or less.
    #[must_use]
    pub fn p_value(&self, score: f32) -> f64 {
        let at_least = self.scores.len() - self.scores.partition_point(|other| *other < score);
        (1 + at_least) as f64 / (1 + self.scores.len()) as f64
    }

    /// Whether a group raises the alarm: its p-value is at most the rate.
    #[must_use]
    pub fn alarm(&self, score: f32) -> bool {
        // A rate of 1 / (n + 1) is reached, whatever its last bit.
        self.p_value(score) <= self.rate * (1.0 + 1e-12)
    }
}

/// The lowest rate that `groups` held-back groups can promise: 1 / (groups + 1).
#[must_use]
pub fn lowest_rate(groups: usize) -> f64 {
    1.0 / (groups as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const SCORES: [f32; 4] = [-2.0, 1.0, 5.0, f32::MAX];

    fn calibration() -> CalibrationView<'static> {
        CalibrationView { scores: &SCORES, above: &[2, 1, 0, 0], rows: 3, threshold: 1.0, false_alarm_rate: 0.5 }
    }

    fn said(score: f32, p_value: f32) -> Assessment {
        Assessment { log_prob: -score, p_value, alarm: false }
    }

    #[test]
    fn aggregates_are_their_definitions() {
        let readings = [said(-4.0, 1.0), said(7.0, 0.25), said(0.5, 0.5), said(100.0, 0.25), said(3.0, 0.25)];
        let of_rows = [0, 1, 0, 1, 1];
        let scores = |aggregate: Aggregate| aggregate.scores(&readings, &of_rows, 2, &calibration());
        assert_eq!(scores(Aggregate::Winsorized), [-0.75, 13.0 / 3.0]);
        assert_eq!(scores(Aggregate::Clipped), [-1.75, 1.0]);
        assert_eq!(scores(Aggregate::LogP), [0.5 * 2.0_f32.ln(), 4.0_f32.ln()]);
        assert_eq!(scores(Aggregate::Median), [-1.75, 7.0]);
        assert_eq!(scores(Aggregate::Mean), [-1.75, 110.0 / 3.0]);
    }

    #[test]
    fn one_wild_reading_moves_a_winsorized_score_by_no_more_than_the_calibrations_highest() {
        let mut readings: Vec<Assessment> = (0..60).map(|_| said(0.0, 0.5)).collect();
        readings[30] = said(1e30, 0.25);
        let score = |aggregate: Aggregate| aggregate.scores(&readings, &[0; 60], 1, &calibration())[0];
        assert_eq!(score(Aggregate::Winsorized), 5.0 / 60.0);
        assert!(score(Aggregate::Mean) > 1e28);
    }

    #[test]
    fn p_values_count_held_back_groups() {
        let calibration = GroupCalibration::new(&[3.0, 1.0, 2.0, 2.0], 0.4).unwrap();
        let p_values = [0.0, 1.0, 2.0, 2.5, 3.0, 9.0].map(|score| calibration.p_value(score));
        assert_eq!(p_values, [1.0, 1.0, 0.8, 0.4, 0.4, 0.2]);
        assert_eq!([2.0, 2.5, 9.0].map(|score| calibration.alarm(score)), [false, true, true]);
    }

    #[test]
    fn new_groups_keep_to_the_rate_though_readings_of_a_group_are_alike() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut score = || -(1.0 - rng.random::<f32>()).ln();
        let (mut alarms, trials) = (0, 4000);
        for _ in 0..trials {
            let held_back: Vec<f32> = (0..19).map(|_| score()).collect();
            alarms += usize::from(GroupCalibration::new(&held_back, 0.1).unwrap().alarm(score()));
        }
        let rate = alarms as f64 / f64::from(trials);
        assert!((0.085..0.115).contains(&rate), "{rate}");
    }

    #[test]
    fn too_few_groups_say_what_they_reach() {
        let message = GroupCalibration::new(&[1.0; 26], 0.01).unwrap_err().to_string();
        assert_eq!(
            message,
            "a false-alarm rate of 0.01 for groups needs at least 99 normal groups, found 26: the lowest rate that these reach is 0.0370"
        );
        for groups in 1..300 {
            let scores = vec![1.0; groups];
            assert!(GroupCalibration::new(&scores, lowest_rate(groups)).unwrap().alarm(2.0), "{groups} groups");
        }
        assert!(GroupCalibration::new(&[f32::NAN, 1.0], 0.5).is_err());
    }
}
