//! The firmware on the emulated board, with the committed model: its answers against the host's, and what it costs.

use std::fs;
use std::sync::LazyLock;

use flowlet::model_file::PREFIX;
use flowlet::{Assessment, ReadingError};
use flowlet_firmware::message::{Refusal, Request, Response};
use flowlet_firmware::model::{D, FEATURES, MODEL, Model};
use flowlet_firmware::{Alarm, frame};
use flowlet_tests::emulator::{
    Answers, Backend, Board, Build, Conversation, Exit, Image, Options, Outcome, Script, build, everywhere, run,
};
use flowlet_tests::vectors::{self, Quantized};
use flowlet_trainer::model::rust_source;

static FIRMWARE: LazyLock<[Image; Board::ALL.len()]> =
    LazyLock::new(|| Board::ALL.map(|board| build(&Build { board, ..Build::default() }).expect("the firmware builds")));

fn firmware(board: Board) -> &'static Image {
    FIRMWARE.iter().find(|image| image.board() == board).expect("one for each board")
}

/// Readings of every kind: where the model was fitted, beside it, and so far off that f32 overflows.
fn readings<const N: usize>(centre: [f32; N], count: usize) -> Vec<[f32; N]> {
    let mut state = 7u32;
    let mut next = || {
        // Xorshift: Marsaglia, *Xorshift RNGs*, 2003.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX) - 0.5
    };
    let spread = [1e-3, 1.0, 30.0, 1e6, 1e38];
    (0..count).map(|i| centre.map(|mean| mean + (spread[i % spread.len()] * next()) as f32)).collect()
}

fn talk<const N: usize>(
    backend: Backend,
    firmware: &Image,
    readings: &[[f32; N]],
    window: usize,
) -> (Outcome, Answers) {
    let mut conversation = Conversation::new(readings.iter().map(|reading| reading.to_vec()).collect(), window);
    let options = Options { count: Some("flowlet_score".to_owned()), ..Options::default() };
    let outcome = run(backend, firmware, &mut conversation, &options).expect("the emulator runs");
    let outcome = outcome.check().expect("the firmware ends well");
    (outcome, conversation.finish().expect("every reading is answered"))
}

/// Holds the device's answers to the host's, to the bit, and returns how many of them are alarms.
fn compare<const N: usize>(
    readings: &[[f32; N]],
    answers: &Answers,
    host: impl Fn(&[f32; N]) -> Result<Assessment, ReadingError>,
) -> u32 {
    let mut alarms = 0;
    for (reading, answer) in readings.iter().zip(&answers.readings) {
        let host = host(reading).expect("finite");
        let Response::Assessment { log_prob, p_value, alarm, .. } = *answer else {
            panic!("{answer:?} to {reading:?}");
        };
        assert_eq!(
            (log_prob.to_bits(), p_value.to_bits(), alarm),
            (host.log_prob.to_bits(), host.p_value.to_bits(), host.alarm),
            "{reading:?}"
        );
        alarms += u32::from(alarm);
    }
    alarms
}

#[test]
fn the_device_answers_what_the_host_answers_to_the_bit() {
    let readings = readings(MODEL.flow.layers.0.mean, 150);
    for (board, backend) in everywhere() {
        let (outcome, answers) = talk(backend, firmware(board), &readings, 8);
        let alarms = compare(&readings, &answers, |reading| MODEL.assess(reading, &[]));
        assert_eq!(answers.statistics.readings, 150);
        assert_eq!(answers.statistics.alarms, alarms);
        assert_eq!((answers.statistics.lost_bytes, answers.statistics.malformed.total()), (0, 0));
        assert!(0 < alarms && alarms < 150, "{alarms} alarms: the readings test one side only");
        let painted = answers.statistics.measured.stack.expect("the board measures it") as usize;
        assert!(painted <= Model::RAM, "{board}, {backend}: {painted} bytes painted over, RAM is {}", Model::RAM);
        assert!(outcome.logs.iter().any(|line| line.contains(FEATURES[0])), "{:?}", outcome.logs);
        assert!(outcome.logs.iter().any(|line| line.contains("alarm, p = ")), "{:?}", outcome.logs);
    }
}

