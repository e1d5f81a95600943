//! A stream on the emulated boards, and replayed on the host: states, scores, evidence and the sensors of alarms, to the bit.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use flowlet::Term;
use flowlet::monitor::attribute;
use flowlet_firmware::message::{Response, StreamState};
use flowlet_firmware::monitored::{CHANNELS, CHECKSUM, D, Linked, MODEL};
use flowlet_firmware::{Watch, Watching, frame};
use flowlet_tests::emulator::{Backend, Board, Build, Conversation, Options, build, run};
use flowlet_tests::stream::{bits, healthy, model, replayed, samples};
use flowlet_trainer::data::{Readings, Roles, Split, SplitOptions, Table};
use flowlet_trainer::fitting::fit;
use flowlet_trainer::model::{Model, rust_source};
use flowlet_trainer::monitor::Replay;
use flowlet_trainer::signal::{Others, windowed};
use flowlet_trainer::train::{Architecture, Family, Options as FitOptions};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

#[test]
fn every_board_says_of_a_stream_what_its_replay_says() {
    let samples = samples();
    let expected = replayed(&samples);
    let count = |wanted: StreamState| {
        expected.iter().filter(|answer| matches!(answer, Response::Watched { state, .. } if *state == wanted)).count()
    };
    // All states occur, or there is little to compare.
    for state in [StreamState::Normal, StreamState::Suspect, StreamState::Alarm, StreamState::SensorFault] {
        assert!(count(state) > 0, "{state:?}");
    }
    assert!(expected.iter().any(|answer| matches!(answer, Response::Watched { suspects: Some(_), .. })));
    let backends = [Backend::Rsemu, Backend::Qemu].into_iter().filter(|backend| backend.missing().is_none());
    for backend in backends {
        for board in [Board::Mps2An386, Board::Microbit] {
            let example = Some("monitor");
            let firmware = build(&Build { board, example, ..Build::default() }).expect("the firmware builds");
            let mut conversation = Conversation::new(samples.iter().map(|sample| sample.to_vec()).collect(), 4);
            let outcome = run(backend, &firmware, &mut conversation, &Options::default()).expect("the emulator runs");
            outcome.check().expect("the firmware ends well");
            let answers = conversation.finish().expect("every sample is answered");
            for ((found, expected), sample) in bits(&answers.readings).iter().zip(bits(&expected)).zip(0..) {
                assert_eq!(*found, expected, "{board} in {backend}, sample {sample}");
            }
            assert_eq!(answers.statistics.lost_bytes, 0);
        }
    }
}

#[test]
fn the_typed_model_on_the_host_says_the_same() {
    let samples = samples();
    let mut application = Watching::<_, CHANNELS, { frame::max_request(CHANNELS) }>::new(Linked::new());
    let mut answers = Vec::new();
    for (sequence, sample) in (0..).zip(&samples) {
        let request = flowlet_firmware::message::Request::Reading { sequence, values: &sample[..] };
        let frame = frame::encode::<_, { frame::max_request(CHANNELS) }>(&request).unwrap();
        answers.extend(frame.iter().filter_map(|byte| application.push(*byte)).flatten());
    }
    assert_eq!(bits(&answers), bits(&replayed(&samples)));
}

