extern crate std;

use std::vec::Vec;

use super::*;

/// Two features, correlated at 0.8, standard normal each.
const CORRELATION: f32 = 0.8;
const SETTINGS: SettingsView<'_> = SettingsView {
    low: &[-50.0, -50.0],
    high: &[50.0, 50.0],
    longest_run: &[3, 0],
    mean: &[0.0, 0.0],
    deviation: &[1.0, 1.0],
    regression: &[0.0, CORRELATION, CORRELATION, 0.0],
    residual: &[0.6, 0.6],
    tail_scores: &[8.0, 10.0, f32::MAX],
    tail_p_values: &[1e-3, 1e-4, 1e-5],
    drift_rate: 0.01,
    drift_bound: 0.5,
    threshold: 6.0,
    needed: 2,
    of: 3,
    release: 4,
    faults: 2,
    cusum_reference: 2.0,
    cusum_cap: 6.0,
    cusum_limit: 10.0,
    golden: &[0.0, 0.0],
    golden_log_prob: 0.0,
};
const CALIBRATION: CalibrationView<'_> =
    CalibrationView { scores: &[1.0, 3.0, 6.0], above: &[50, 9, 0], rows: 99, threshold: 6.0, false_alarm_rate: 0.01 };

type Small = Monitor<[f32; 2], [u32; 2]>;

fn log_prob(reading: &[f32]) -> Result<f32, ReadingError> {
    crate::flow::check_finite(reading, &[])?;
    let (a, b) = (reading[0], reading[1]);
    let square = (a * a - 2.0 * CORRELATION * a * b + b * b) / (1.0 - CORRELATION * CORRELATION);
    Ok(-0.5 * square - (core::f32::consts::TAU * 0.6).ln())
}

/// A step with this score, on a reading that never repeats.
fn scored(monitor: &mut Small, at: &mut f32, score: f32) -> Status {
    *at = if *at > 0.1 { 0.0 } else { *at + 1e-3 };
    monitor.step(&SETTINGS, &CALIBRATION, &mut [*at, *at], |_| Ok(-score))
}

#[test]
fn an_alarm_takes_k_of_n_and_ends_by_quiet_readings() {
    let (mut monitor, mut at) = (Small::new(), 0.0);
    let mut states = Vec::new();
    for score in [0.0, 7.0, 0.0, 0.0, 0.0, 7.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0] {
        states.push(scored(&mut monitor, &mut at, score).state);
    }
    use State::{Alarm, Normal, Suspect};
    let expected =
        [Normal, Suspect, Suspect, Suspect, Normal, Suspect, Suspect, Alarm, Alarm, Alarm, Alarm, Normal, Normal];
    assert_eq!(states, expected);
}

#[test]
fn weak_and_lasting_evidence_adds_up() {
    let (mut monitor, mut at) = (Small::new(), 0.0);
    // A p-value of 0.1 each time: 2.3 nats, 0.3 more than the reference; none is above the threshold.
    let first = (0..100).find(|_| scored(&mut monitor, &mut at, 4.0).state == State::Alarm);
    assert_eq!(first, Some(33));
    let after = (0..200).find(|_| scored(&mut monitor, &mut at, 0.5).state == State::Normal);
    assert!(after.is_some_and(|readings| readings < 5), "{after:?}");
    assert!(scored(&mut monitor, &mut at, 4.0).martingale > 5.0);
}

#[test]
fn the_cusum_comes_down_in_a_bounded_time() {
    let (mut monitor, mut at) = (Small::new(), 0.0);
    for _ in 0..10_000 {
        scored(&mut monitor, &mut at, 1e9);
    }
    let until = (0..100).find(|_| scored(&mut monitor, &mut at, 0.0).state == State::Normal);
    assert_eq!(until, Some(7));
}

#[test]
fn broken_sensors_are_faults_and_no_evidence() {
    let mut monitor = Small::new();
    let mut step = |reading: [f32; 2]| monitor.step(&SETTINGS, &CALIBRATION, &mut { reading }, log_prob);
    assert_eq!(step([0.1, 0.1]).state, State::Normal);
    let fault = step([f32::NAN, 0.0]);
    assert_eq!(fault.outcome, Err(Fault::Reading(ReadingError::NotFinite { feature: 0 })));
    assert_eq!(fault.state, State::Normal, "one reading is no fault yet");
    let fault = step([0.0, 51.0]);
    assert_eq!(fault.outcome, Err(Fault::OutOfRange { feature: 1 }));
    assert!(fault.state == State::SensorFault && fault.changed && fault.cusum == 0.0);
    for run in 1..6 {
        let status = step([0.25, 0.1 * run as f32]);
        let stuck = status.outcome == Err(Fault::Stuck { feature: 0 });
        assert_eq!(stuck, run > 3, "{run}");
    }
    assert_eq!(step([0.2, 0.1]).state, State::Normal);
}

