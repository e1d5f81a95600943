use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// The excesses over any threshold of a generalized Pareto distribution are of the same shape, so all of it is tail.
fn drawn(shape: f64, rows: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let all = Pareto { shape, scale: 2.0 };
    (0..rows).map(|_| (10.0 + all.sample(&mut rng)) as f32).collect()
}

fn truth(shape: f64, p: f64) -> f64 {
    10.0 + if shape == 0.0 { -2.0 * p.ln() } else { 2.0 * (p.powf(-shape) - 1.0) / shape }
}

#[test]
fn shape_scale_and_quantiles_of_known_tails_are_recovered() {
    for shape in [-0.4, -0.2, 0.0, 0.3, 0.7] {
        let tails: Vec<Tail> = (0..40).map(|seed| Tail::fit(&drawn(shape, 20_000, seed)).unwrap()).collect();
        let mean = |of: &dyn Fn(&Tail) -> f64| tails.iter().map(of).sum::<f64>() / tails.len() as f64;
        // 424 excesses have a standard error of (1 + shape) / 21, their mean over 40 samples one of a sixth of that.
        let error = mean(&|tail| tail.shape) - shape;
        assert!(error.abs() < 0.04, "shape {shape}: off by {error}");
        let scale = mean(&|tail| tail.scale / (2.0 + shape * (tail.start - 10.0)));
        assert!((scale - 1.0).abs() < 0.05, "shape {shape}: {scale} times the scale");
        for p in [1e-2, 1e-3, 1e-4, 1e-5] {
            let median = {
                let mut quantiles: Vec<f64> = tails.iter().map(|tail| tail.quantile(p)).collect();
                quantiles.sort_by(f64::total_cmp);
                quantiles[20]
            };
            let ratio = (median - 10.0) / (truth(shape, p) - 10.0);
            assert!((0.75..1.33).contains(&ratio), "shape {shape}, p {p}: {ratio} times the quantile");
        }
    }
}

#[test]
fn a_shape_below_zero_has_an_end_and_others_have_none() {
    let bounded = Tail::fit(&drawn(-0.5, 5000, 1)).unwrap();
    let end = bounded.quantile(0.0);
    assert!((end - 14.0).abs() < 0.2, "{end}");
    assert_eq!(bounded.exceedance_probability(end + 0.1), 0.0);
    let heavy = Tail::fit(&drawn(0.5, 5000, 1)).unwrap();
    assert_eq!(heavy.quantile(0.0), f64::INFINITY);
    assert!(heavy.exceedance_probability(1e6) > 0.0);
}

#[test]
fn probabilities_and_quantiles_are_inverse_to_each_other_and_count_below_the_start() {
    for shape in [-0.3, 0.0, 0.6] {
        let scores = drawn(shape, 2000, 9);
        let tail = Tail::fit(&scores).unwrap();
        assert_eq!((tail.rows, tail.share, tail.extremal_index), (2000, 135.0 / 2000.0, 1.0));
        for p in [1e-6, 1e-3, 0.01, 0.067] {
            assert!((tail.exceedance_probability(tail.quantile(p)) / p - 1.0).abs() < 1e-9, "shape {shape}, p {p}");
        }
        let counted = |score: f64| scores.iter().filter(|other| f64::from(**other) > score).count() as f64 / 2000.0;
        for score in [10.5, 11.0, tail.start, f64::from(scores[3]).min(tail.start)] {
            assert_eq!(tail.exceedance_probability(score), counted(score));
        }
        assert_eq!(tail.exceedance_probability(tail.quantile(0.5)), 0.5);
        assert!((tail.exceedance_probability(tail.start + 1e-9) - tail.share).abs() < 1e-6);
        assert_eq!((tail.exceedance_probability(-1e9), tail.exceedance_probability(f64::INFINITY)), (1.0, 0.0));
    }
}

#[test]
fn intervals_cover_the_quantile_of_known_tails_and_depend_on_the_seed_alone() {
    for shape in [-0.2, 0.0, 0.3] {
        for p in [1e-3, 0.02, 0.3] {
            let covers = |seed: &u64| {
                let tail = Tail::fit(&drawn(shape, 1000, 100 + seed)).unwrap();
                let (low, high) = tail.quantile_interval(p, *seed);
                (low..=high).contains(&truth(shape, p))
            };
            let covered = (0..40).filter(covers).count();
            assert!(covered >= 33, "shape {shape}, p {p}: {covered} of 40 intervals of 95 % cover the quantile");
        }
    }
    let tail = Tail::fit(&drawn(0.1, 1000, 0)).unwrap();
    assert_eq!(tail.quantile_interval(1e-4, 7), tail.quantile_interval(1e-4, 7));
    assert_ne!(tail.quantile_interval(1e-4, 7), tail.quantile_interval(1e-4, 8));
}