#[test]
fn a_score_keeps_to_its_stack_and_is_counted_alike_by_all() {
    let readings = readings(MODEL.flow.layers.0.mean, 40);
    let mps2 = firmware(Board::Mps2An386);
    let (outcome, answers) = talk(Backend::Rsemu, mps2, &readings, 1);
    let calls = outcome.counts.expect("rsemu counts").calls;
    let measured = answers.statistics.measured;
    let painted = measured.stack.expect("the board measures it");
    println!(
        "{} instructions a score (at most {}), {} bytes of stack (painted: {painted}), RAM is {}",
        calls.instructions_mean(),
        calls.instructions_max,
        calls.stack_max,
        Model::RAM
    );
    assert_eq!(calls.calls, 40);
    assert!(calls.stack_max as usize <= Model::RAM);
    // Paint is looked at from a little above the call, and may be missed by what is not written.
    assert!(painted.abs_diff(calls.stack_max) <= 64);
    assert!(painted as usize <= Model::RAM, "{painted} bytes painted over, RAM is {}", Model::RAM);

    if Backend::Qemu.missing().is_none() {
        let (_, answers) = talk(Backend::Qemu, mps2, &readings, 1);
        let painted = answers.statistics.measured.stack.expect("the board measures it") as usize;
        assert!(painted <= Model::RAM, "QEMU: {painted} bytes painted over, RAM is {}", Model::RAM);
        let ticks = answers.statistics.measured.ticks.expect("the board measures it");
        // Calls 1, 2, 4, 8, 16 and 32 had their stack painted.
        assert_eq!(ticks.calls, 40 - 6);
        // A tick is 40 ns, an instruction 64 ns. The board reads its clock outside the call.
        let instructions = u64::from(ticks.max) * 40 / 64;
        println!("QEMU: at most {instructions} instructions a score");
        assert!(instructions.abs_diff(calls.instructions_max) <= 16, "{instructions} and {}", calls.instructions_max);
    }
}

/// Three features in place of eight, other widths and another number of layers: linked in as a user links a model in.
#[test]
fn a_model_of_another_shape_answers_to_the_bit() {
    static OTHER: Quantized = Quantized::from_file(include_bytes!("../vectors/quantized.flow"));
    let directory = tempfile::tempdir().expect("a directory");
    let source = directory.path().join("quantized.rs");
    let (model, _) = vectors::read("quantized");
    fs::write(&source, rust_source(&model, "quantized.flow")).expect("written");
    fs::write(source.with_extension("flow"), model.to_bytes()).expect("written");
    let build = |board| build(&Build { board, model: Some(source.clone()), ..Build::default() });
    let firmware = Board::ALL.map(|board| build(board).expect("the firmware builds"));

    let readings = readings(OTHER.flow.layers.0.mean, 40);
    for (board, backend) in everywhere() {
        let firmware = firmware.iter().find(|image| image.board() == board).expect("one for each board");
        let (outcome, answers) = talk(backend, firmware, &readings, 8);
        let alarms = compare(&readings, &answers, |reading| OTHER.assess(reading, &[]));
        assert_eq!((answers.statistics.readings, answers.statistics.alarms), (40, alarms));
        let painted = answers.statistics.measured.stack.expect("the board measures it") as usize;
        assert!(painted <= Quantized::RAM, "{backend}: {painted} bytes painted over, RAM is {}", Quantized::RAM);
        let name = &model.metadata().features[0].name;
        assert!(outcome.logs.iter().any(|line| line.contains(name)), "{:?}", outcome.logs);
    }
}

#[test]
fn scoring_adds_no_static_ram() {
    for board in Board::ALL {
        let baseline = build(&Build { board, baseline: true, ..Build::default() }).expect("the baseline builds");
        let sections = firmware(board).sections().expect("an ELF file");
        let cost = sections.over(&baseline.sections().expect("an ELF file"), Model::FLASH).expect("the model is in it");
        println!("{board}: {cost:?}");
        assert_eq!(cost.static_ram_bytes, 0);
        assert!(cost.code_bytes > 0);
        // The helper finds it if the model is not where it should be.
        assert!(baseline.sections().expect("an ELF file").over(&sections, Model::FLASH).is_err());
    }
}

fn frame(request: &Request<&[f32]>) -> Vec<u8> {
    frame::encode::<_, 512>(request).expect("it fits").to_vec()
}

fn responses(bytes: &[u8]) -> Vec<Response> {
    let mut receiver = flowlet_firmware::Receiver::<{ frame::MAX_RESPONSE }>::new();
    let frames = bytes.iter().filter_map(|&byte| {
        receiver.push(byte).map(|frame| frame::decode(frame.expect("a whole frame")).expect("a response"))
    });
    frames.collect()
}

