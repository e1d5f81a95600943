//! The typed model and the host's view of the same file agree to the bit, whatever the reading.

use flowlet::{Assessment, ReadingError};
use flowlet_tests::models::{Aligned, AnyDetector, Style, body, detectors, host_model};
use flowlet_trainer::model::{Model, ROWS};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Every model in every style, with the host's.
fn every(mut law: impl FnMut(&str, &dyn AnyDetector, &Aligned, &Model, &mut ChaCha8Rng)) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for (name, detector) in detectors() {
        for style in [Style::Fitted, Style::Initial, Style::Hostile] {
            // Permutations with which some features never interact are refused: draw others.
            let body = std::iter::repeat_with(|| body(detector.architecture(), style, &mut rng))
                .take(1000)
                .find(|body| detector.architecture().check_body::<128>(body).is_ok())
                .expect("an acceptable body");
            let host = host_model(detector.architecture(), &body);
            let file = Aligned::new(&host.to_bytes());
            law(&format!("{name}, {style:?}"), detector.as_ref(), &file, &host, &mut rng);
        }
    }
}

/// A reading: ordinary, far off, tiny, or any bits.
fn reading(features: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let kind = rng.random_range(0..6);
    let mut value = || match kind {
        0 | 1 => rng.sample::<f32, _>(StandardNormal) * 3.0,
        2 => rng.sample::<f32, _>(StandardNormal) * 1e38,
        3 => rng.sample::<f32, _>(StandardNormal) * 1e-40,
        4 => [0.0, -0.0, 1.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 32767.5][rng.random_range(0..7)],
        _ => f32::from_bits(rng.random()),
    };
    (0..features).map(|_| value()).collect()
}

/// Bits, except that all NaNs are one: Rust leaves their sign and payload open.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

#[test]
fn assessments_have_the_same_bits() {
    let (mut assessed, mut refused, mut alarms) = (0, 0, 0);
    every(|name, detector, file, host, rng| {
        let scorer = host.scorer();
        for _ in 0..600 {
            let x = reading(detector.architecture().features, rng);
            let context = reading(detector.architecture().context, rng);
            let typed = detector.assess(file.bytes(), &x, &context);
            match (typed, scorer.assess(&x, &context)) {
                (Ok(typed), Ok(host)) => {
                    let both = [typed, host].map(|it| bits(&[it.log_prob, it.p_value]));
                    assert_eq!((&both[0], typed.alarm), (&both[1], host.alarm), "{name}: {x:?}, {context:?}");
                    assert!(typed.log_prob.is_finite() && (0.0..=1.0).contains(&typed.p_value), "{name}: {typed:?}");
                    assert_eq!(typed.log_prob, scorer.log_prob(&x, &context).unwrap());
                    assessed += 1;
                    alarms += usize::from(typed.alarm);
                }
                (Err(typed), Err(host)) => {
                    assert_eq!(typed, host, "{name}: {x:?}, {context:?}");
                    let finite = x.iter().chain(&context).all(|value| value.is_finite());
                    let of_a_number = matches!(typed, ReadingError::Singular | ReadingError::OutsideSupport);
                    assert_eq!(of_a_number, finite, "{name}: {x:?}");
                    refused += 1;
                }
                (typed, host) => panic!("{name}: {x:?}: {typed:?} on the device, {host:?} on the host"),
            }
        }
    });
    println!("{assessed} assessed, {refused} refused, {alarms} alarms");
    assert!(assessed > 10_000 && refused > 100 && alarms > 1000 && alarms + 1000 < assessed);
}

