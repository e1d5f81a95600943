//! A stream on the emulated boards, and replayed on the host: states, scores, evidence and the sensors of alarms, to the bit.

use std::path::Path;

use flowlet::monitor::State;
use flowlet_firmware::message::{Named, Response, StreamState};
use flowlet_firmware::monitored::{CHANNELS, CHECKSUM, D, FEATURES, Linked, MODEL};
use flowlet_firmware::{Watch, Watching, frame};
use flowlet_tests::emulator::{Backend, Board, Build, Conversation, Options, build, run};
use flowlet_trainer::data::Table;
use flowlet_trainer::model::{Model, rust_source};
use flowlet_trainer::monitor::Replay;
use flowlet_trainer::signal::channel_names;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

const MODEL_FILE: &[u8] = include_bytes!("../../firmware/model/stream.flow");

/// Samples of the rig: three healthy cycles, and a faulty one of each kind.
fn samples() -> Vec<[f32; CHANNELS]> {
    let model = model();
    let recipe = model.architecture().monitor.unwrap().signal.recipe().unwrap();
    let names: Vec<String> = FEATURES.iter().map(|name| (*name).to_owned()).collect();
    let channels = channel_names(&recipe, &names).expect("the committed model's features");
    let table = Table::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/hydraulic/test.csv"))).unwrap();
    let columns = table.columns_of(&channels, None).unwrap();
    let (names, kinds) = table.groups(table.column("fault", None).unwrap());
    let none = names.iter().position(|name| name == "none").expect("healthy cycles");
    // Healthy ones first: an alarm takes its time to end.
    let first = |kind: usize, count: usize| -> Vec<usize> {
        (0..table.rows()).filter(|row| kinds[*row] == kind).take(count).collect()
    };
    let mut rows = first(none, 180);
    for kind in (0..names.len()).filter(|kind| *kind != none) {
        rows.extend(first(kind, 60));
    }
    let mut samples: Vec<[f32; CHANNELS]> =
        rows.iter().map(|row| table.numbers(*row, &columns).unwrap().try_into().unwrap()).collect();
    // A sensor that fails, one that sticks, and readings that no sensor gives.
    let last = samples[samples.len() - 1];
    for count in 0..40 {
        let mut sample = last;
        sample[0] += 0.001 * count as f32;
        match count / 10 {
            0 => sample[2] = f32::NAN,
            1 => sample = [f32::MAX; CHANNELS],
            2 => sample[1] = f32::NEG_INFINITY,
            _ => {}
        }
        samples.push(sample);
    }
    samples.extend([last; 200]);
    samples
}

fn model() -> Model {
    Model::from_bytes(MODEL_FILE).expect("the committed model")
}

/// The host's answers: by shapes at run time.
fn replayed(samples: &[[f32; CHANNELS]]) -> Vec<Response> {
    let model = model();
    let mut replay = Replay::new(&model).expect("it has a monitor");
    let answer = |(sequence, sample): (u32, &[f32; CHANNELS])| {
        let Some(step) = replay.push(sample, &[]) else { return Response::Taken { sequence } };
        let status = step.status;
        let entered = status.changed && status.state == State::Alarm;
        let suspects = if entered { replay.attribute(&[]).ok() } else { None };
        Response::Watched {
            sequence,
            state: StreamState::from(status.state),
            score: status.outcome.ok().map(|said| (said.log_prob, said.p_value)),
            count: status.count,
            cusum: status.cusum,
            martingale: status.martingale,
            suspects: suspects.map(|suspects| suspects.map(Named::from)),
        }
    };
    (0..).zip(samples).map(answer).collect()
}

/// Numbers as their bits, so that two answers are the same only if each bit is.
fn bits(answers: &[Response]) -> Vec<Vec<u8>> {
    answers.iter().map(|answer| frame::encode::<_, { frame::MAX_RESPONSE }>(answer).unwrap().to_vec()).collect()
}

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

/// Samples of healthy cycles, each cycle apart.
fn healthy() -> Vec<Vec<Vec<f32>>> {
    let model = model();
    let recipe = model.architecture().monitor.unwrap().signal.recipe().unwrap();
    let channels = channel_names(&recipe, &FEATURES.map(str::to_owned)).unwrap();
    let table = Table::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/hydraulic/test.csv"))).unwrap();
    let columns = table.columns_of(&channels, None).unwrap();
    let (fault, (_, cycles)) =
        (table.column("fault", None).unwrap(), table.groups(table.column("cycle", None).unwrap()));
    let rows: Vec<usize> = (0..table.rows()).filter(|row| table.text(*row, fault) == "none").collect();
    let sample = |row: &usize| table.numbers(*row, &columns).unwrap();
    rows.chunk_by(|a, b| cycles[*a] == cycles[*b]).map(|rows| rows.iter().map(sample).collect()).collect()
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
                    let mut sample = sample.clone();
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
