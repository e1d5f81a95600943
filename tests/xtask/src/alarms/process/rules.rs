//! Decision rules on a sequence of scores, each as a statistic that raises the alarm above a limit: what each row has.

use flowlet::monitor::{Evidence, SettingsView};

/// Rows in a row at or below the limit that end an alarm, whatever the rule.
pub(super) const RELEASE: usize = 10;

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// One score above the limit.
    Single,
    /// So many of the last `of` scores above it.
    OfLast { needed: usize, of: usize },
    /// The monitor's CUSUM of the surprise.
    Cusum,
    /// The monitor's power martingale, its logarithm.
    Martingale,
}

impl Rule {
    pub(super) const ALL: [Self; 5] = [
        Self::Single,
        Self::OfLast { needed: 2, of: 3 },
        Self::OfLast { needed: 3, of: 5 },
        Self::Cusum,
        Self::Martingale,
    ];

    pub(super) fn name(self) -> String {
        match self {
            Self::Single => "single score".to_owned(),
            Self::OfLast { needed, of } => format!("{needed} of {of}"),
            Self::Cusum => "CUSUM".to_owned(),
            Self::Martingale => "martingale".to_owned(),
        }
    }

    /// The statistic after each row of a run, from its scores and their p-values.
    pub(super) fn statistic(self, scores: &[f32], p_values: &[f32]) -> Vec<f32> {
        match self {
            Self::Single => scores.to_vec(),
            Self::OfLast { needed, of } => kth_highest(scores, needed, of),
            Self::Cusum => cusum(p_values),
            Self::Martingale => martingale(p_values),
        }
    }
}

/// The k-th highest of the last n scores: k of them are above a threshold where it is. `f32::MIN` while there are fewer than k.
pub(super) fn kth_highest(scores: &[f32], needed: usize, of: usize) -> Vec<f32> {
    let kth = |row: usize| {
        let mut last = scores[(row + 1).saturating_sub(of)..=row].to_vec();
        last.sort_unstable_by(|a, b| b.total_cmp(a));
        last.get(needed - 1).copied().unwrap_or(f32::MIN)
    };
    (0..scores.len()).map(kth).collect()
}

/// The monitor's CUSUM after each p-value, nats.
pub(super) fn cusum(p_values: &[f32]) -> Vec<f32> {
    evidence(p_values, |evidence| evidence.cusum)
}

/// The logarithm of the monitor's martingale after each p-value, nats.
pub(super) fn martingale(p_values: &[f32]) -> Vec<f32> {
    evidence(p_values, Evidence::martingale)
}

fn evidence(p_values: &[f32], of: impl Fn(&Evidence) -> f32) -> Vec<f32> {
    let mut evidence = Evidence::NONE;
    let after = |p_value: &f32| {
        evidence.update(&SETTINGS, *p_value);
        of(&evidence)
    };
    p_values.iter().map(after).collect()
}

/// As `flowlet monitor` writes them, but for the limit: the device bounds the CUSUM at twice its limit, which no first alarm depends on. There is no
/// tail: p-values are counts.
pub(super) const SETTINGS: SettingsView<'_> = SettingsView {
    low: &[],
    high: &[],
    longest_run: &[],
    mean: &[],
    deviation: &[],
    regression: &[],
    residual: &[],
    tail_scores: &[],
    tail_p_values: &[],
    drift_rate: 0.0,
    drift_bound: 0.0,
    threshold: f32::MAX,
    needed: 1,
    of: 1,
    release: RELEASE as u32,
    faults: 1,
    cusum_reference: 2.0,
    cusum_cap: 6.0,
    cusum_limit: f32::MAX,
    golden: &[],
    golden_log_prob: 0.0,
};

/// Whether the alarm is on after each row.
pub(super) fn alarm(statistic: &[f32], limit: f32) -> Vec<bool> {
    // Rows since one was above the limit.
    let mut quiet = RELEASE;
    let on = |value: &f32| {
        quiet = if *value > limit { 0 } else { quiet + 1 };
        quiet < RELEASE
    };
    statistic.iter().map(on).collect()
}

/// How often the alarm is entered.
pub(super) fn entries(statistic: &[f32], limit: f32) -> usize {
    let alarm = alarm(statistic, limit);
    (0..alarm.len()).filter(|row| alarm[*row] && (*row == 0 || !alarm[row - 1])).count()
}

/// Rows from the onset to the first one from there on whose statistic is above the limit.
pub(super) fn delay(statistic: &[f32], onset: usize, limit: f32) -> Option<usize> {
    statistic[onset..].iter().position(|value| *value > limit)
}

