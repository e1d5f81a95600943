//! A stream on the emulated boards, and replayed on the host: states, scores, evidence and the sensors of alarms, to the bit.

use flowlet_firmware::message::{Response, StreamState};
use flowlet_firmware::monitored::{CHANNELS, CHECKSUM, D, Linked, MODEL};
use flowlet_firmware::{Watch, Watching, frame};
use flowlet_tests::emulator::{Backend, Board, Build, Conversation, Options, build, run};
use flowlet_tests::stream::{bits, healthy, model, replayed, samples};
use flowlet_trainer::model::rust_source;
use flowlet_trainer::monitor::Replay;
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

/// A sensor whose offset jumps by some standard deviations of its channel, in the middle of a healthy cycle: how often it is named first.
#[test]
fn the_sensor_that_is_wrong_is_named() {
    let (model, cycles) = (model(), healthy());
    let (mut named, mut tried) = (0, 0);
    for (number, cycle) in cycles.iter().enumerate() {
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
                let [first] = replay.attribute::<1>(&[]).unwrap();
                named += usize::from(first.feature / 2 == channel && first.above == (offset > 0.0));
                tried += 1;
            }
        }
    }
    println!("named first, with its direction: {named} of {tried}");
    assert!(tried > 1000 && named * 10 >= tried * 9, "{named} of {tried}");
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