#[test]
fn p_values_go_on_beyond_the_counts() {
    let p_value = |score| SETTINGS.p_value(&CALIBRATION, score);
    assert_eq!(p_value(6.5), 0.01);
    assert_eq!(p_value(7.9), 0.01);
    assert_eq!(p_value(8.0), 1e-3);
    assert_eq!(p_value(9.9), 1e-3);
    assert_eq!(p_value(1e30), 1e-4);
    assert!(!SETTINGS.is_extrapolated(&CALIBRATION, p_value(6.5)));
    assert!(SETTINGS.is_extrapolated(&CALIBRATION, p_value(9.0)));
}

#[test]
fn slow_drift_is_followed_within_its_bound_and_not_during_an_alarm() {
    let mut monitor = Small::new();
    let mut noise = 0.0_f32;
    let mut step = |monitor: &mut Small, shift: f32| {
        noise = (noise + 0.618_034) % 1.0;
        let value = 2.0 * noise - 1.0;
        monitor.step(&SETTINGS, &CALIBRATION, &mut [value + shift, value], log_prob)
    };
    for reading in 0..4000 {
        step(&mut monitor, 0.3 * reading as f32 / 4000.0);
    }
    let tracked = monitor.drift().shift[0];
    assert!((0.2..0.35).contains(&tracked), "{tracked}");
    assert!(monitor.drift().shift[1].abs() < 0.1);
    let before = *monitor.drift();
    for _ in 0..100 {
        assert!(step(&mut monitor, 6.0).state != State::Normal);
    }
    assert_eq!(*monitor.drift(), before);
    let (feature, used) = monitor.drift().used(&SETTINGS).unwrap();
    assert!(feature < 2 && used > 0.4 && used <= 1.0, "{feature} {used}");
}

#[test]
fn the_broken_sensor_is_named_with_its_direction() {
    for (reading, feature, above) in
        [([4.0, 0.0], 0, true), ([0.5, -3.5], 1, false), ([-1.0, 2.5], 1, true), ([-5.0, -1.0], 0, false)]
    {
        let [first, second] = attribute::<2>(&SETTINGS, &mut { reading }, log_prob).unwrap();
        assert_eq!((first.feature, first.above), (feature, above), "{reading:?}");
        assert!(first.ratio >= second.ratio && second.ratio >= 0.0);
        let other: f32 = reading[1 - feature];
        assert!((first.expected - CORRELATION * other).abs() < 0.1, "{first:?}");
    }
    assert!(attribute::<1>(&SETTINGS, &mut [f32::NAN, 0.0], log_prob).is_err());
}

#[test]
fn a_missing_feature_is_integrated_out() {
    for (reading, missing) in [([9.0, 0.3], 0), ([-2.0, f32::NAN], 1), ([0.0, 3.0], 0), ([1.0, 1.0], 1)] {
        let found = marginal_log_prob(&SETTINGS, &mut { reading }, missing, log_prob).unwrap();
        let other: f32 = reading[1 - missing];
        let exact = -0.5 * other * other - 0.5 * core::f32::consts::TAU.ln();
        assert!((found - exact).abs() < 1e-4, "{found} {exact}");
    }
    let error = marginal_log_prob(&SETTINGS, &mut [f32::NAN, 0.0], 1, log_prob);
    assert_eq!(error, Err(ReadingError::NotFinite { feature: 0 }));
    // A density a tenth, and ten times, as wide as the regression says.
    for width in [0.06_f32, 6.0] {
        let narrow = |reading: &[f32]| {
            let z = reading[0] / width;
            Ok(-0.5 * z * z - (width * core::f32::consts::TAU.sqrt()).ln())
        };
        let found = marginal_log_prob(&SETTINGS, &mut [7.0, 0.0], 0, narrow).unwrap();
        assert!(found.abs() < 0.37, "{width}: {found}");
    }
}