/// Of budgets of 0, 1, .. `most` entries the lowest limit that keeps to each, in all sequences together, as does every higher one.
pub(super) fn limits(sequences: &[&[f32]], most: usize) -> Vec<f32> {
    let mut candidates: Vec<f32> = sequences.iter().flat_map(|sequence| sequence.iter().copied()).collect();
    candidates.sort_unstable_by(|a, b| b.total_cmp(a));
    candidates.dedup();
    let mut limits = vec![f32::MAX; most + 1];
    // A lower limit may have fewer entries, where it joins two alarms: the most up to now counts.
    let mut entered = 0;
    for limit in candidates {
        entered = entered.max(sequences.iter().map(|sequence| entries(sequence, limit)).sum());
        let Some(kept) = limits.get_mut(entered..) else { break };
        kept.fill(limit);
    }
    limits
}

#[cfg(test)]
mod tests {
    use flowlet::calibration::CalibrationView;
    use flowlet::monitor::{Drift, Monitor};

    use super::*;

    /// A burst of two rows, a wild row long after it, and a fault from row 40 on.
    fn made_up() -> Vec<f32> {
        let mut scores = vec![0.0; 60];
        (scores[5], scores[6], scores[25]) = (3.0, 4.0, 9.0);
        (40..60).for_each(|row| scores[row] = 1.0 + 0.5 * (row - 40) as f32);
        scores
    }

    #[test]
    fn delays_are_from_the_onset_to_the_first_row_above_the_limit() {
        let scores = made_up();
        assert_eq!(delay(&scores, 40, 0.5), Some(0));
        assert_eq!(delay(&scores, 40, 4.0), Some(7));
        assert_eq!(delay(&scores, 40, 10.0), Some(19));
        assert_eq!(delay(&scores, 40, 10.5), None);
        // Two of three: the second highest of three passes 4 a row later.
        let two = Rule::OfLast { needed: 2, of: 3 }.statistic(&scores, &[]);
        assert_eq!(delay(&two, 40, 4.0), Some(8));
    }

    #[test]
    fn entries_count_bursts_and_not_rows() {
        let scores = made_up();
        assert_eq!(entries(&scores[..40], 2.0), 2);
        assert_eq!(entries(&scores[..40], 5.0), 1);
        assert_eq!(entries(&scores, 2.0), 3);
        // A wild row is no two of three.
        assert_eq!(entries(&kth_highest(&scores[..40], 2, 3), 2.0), 1);
        let alarm = alarm(&scores, 2.0);
        assert_eq!(alarm.iter().position(|on| *on), Some(5));
        // On from the last row above the limit for nine more.
        assert!(alarm[6 + RELEASE - 1] && !alarm[6 + RELEASE]);
    }

    #[test]
    fn limits_keep_to_their_budgets() {
        let scores = made_up();
        let sequences = [&scores[..20], &scores[20..40]];
        let limits = limits(&sequences, 3);
        assert_eq!(limits, [9.0, 4.0, 0.0, 0.0]);
        for (budget, limit) in limits.iter().enumerate() {
            assert!(sequences.iter().map(|sequence| entries(sequence, *limit)).sum::<usize>() <= budget);
        }
    }

    #[test]
    fn the_kth_highest_decides_as_the_monitor_counts() {
        let scores: Vec<f32> = (0..200_u32).map(|row| (row.wrapping_mul(2_654_435_761) >> 16) as f32).collect();
        let calibration =
            CalibrationView { scores: &[], above: &[], rows: 0, threshold: f32::MAX, false_alarm_rate: 0.0 };
        for (needed, of) in [(1, 1), (2, 3), (3, 5)] {
            let threshold = 40_000.0;
            let settings = SettingsView { threshold, needed: needed as u32, of: of as u32, ..SETTINGS };
            let mut monitor = Monitor::<[f32; 0], [u32; 0]>::with([], [], Drift::new([], []));
            for (score, kth) in scores.iter().zip(kth_highest(&scores, needed, of)) {
                let status = monitor.step(&settings, &calibration, &mut [], |_| Ok(-*score));
                assert_eq!(status.count >= settings.needed, kth > threshold);
            }
        }
    }

    #[test]
    fn evidence_adds_up_where_no_row_is_rare() {
        // One normal row of twenty has as low a p-value.
        let p_values = [vec![0.5; 20], vec![0.05; 20]].concat();
        let (cusum, martingale) = (cusum(&p_values), martingale(&p_values));
        assert!(cusum[..20].iter().all(|sum| *sum == 0.0));
        // -ln 0.05 less the reference, each time.
        assert!((cusum[39] - 20.0 * (20.0_f32.ln() - 2.0)).abs() < 1e-3);
        assert!(martingale[19] < 0.0 && martingale[39] > martingale[19] + 9.0);
        assert_eq!(Rule::Cusum.statistic(&[], &p_values), cusum);
        assert_eq!(Rule::Martingale.statistic(&[], &p_values), martingale);
    }
}