/// The larger of two neighbours of independent heavy-tailed values: every large one comes twice, so the extremal index is a half.
fn moving_maximum(rows: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<f32> = (0..=rows).map(|_| (-1.0 / rng.random::<f64>().ln()) as f32).collect();
    values.windows(2).map(|pair| pair[0].max(pair[1])).collect()
}

#[test]
fn runs_of_high_scores_are_one_alarm_each() {
    let scores = moving_maximum(20_000, 3);
    let tail = Tail::fit_declustered(&scores, 2).unwrap();
    assert!((tail.extremal_index - 0.5).abs() < 0.05, "{}", tail.extremal_index);
    assert!((tail.shape - 1.0).abs() < 0.25, "{}", tail.shape);
    assert_eq!(tail.excesses(), (tail.extremal_index * tail.share * 20_000.0).round() as usize);
    let fresh = moving_maximum(1_000_000, 4);
    for p in [1e-3, 2e-4] {
        let threshold = tail.quantile(p);
        let above: Vec<usize> = (0..fresh.len()).filter(|row| f64::from(fresh[*row]) > threshold).collect();
        let alarms = 1 + above.windows(2).filter(|pair| pair[1] - pair[0] > 2).count();
        let ratio = alarms as f64 / 1e6 / tail.alarms_per_reading(threshold);
        assert!((0.6..1.6).contains(&ratio), "{p}: {ratio} alarms for each that is expected");
    }
    let each = Tail::fit_declustered(&scores, 0).unwrap();
    assert_eq!(each, Tail::fit(&scores).unwrap());
}

#[test]
fn what_has_no_tail_says_why() {
    let message = |scores: &[f32]| Tail::fit(scores).unwrap_err().to_string();
    assert_eq!(message(&[1.0; 49]), "a tail needs at least 50 scores, found 49 (record more normal readings)");
    assert_eq!(Tail::fit(&[1.5; 100]), Err(TailError::Constant { score: 1.5 }));
    let mut scores = drawn(0.0, 100, 0);
    scores[7] = f32::NAN;
    assert_eq!(message(&scores), "score 7 is NaN, expected a finite number");
    let two: Vec<f32> = (0..100).map(|row| (row % 2) as f32).collect();
    assert_eq!(Tail::fit(&two), Err(TailError::Ties { start: 0.0, found: 1, needed: FEWEST }));
    // One score in a hundred is above all others, which are the same.
    let mut one = vec![0.0; 1000];
    one[..10].iter_mut().enumerate().for_each(|(row, score)| *score = row as f32);
    assert_eq!(Tail::fit(&one), Err(TailError::Ties { start: 0.0, found: 9, needed: FEWEST }));
    let mut one_run = vec![0.0; 500];
    one_run.iter_mut().enumerate().for_each(|(row, score)| *score = row as f32);
    let few = Tail::fit_declustered(&one_run, 3).unwrap_err();
    assert_eq!(few, TailError::TooFewClusters { start: 431.0, found: 1, needed: FEWEST, run: 3 });
}

#[test]
fn ties_move_the_threshold_below_themselves() {
    // A third of the rows is equal to what the rule takes first.
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let scores: Vec<f32> = (0..300)
        .map(|row| if row % 3 == 0 { 5.0 } else { rng.random::<f32>() * if row < 60 { 10.0 } else { 5.0 } })
        .collect();
    let tail = Tail::fit(&scores).unwrap();
    assert!(tail.start < 5.0 && tail.share > 0.3, "{tail:?}");
    assert!(tail.quantile(1e-4).is_finite());
}

#[test]
fn exponential_tails_have_one_parameter() {
    let tail = Tail::fit(&drawn(0.0, 2000, 7)).unwrap().exponential();
    assert!((tail.scale / 2.0 - 1.0).abs() < 0.25 && tail.shape == 0.0, "{tail:?}");
    let (low, high) = tail.quantile_interval(1e-6, 0);
    let exact = 10.0 - 2.0 * 1e-6_f64.ln();
    assert!(low < exact && exact < high && high - low < 20.0, "{low} {exact} {high}");
}

#[test]
fn thresholds_and_rates_of_alarms_are_inverse() {
    let scores: Vec<f32> = drawn(0.1, 2000, 3).iter().flat_map(|score| [*score; 4]).collect();
    let tail = Tail::fit_declustered(&scores, 1).unwrap();
    assert!((0.2..0.3).contains(&tail.extremal_index), "{}", tail.extremal_index);
    for rate in [1e-3, 1e-5, 1e-8] {
        let back = tail.alarms_per_reading(tail.threshold_for(rate));
        assert!((back / rate - 1.0).abs() < 1e-6, "{rate}: {back}");
    }
}
