//! Calibration: from a score to a p-value, and the threshold of the alarm.
//!
//! The p-value of a score s is (1 + calibration rows with score >= s) / (n + 1): among n held-back normal readings and
//! this one, the fraction at least as anomalous. If readings are exchangeable with the calibration rows, it is at most
//! α with probability at most α (split conformal prediction: Vovk, Gammerman, Shafer, "Algorithmic learning in a random
//! world", 2005). Low is anomalous.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::real::Scalar;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// The distribution of held-back scores, as `N` knots of its upper tail function.
///
/// Where the calibration rows have at most `N` distinct scores, all are knots and p-values are exact. Otherwise the
/// highest scores are all knots, and between the sparser ones below the p-value is rounded up: never too anomalous.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Calibration<const N: usize> {
    /// Knots, ascending; unused ones at the end are `f32::MAX`.
    pub scores: [f32; N],
    /// Calibration rows with a score above each knot.
    pub above: [u32; N],
    /// Calibration rows, n.
    pub rows: u32,
    /// Scores above it raise an alarm; one of the knots.
    pub threshold: f32,
    /// The rate α of false alarms that the threshold was chosen for.
    pub false_alarm_rate: f32,
}

impl<const N: usize> Calibration<N> {
    pub(crate) const RECORD: Record = record(&const { parameters(N) }, &const { fields(N) });

    /// The calibration, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> CalibrationView<'_> {
        CalibrationView {
            scores: &self.scores,
            above: &self.above,
            rows: self.rows,
            threshold: self.threshold,
            false_alarm_rate: self.false_alarm_rate,
        }
    }
}

/// What describes a calibration of so many knots.
#[must_use]
pub const fn parameters(knots: usize) -> [Parameter; 1] {
    [("knots", Value::Number(knots))]
}

/// What a calibration of so many knots stores.
#[must_use]
pub const fn fields(knots: usize) -> [Field; 5] {
    [
        Field::Data { name: "scores", format: Format::F32, count: knots, rule: Rule::Ascending },
        Field::Data { name: "above", format: Format::U32, count: knots, rule: Rule::Descending },
        Field::Data { name: "rows", format: Format::U32, count: 1, rule: Rule::Any },
        Field::Data { name: "threshold", format: Format::F32, count: 1, rule: Rule::Finite },
        Field::Data { name: "false_alarm_rate", format: Format::F32, count: 1, rule: Rule::Probability },
    ]
}

/// The record of a calibration. Every model has one, so it needs no name.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record::stored("", parameters, fields)
}

/// The mathematics of a [`Calibration`], on slices.
#[derive(Clone, Copy, Debug)]
pub struct CalibrationView<'a> {
    /// Knots, ascending.
    pub scores: &'a [f32],
    /// Calibration rows with a score above each knot.
    pub above: &'a [u32],
    /// Calibration rows.
    pub rows: u32,
    /// Scores above it raise an alarm.
    pub threshold: f32,
    /// The rate of false alarms that the threshold was chosen for.
    pub false_alarm_rate: f32,
}

impl CalibrationView<'_> {
    /// The p-value of a finite score: between 1/(n + 1) and 1.
    #[inline]
    #[must_use]
    pub fn p_value<T: Scalar>(&self, score: f32) -> f32 {
        let score = order(score);
        let below = self.scores.partition_point(|knot| order(*knot) < score);
        // Rows with a score >= s are among those above the last knot below s.
        let at_least = below.checked_sub(1).and_then(|knot| self.above.get(knot)).map_or(self.rows, |above| *above);
        // No more than there are, whatever the file says: a p-value is a probability.
        T::fraction(at_least.min(self.rows).saturating_add(1), self.rows.saturating_add(1))
    }

    /// Whether a score raises an alarm.
    #[inline]
    #[must_use]
    pub fn alarm(&self, score: f32) -> bool {
        order(score) > order(self.threshold)
    }
}

/// A number that is ordered as the values are, both zeros being one: comparisons in integers need no FPU.
#[inline(always)]
fn order(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    if bits < 0 { i32::MIN.wrapping_sub(bits) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::CalibrationView;

    #[test]
    fn p_values_count_the_rows_at_least_as_anomalous() {
        // Rows with scores 1, 2, 2, 3 and 5.
        let calibration = CalibrationView {
            scores: &[1.0, 2.0, 3.0, 5.0, f32::MAX],
            above: &[4, 2, 1, 0, 0],
            rows: 5,
            threshold: 3.0,
            false_alarm_rate: 0.5,
        };
        for (score, at_least) in [
            (f32::MIN, 5),
            (0.0, 5),
            (1.0, 5),
            (1.5, 4),
            (2.0, 4),
            (2.5, 2),
            (3.0, 2),
            (4.0, 1),
            (5.0, 1),
            (f32::MAX, 0),
        ] {
            assert_eq!(calibration.p_value::<f32>(score), (1 + at_least) as f32 / 6.0, "{score}");
        }
        assert!(!calibration.alarm(3.0) && calibration.alarm(4.0));
    }
}
