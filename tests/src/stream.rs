//! The committed model that watches a stream, samples of the rig for it, and what the host says of them.

use std::path::Path;

use flowlet::monitor::State;
use flowlet_firmware::frame;
use flowlet_firmware::message::{Named, Response, StreamState};
use flowlet_firmware::monitored::{CHANNELS, FEATURES};
use flowlet_trainer::data::Table;
use flowlet_trainer::model::Model;
use flowlet_trainer::monitor::Replay;
use flowlet_trainer::signal::channel_names;

const MODEL_FILE: &[u8] = include_bytes!("../../firmware/model/stream.flow");

/// The model in `firmware/model/stream.flow`.
///
/// # Panics
/// If the file is damaged.
#[must_use]
pub fn model() -> Model {
    Model::from_bytes(MODEL_FILE).expect("the committed model")
}

/// The test readings of the rig, and the columns that are the model's channels.
fn table() -> (Table, Vec<usize>) {
    let monitor = model().architecture().monitor.expect("the committed model has a monitor");
    let recipe = monitor.signal.recipe().expect("whose readings are windows");
    let channels = channel_names(&recipe, &FEATURES.map(str::to_owned)).expect("the committed model's features");
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/hydraulic/test.csv"));
    let table = Table::read(path).expect("the committed readings");
    let columns = table.columns_of(&channels, None).expect("the model's channels");
    (table, columns)
}

fn sample(table: &Table, row: usize, columns: &[usize]) -> [f32; CHANNELS] {
    let numbers = table.numbers(row, columns).expect("numbers");
    numbers.try_into().expect("a number for each channel")
}

/// Samples that lead to every state: three healthy cycles, a faulty one of each kind, and sensors that fail or stick.
///
/// # Panics
/// If the committed files do not fit each other.
#[must_use]
pub fn samples() -> Vec<[f32; CHANNELS]> {
    let (table, columns) = table();
    let (names, kinds) = table.groups(table.column("fault", None).expect("a column"));
    let none = names.iter().position(|name| name == "none").expect("healthy cycles");
    // Healthy ones first: an alarm takes its time to end.
    let first = |kind: usize, count: usize| -> Vec<usize> {
        (0..table.rows()).filter(|row| kinds[*row] == kind).take(count).collect()
    };
    let mut rows = first(none, 180);
    for kind in (0..names.len()).filter(|kind| *kind != none) {
        rows.extend(first(kind, 60));
    }
    let mut samples: Vec<[f32; CHANNELS]> = rows.iter().map(|row| sample(&table, *row, &columns)).collect();
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

/// Samples of healthy cycles, each cycle apart.
///
/// # Panics
/// If the committed files do not fit each other.
#[must_use]
pub fn healthy() -> Vec<Vec<[f32; CHANNELS]>> {
    let (table, columns) = table();
    let fault = table.column("fault", None).expect("a column");
    let (_, cycles) = table.groups(table.column("cycle", None).expect("a column"));
    let rows: Vec<usize> = (0..table.rows()).filter(|row| table.text(*row, fault) == "none").collect();
    let cycles = rows.chunk_by(|a, b| cycles[*a] == cycles[*b]);
    cycles.map(|rows| rows.iter().map(|row| sample(&table, *row, &columns)).collect()).collect()
}

/// The host's answers: by shapes at run time.
///
/// # Panics
/// If the committed model has no monitor.
#[must_use]
pub fn replayed(samples: &[[f32; CHANNELS]]) -> Vec<Response> {
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

/// Answers as their bytes, so that two are the same only if each bit of their numbers is.
///
/// # Panics
/// If one is longer than any answer.
#[must_use]
pub fn bits(answers: &[Response]) -> Vec<Vec<u8>> {
    let bytes =
        |answer| frame::encode::<_, { frame::MAX_RESPONSE }>(answer).expect("no longer than answers are").to_vec();
    answers.iter().map(bytes).collect()
}
