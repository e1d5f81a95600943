//! Scores in fixed point against the same flow's in f32, on the rig: the committed model and its readings.

use flowlet::real::Scalar;
use flowlet::{Assessment, Fixed, ReadingError};
use flowlet_tests::models::host_model;
use flowlet_trainer::data::{Readings, Roles, Table};
use flowlet_trainer::metrics::auroc;
use flowlet_trainer::model::Model;

/// The committed model, and the same values in fixed point.
fn models() -> [Model; 2] {
    let model = Model::from_bytes(include_bytes!("../../firmware/model/rig.flow")).expect("the committed model");
    let mut core = *model.core();
    core.arithmetic = Fixed::ARITHMETIC;
    let fixed = host_model(&core, model.body());
    [model, fixed]
}

/// Of the normal readings, then of the anomalies.
fn assess(model: &Model, readings: &Readings) -> Vec<Assessment> {
    let scorer = model.scorer();
    let rows = [&readings.values, &readings.anomalies].map(|table| (0..table.rows()).map(|row| table.row(row)));
    rows.into_iter().flatten().map(|row| scorer.assess(row, &[]).expect("finite")).collect()
}

#[test]
fn scores_are_close_to_those_in_f32_and_separate_as_well() {
    let [float, fixed] = models();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hydraulic/test.csv");
    let table = Table::read(path.as_ref()).expect("the rig's readings");
    let names: Vec<String> = float.metadata().features.iter().map(|feature| feature.name.clone()).collect();
    let roles = Roles { label: Some("anomaly".to_owned()), ..Roles::default() };
    let readings = Readings::with_features(&table, &names, &roles).expect("the model's columns");
    let (float, fixed) = (assess(&float, &readings), assess(&fixed, &readings));

    let mut errors = Vec::new();
    let mut verdicts = 0;
    for (float, fixed) in float.iter().zip(&fixed) {
        if float.log_prob > -10_000.0 {
            // Of what is far off, a share.
            errors.push((float.log_prob - fixed.log_prob).abs() / float.log_prob.abs().max(10.0) * 10.0);
        } else {
            // Squares of what is so far off saturate: most anomalous all the same.
            assert!(fixed.log_prob < -10_000.0 && fixed.alarm, "{float:?}, but {fixed:?}");
        }
        verdicts += usize::from(float.alarm != fixed.alarm);
    }
    errors.sort_by(f32::total_cmp);
    let quantile = |percent: usize| errors[(errors.len() - 1) * percent / 100];
    println!(
        "{} readings: errors of half of them up to {:.4} nats, of 99 % up to {:.4}, of all up to {:.4}; {verdicts} verdicts differ",
        errors.len(),
        quantile(50),
        quantile(99),
        quantile(100)
    );
    assert!(quantile(50) < 0.006 && quantile(99) < 0.1, "{} and {}", quantile(50), quantile(99));
    assert!(verdicts * 1000 < float.len(), "{verdicts} of {} verdicts differ", float.len());

    let separation = |of: &[Assessment]| {
        let scores: Vec<f32> = of.iter().map(Assessment::score).collect();
        let labels: Vec<bool> = (0..scores.len()).map(|row| row >= readings.values.rows()).collect();
        auroc(&scores, &labels).expect("both kinds")
    };
    let (float, fixed) = (separation(&float), separation(&fixed));
    println!("AUROC {float:.5} in f32, {fixed:.5} in fixed point");
    assert!((float - fixed).abs() < 0.001);
}

#[test]
fn faults_of_a_sensor_are_refused_and_what_is_far_off_is_most_anomalous() {
    let [_, fixed] = models();
    let scorer = fixed.scorer();
    let usual = [35.582, 41.234, 38.426, 30.566, 0.541, 46.424, 2.126, 67.918];
    let normal = scorer.assess(&usual, &[]).expect("finite");
    assert!(!normal.alarm && normal.p_value > 0.01);
    for feature in 0..usual.len() {
        for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut reading = usual;
            reading[feature] = fault;
            assert_eq!(scorer.assess(&reading, &[]), Err(ReadingError::NotFinite { feature }));
        }
        for far in [40_000.0, -40_000.0, 1e30, f32::MAX, f32::MIN] {
            let mut reading = usual;
            reading[feature] = far;
            let assessment = scorer.assess(&reading, &[]).expect("finite");
            assert!(assessment.alarm && assessment.log_prob < -1000.0, "{far}: {assessment:?}");
        }
    }
}