#[test]
fn readings_have_the_same_bits_among_others_as_alone() {
    every(|name, detector, _, host, rng| {
        let scorer = host.scorer();
        let (features, context) = (detector.architecture().features, detector.architecture().context);
        for count in [1, 2, 63, ROWS, ROWS] {
            let mut rows: Vec<Vec<f32>> = (0..count).map(|_| reading(features + context, rng)).collect();
            // One that has a value too many.
            rows[count / 2].extend([1.0].iter().take(usize::from(count == 63)));
            let mut among = Vec::new();
            scorer.assess_rows(rows.iter().map(Vec::as_slice), |said| among.push(said));
            assert_eq!(among.len(), count);
            for (row, among) in rows.iter().zip(among) {
                let bits = |said: Assessment| (bits(&[said.log_prob, said.p_value]), said.alarm);
                if row.len() == features + context {
                    let (reading, context) = row.split_at(features);
                    assert_eq!(among.map(bits), scorer.assess(reading, context).map(bits), "{name}: {row:?}");
                } else {
                    let wrong = ReadingError::WrongLength { expected: features + context, found: row.len() };
                    assert_eq!(among, Err(wrong), "{name}");
                }
            }
        }
    });
}

#[test]
fn latents_and_samples_have_the_same_bits() {
    every(|name, detector, file, host, rng| {
        let scorer = host.scorer();
        let mut words = [ChaCha8Rng::seed_from_u64(7), ChaCha8Rng::seed_from_u64(7)];
        for _ in 0..100 {
            let x = reading(detector.architecture().features, rng);
            let context = reading(detector.architecture().context, rng);
            let (typed, view) = (detector.latent(file.bytes(), &x, &context), scorer.latent(&x, &context));
            assert_eq!(typed.map(|z| bits(&z)), view.map(|z| bits(&z)), "{name}: {x:?}, {context:?}");
            let context: Vec<f32> = context.iter().map(|value| value.clamp(-3.0, 3.0)).collect();
            let typed = detector.sample(file.bytes(), &mut words[0], &context);
            let view = scorer.sample(&mut words[1], &context);
            assert_eq!(bits(&typed), bits(&view), "{name}");
        }
    });
}

#[test]
fn p_values_and_alarms_agree_at_the_edges_of_the_calibration() {
    every(|name, detector, file, host, rng| {
        // The file with its threshold moved to the score of a reading, and its neighbours.
        let context = vec![0.5; detector.architecture().context];
        let found = (0..1000).find_map(|_| {
            let x: Vec<f32> = (0..detector.architecture().features).map(|_| rng.sample(StandardNormal)).collect();
            host.scorer().assess(&x, &context).ok().map(|assessment| (x, assessment.score()))
        });
        // With the extremes that a file may hold, every log-determinant may be an infinity.
        let Some((x, score)) = found else {
            assert!(name.ends_with("Hostile"), "{name}: no reading in the support");
            return;
        };
        for (threshold, alarm) in [(score, false), (score.next_down(), true), (score.next_up(), false)] {
            if !threshold.is_finite() {
                continue;
            }
            let mut body = host.body().to_vec();
            let place = body.len() - 8;
            body[place..place + 4].copy_from_slice(&threshold.to_le_bytes());
            let moved = host_model(detector.architecture(), &body);
            assert_eq!(moved.scorer().assess(&x, &context).unwrap().alarm, alarm, "{name}: {score} over {threshold}");
            let moved = Aligned::new(&moved.to_bytes());
            assert_eq!(detector.assess(moved.bytes(), &x, &context).unwrap().alarm, alarm, "{name}");
        }
        assert_eq!(file.bytes(), host.to_bytes());
    });
}

#[test]
fn wrong_lengths_are_refused_alike() {
    every(|name, detector, file, host, _| {
        let (features, context) = (detector.architecture().features, detector.architecture().context);
        for (x, c, error) in [
            (features + 1, context, ReadingError::WrongLength { expected: features, found: features + 1 }),
            (features - 1, context, ReadingError::WrongLength { expected: features, found: features - 1 }),
            (features, context + 1, ReadingError::WrongLength { expected: context, found: context + 1 }),
        ] {
            let (x, c) = (vec![0.5; x], vec![0.5; c]);
            assert_eq!(detector.assess(file.bytes(), &x, &c), Err(error), "{name}");
            assert_eq!(host.scorer().assess(&x, &c), Err(error), "{name}");
        }
    });
}