/// Calls `visit` for each channel of each healthy cycle with a replay at whose last readings the channel's offset has
/// jumped by some standard deviations, with the channel and the jump.
fn faults(mut visit: impl FnMut(&Replay<'_>, usize, f32)) {
    let model = model();
    for (number, cycle) in healthy().iter().enumerate() {
        for channel in 0..CHANNELS {
            for deviations in [-8.0, -5.0, 5.0, 8.0] {
                let mut replay = Replay::new(&model).unwrap();
                let offset = deviations * MODEL.monitor.deviation[2 * channel];
                let middle = 20 + number % 20;
                for (index, sample) in cycle.iter().enumerate().take(middle + 8) {
                    let mut sample = *sample;
                    sample[channel] += if index >= middle { offset } else { 0.0 };
                    let _ = replay.push(&sample, &[]);
                }
                visit(&replay, channel, offset);
            }
        }
    }
}

/// A sensor whose offset jumps by some standard deviations of its channel, in the middle of a healthy cycle: how often
/// it is named first.
#[test]
fn the_sensor_that_is_wrong_is_named() {
    let (mut named, mut tried) = (0, 0);
    faults(|replay, channel, offset| {
        let [first] = replay.attribute::<1>(&[]).unwrap();
        named += usize::from(first.feature / 2 == channel && first.above == (offset > 0.0));
        tried += 1;
    });
    println!("named first, with its direction: {named} of {tried}");
    assert!(tried > 1000 && named * 10 >= tried * 9, "{named} of {tried}");
}

/// An autoregressive flow in one order, of the same features of the rig's signal.
fn ordered(family: Family) -> Model {
    let recipe = model().architecture().monitor.unwrap().signal.recipe().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hydraulic/train_normal.csv");
    let others = Others { label: Some("anomaly"), group: Some("cycle"), kept: &[] };
    let (table, _) = windowed(&Table::read(Path::new(path)).unwrap(), &others, |_| Ok(recipe)).unwrap();
    let roles = Roles { label: Some("anomaly".into()), group: Some("cycle".into()), ..Roles::default() };
    let readings = Readings::for_fitting(&table, &roles).unwrap();
    let split = Split::new(&readings, &SplitOptions::default()).unwrap();
    let calibration = readings.values.select(&split.calibration);
    let architecture = Architecture { layers: 2, ..Architecture::of(family, D) }.in_fixed_order(D, 0);
    let options = FitOptions { architecture, steps: 3000, ..FitOptions::for_features(D) };
    let cancel = AtomicBool::new(false);
    fit(&readings, &split, &calibration, 0.01, &options, &mut (), &cancel).unwrap().model
}

/// The same faults by conditional terms, which are exact, and by the likelihood ratio. A fault also disturbs what
/// later features are conditioned on, so the largest term need not be that of the sensor that is wrong.
#[test]
fn conditional_terms_account_for_a_fault_and_the_ratio_names_it() {
    // What is expected of each feature by the others, which is of readings and no model's.
    let monitored = model();
    let monitored = monitored.scorer();
    let settings = monitored.monitor().expect("a monitor");
    for family in [Family::MafSpline, Family::Naf] {
        let model = ordered(family);
        let (order, scorer) = (model.order().expect("one order"), model.scorer());
        // By the likelihood ratio, the lowest term, the largest |z|, and the first |z| above 3, above 4 and above 6.
        let (mut named, mut tried) = ([0; 6], 0);
        faults(|replay, channel, offset| {
            let mut reading = replay.monitor().corrected(settings);
            let terms = scorer.conditional_terms(&order, &reading, &[]).expect("a density");
            let [ratio] = attribute::<1>(settings, &mut reading, |reading| scorer.log_prob(reading, &[])).unwrap();
            let is = |feature: usize, above: bool| feature / 2 == channel && above == (offset > 0.0);
            let least = |value: fn(&Term) -> f32| terms.iter().min_by(|a, b| value(a).total_cmp(&value(b)));
            let first = |limit: f32| terms.iter().find(|term| term.z.abs() > limit);
            let by_terms =
                [least(|term| term.log_prob), least(|term| -term.z.abs()), first(3.0), first(4.0), first(6.0)];
            named[0] += usize::from(is(ratio.feature, ratio.above));
            for (named, term) in named[1..].iter_mut().zip(by_terms) {
                *named += usize::from(term.is_some_and(|term| is(term.feature, term.z > 0.0)));
            }
            tried += 1;
            let total: f64 = terms.iter().map(|term| f64::from(term.log_prob)).sum();
            let size: f64 = terms.iter().map(|term| f64::from(term.log_prob.abs())).sum();
            let log_prob = f64::from(scorer.log_prob(&reading, &[]).unwrap());
            assert!((total - log_prob).abs() < 1e-4 * (1.0 + size), "{log_prob}, but {terms:?}");
        });
        let [ratio, lowest, largest, first_3, first_4, first_6] = named;
        println!(
            "{family:?}, of {tried}: ratio {ratio}, lowest term {lowest}, largest |z| {largest}, first |z| above 3 {first_3}, above 4 \
             {first_4}, above 6 {first_6}"
        );
        assert!(ratio * 10 >= tried * 9 && largest * 2 > tried, "{ratio} and {largest} of {tried}");
    }
}

#[test]
fn the_committed_source_is_the_models() {
    let source = include_str!("../../firmware/model/stream.rs");
    assert_eq!(source, rust_source(&model(), "stream.flow"));
}

#[test]
fn the_self_test_finds_damage() {
    assert_eq!(MODEL.self_test(CHECKSUM), Ok(()));
    assert!(MODEL.self_test(CHECKSUM ^ 1).is_err());
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    assert_eq!(MODEL.self_test_by_samples(&mut rng, 200, &[]), Ok(()));
    let mut damaged = MODEL;
    damaged.flow.layers.0.mean[0] += 1.0;
    assert!(matches!(damaged.self_test(CHECKSUM), Err(flowlet::monitor::Unfit::Damaged(_))));
    assert!(Linked::new().is_fit());
    assert_eq!(MODEL.monitor.golden.len(), D);
}