#[test]
fn garbage_and_sensor_faults_are_reported_and_survived() {
    let mut faulty = MODEL.flow.layers.0.mean;
    faulty[D - 1] = f32::NAN;
    let stream = [
        b"garbage before the first frame\0".to_vec(),
        frame(&Request::Reading { sequence: 1, values: &faulty }),
        vec![0xff; 300],
        frame(&Request::Reading { sequence: 2, values: &faulty[1..] }),
        frame(&Request::Reading { sequence: 3, values: &faulty[1..] }),
        frame(&Request::Statistics),
        frame(&Request::Stop),
    ]
    .concat();
    for (board, backend) in everywhere() {
        let mut script = Script::new(&stream[..]);
        let outcome = run(backend, firmware(board), &mut script, &Options::default()).expect("the emulator runs");
        let outcome = outcome.check().expect("the firmware ends well");
        let responses = responses(script.received());
        assert!(matches!(responses[0], Response::Malformed(_)));
        let reason = Refusal::NotFinite { feature: D as u32 - 1 };
        assert_eq!(responses[1], Response::Refused { sequence: 1, reason });
        // The flood of bytes has no delimiter and takes the frame behind it along.
        assert!(matches!(responses[2], Response::Malformed(_)));
        let reason = Refusal::WrongLength { expected: D as u32, found: D as u32 - 1 };
        assert_eq!(responses[3], Response::Refused { sequence: 3, reason });
        let Response::Statistics(statistics) = responses[4] else { panic!("{backend}: {responses:?}") };
        assert_eq!((statistics.readings, statistics.refused, statistics.malformed.total()), (0, 2, 2));
        assert_eq!(statistics.last, Alarm::Fault);
        // Every malformed frame is logged, and a fault when it begins.
        for (words, lines) in [("malformed frame", 2), ("reading 1: refused", 1), (": refused", 1)] {
            let logged = outcome.logs.iter().filter(|line| line.contains(words)).count();
            assert_eq!(logged, lines, "{backend}: `{words}` in {:?}", outcome.logs);
        }
    }
}

/// A bit of the model in flash flips: the device finds it at its start, and what it would say is not said.
#[test]
fn a_damaged_model_refuses_every_reading() {
    let file = include_bytes!("../../firmware/model/rig.flow");
    let body = &file[PREFIX..PREFIX + Model::FLASH];
    let reading = MODEL.flow.layers.0.mean;
    let stream = [
        frame(&Request::Verify),
        frame(&Request::Reading { sequence: 1, values: &reading }),
        frame(&Request::Verify),
        frame(&Request::Stop),
    ]
    .concat();
    for (board, backend) in everywhere() {
        let whole = firmware(board);
        let place = whole.elf().windows(body.len()).position(|bytes| bytes == body).expect("the model is in it");
        let mut elf = whole.elf().to_vec();
        elf[place + 5000] ^= 1 << 3;
        let damaged = Image::parse(elf, board).expect("an ELF file");
        for (image, sound) in [(whole, true), (&damaged, false)] {
            let mut script = Script::new(&stream[..]);
            let outcome = run(backend, image, &mut script, &Options::default()).expect("the emulator runs");
            let outcome = outcome.check().expect("the firmware ends well");
            let responses = responses(script.received());
            assert_eq!(responses[0], Response::Verified { sound }, "{board}, {backend}");
            let refused = Response::Refused { sequence: 1, reason: Refusal::Damaged };
            assert_eq!(responses[1] == refused, !sound, "{board}, {backend}: {:?}", responses[1]);
            assert_eq!(responses[2], Response::Verified { sound });
            assert_eq!(outcome.logs.iter().any(|line| line.contains("damaged")), !sound, "{:?}", outcome.logs);
        }
    }
}

/// A host that does not wait for answers loses bytes: they are counted, and the device goes on.
#[test]
fn a_flooded_device_counts_what_it_loses() {
    let reading = MODEL.flow.layers.0.mean;
    let mut flood: Vec<u8> =
        (0..200).flat_map(|sequence| frame(&Request::Reading { sequence, values: &reading })).collect();
    // Its end is lost, too, so the device sleeps in the end.
    flood.push(0);
    let mut script = Script::new(flood);
    let outcome =
        run(Backend::Rsemu, firmware(Board::Mps2An386), &mut script, &Options::default()).expect("the emulator runs");
    assert_eq!(outcome.exit, Exit::Asleep);
    let answered = responses(script.received());
    let assessed = answered.iter().filter(|response| matches!(response, Response::Assessment { .. })).count();
    assert!((10..200).contains(&assessed), "{assessed} answers");
    assert!(outcome.logs.iter().any(|line| line.contains("bytes lost")), "{:?}", outcome.logs);
}
