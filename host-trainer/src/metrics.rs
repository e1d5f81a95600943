//! How well scores tell anomalies from normal readings.
//!
//! Scores are negative log-densities, higher is more anomalous; `anomalous[i]` says whether reading i is an anomaly.
//! Measures that need both kinds of readings are `None` where one is missing.

/// Area under the receiver operating characteristic: the chance that an anomaly scores higher than a normal reading,
/// ties counting half (Mann and Whitney, 1947).
///
/// # Panics
/// If there is not one label for each score.
pub fn auroc(scores: &[f32], anomalous: &[bool]) -> Option<f64> {
    let (mut wins, mut normal_below) = (0.0, 0.0);
    let (mut anomalies, mut normals) = (0.0, 0.0);
    for_ties(scores, anomalous, Direction::Ascending, |tied_anomalies, tied_normals| {
        wins += tied_anomalies * (normal_below + 0.5 * tied_normals);
        normal_below += tied_normals;
        anomalies += tied_anomalies;
        normals += tied_normals;
    });
    (anomalies > 0.0 && normals > 0.0).then(|| wins / (anomalies * normals))
}

/// Average precision: the sum over thresholds of precision times the gain in recall, tied scores sharing a threshold.
///
/// # Panics
/// If there is not one label for each score.
pub fn average_precision(scores: &[f32], anomalous: &[bool]) -> Option<f64> {
    let all_anomalies = anomalous.iter().filter(|&&anomalous| anomalous).count() as f64;
    let (mut sum, mut anomalies, mut rows) = (0.0, 0.0, 0.0);
    for_ties(scores, anomalous, Direction::Descending, |tied_anomalies, tied_normals| {
        anomalies += tied_anomalies;
        rows += tied_anomalies + tied_normals;
        sum += tied_anomalies / all_anomalies * (anomalies / rows);
    });
    (all_anomalies > 0.0 && all_anomalies < scores.len() as f64).then_some(sum)
}

/// The share of readings that raise the alarm among those whose `anomalous` is `kind`: of anomalies the detection rate,
/// of normal readings the false-alarm rate.
///
/// # Panics
/// If there is not one label for each alarm.
pub fn alarm_rate(alarms: &[bool], anomalous: &[bool], kind: bool) -> Option<f64> {
    assert_eq!(alarms.len(), anomalous.len(), "one label for each alarm");
    let of_kind = || alarms.iter().zip(anomalous).filter(|&(_, &anomalous)| anomalous == kind);
    let raised = of_kind().filter(|&(&alarm, _)| alarm).count();
    let rows = of_kind().count();
    (rows > 0).then(|| raised as f64 / rows as f64)
}

/// The arithmetic mean.
pub fn mean(values: &[f32]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64)
}

/// The median: of an even number of values the mean of the two in the middle.
pub fn median(values: &[f32]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let upper = f64::from(*sorted.get(sorted.len() / 2)?);
    let lower = f64::from(sorted[(sorted.len() - 1) / 2]);
    Some(0.5 * (lower + upper))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ascending,
    Descending,
}

/// Calls `each` with the numbers of anomalies and normal readings of every distinct score, in order.
fn for_ties(scores: &[f32], anomalous: &[bool], direction: Direction, mut each: impl FnMut(f64, f64)) {
    assert_eq!(scores.len(), anomalous.len(), "one label for each score");
    let mut rows: Vec<(f32, bool)> = scores.iter().copied().zip(anomalous.iter().copied()).collect();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    if direction == Direction::Descending {
        rows.reverse();
    }
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let anomalies = tied.iter().filter(|(_, anomalous)| *anomalous).count();
        each(anomalies as f64, (tied.len() - anomalies) as f64);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn auroc_by_pairs(scores: &[f32], anomalous: &[bool]) -> f64 {
        let of = |kind| scores.iter().zip(anomalous).filter(move |pair| *pair.1 == kind).map(|pair| *pair.0);
        let pairs: Vec<f64> = of(true)
            .flat_map(|anomaly| of(false).map(move |normal| (anomaly, normal)))
            .map(|(anomaly, normal)| if anomaly > normal { 1.0 } else { f64::from(u8::from(anomaly == normal)) * 0.5 })
            .collect();
        pairs.iter().sum::<f64>() / pairs.len() as f64
    }

    fn average_precision_by_thresholds(scores: &[f32], anomalous: &[bool]) -> f64 {
        let mut thresholds = scores.to_vec();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let all = anomalous.iter().filter(|a| **a).count() as f64;
        let (mut sum, mut recall) = (0.0, 0.0);
        for threshold in thresholds {
            let above: Vec<bool> =
                scores.iter().zip(anomalous).filter(|(s, _)| **s >= threshold).map(|(_, a)| *a).collect();
            let hits = above.iter().filter(|a| **a).count() as f64;
            sum += (hits / all - recall) * hits / above.len() as f64;
            recall = hits / all;
        }
        sum
    }

    #[test]
    fn ranking_measures_equal_their_definitions() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for rows in [2, 5, 40, 200] {
            for levels in [2.0, 10.0, 1e6] {
                let mut anomalous: Vec<bool> = (0..rows).map(|_| rng.random::<f32>() < 0.3).collect();
                (anomalous[0], anomalous[1]) = (true, false);
                let scores: Vec<f32> = (0..rows).map(|_| (rng.random::<f32>() * levels).round() - 1.0).collect();
                let area = auroc(&scores, &anomalous).unwrap();
                assert!((area - auroc_by_pairs(&scores, &anomalous)).abs() < 1e-12);
                let precision = average_precision(&scores, &anomalous).unwrap();
                assert!((precision - average_precision_by_thresholds(&scores, &anomalous)).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn known_values() {
        // The example of scikit-learn's documentation of both functions.
        let (scores, anomalous) = ([0.1, 0.4, 0.35, 0.8], [false, false, true, true]);
        assert_eq!(auroc(&scores, &anomalous), Some(0.75));
        assert!((average_precision(&scores, &anomalous).unwrap() - 0.833_333_333).abs() < 1e-9);
        assert_eq!(auroc(&[1.0; 4], &anomalous), Some(0.5));
        assert_eq!(average_precision(&[1.0; 4], &anomalous), Some(0.5));
        assert_eq!(auroc(&[4.0, 3.0, 2.0, 1.0], &anomalous), Some(0.0));
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]), Some(0.5));
    }

    #[test]
    fn one_kind_of_readings_has_no_ranking() {
        for kind in [true, false] {
            assert_eq!(auroc(&[1.0, 2.0], &[kind; 2]), None);
            assert_eq!(average_precision(&[1.0, 2.0], &[kind; 2]), None);
        }
        assert_eq!(auroc(&[], &[]), None);
    }

    #[test]
    fn alarm_rates_by_kind() {
        let (alarms, anomalous) = ([true, false, true, true, false], [true, true, true, false, false]);
        assert_eq!(alarm_rate(&alarms, &anomalous, true), Some(2.0 / 3.0));
        assert_eq!(alarm_rate(&alarms, &anomalous, false), Some(0.5));
        assert_eq!(alarm_rate(&alarms[..3], &anomalous[..3], false), None);
    }

    #[test]
    fn mean_and_median() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!(median(&[6.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[6.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!((mean(&[]), median(&[])), (None, None));
    }
}
