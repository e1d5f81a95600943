//! The emulators themselves: they report failures as failures, carry bytes both ways, count right, and agree.

use std::sync::LazyLock;
use std::time::Duration;

use flowlet_tests::emulator::{Backend, Build, Exit, Image, Options, Outcome, Script, build, run};

#[path = "../../firmware/boards/mps2-an386/examples/probe/arithmetic.rs"]
mod arithmetic;

/// A firmware that does what it is told.
static PROBE: LazyLock<Image> =
    LazyLock::new(|| build(&Build { example: Some("probe"), ..Build::default() }).expect("the probe builds"));

/// The emulators that can run here.
fn backends() -> impl Iterator<Item = Backend> {
    [Backend::Rsemu, Backend::Qemu].into_iter().filter(|backend| {
        let missing = backend.missing();
        missing.iter().for_each(|reason| println!("skipped: {reason}"));
        missing.is_none()
    })
}

fn tell(backend: Backend, command: &[u8], options: &Options) -> (Outcome, Vec<u8>) {
    let mut script = Script::new(command);
    let outcome = run(backend, &PROBE, &mut script, options).expect("the emulator runs");
    (outcome, script.received().to_vec())
}

#[test]
fn a_failing_firmware_fails_the_run() {
    for backend in backends() {
        for (command, status, word) in [
            (&b"p"[..], 101, "told to"),
            (b"f", 102, "hard fault at"),
            (b"x\x03", 3, "command x"),
            (b"?", 101, "unknown"),
        ] {
            let (outcome, _) = tell(backend, command, &Options::default());
            assert_eq!(outcome.exit, Exit::Status(status), "{backend}: {:?}", outcome.logs);
            assert!(outcome.logs.iter().any(|line| line.contains(word)), "{backend}: {:?}", outcome.logs);
            assert!(outcome.check().is_err());
        }
        assert!(tell(backend, b"x\x00", &Options::default()).0.exit.success());
    }
}

#[test]
fn a_firmware_that_does_not_end_is_ended() {
    let options = Options { instructions: 1_000_000, timeout: Duration::from_secs(2), count: None };
    assert_eq!(tell(Backend::Rsemu, b"l", &options).0.exit, Exit::InstructionLimit);
    assert_eq!(tell(Backend::Rsemu, b"s", &options).0.exit, Exit::Asleep);
    assert_eq!(tell(Backend::Rsemu, b"", &options).0.exit, Exit::Asleep);
    let hasty = Options { instructions: u64::MAX, timeout: Duration::from_millis(10), count: None };
    for backend in backends() {
        assert_eq!(tell(backend, b"l", &hasty).0.exit, Exit::Timeout, "{backend}");
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_both_ways() {
    // As much as the device's queue holds: the host sends it all at once.
    let text: Vec<u8> = (0..1000u32).map(|i| (i * i % 255 + 1) as u8).collect();
    let command: Vec<u8> = [&b"e"[..], &text, b"\0"].concat();
    for backend in backends() {
        let (outcome, received) = tell(backend, &command, &Options::default());
        assert!(outcome.exit.success(), "{backend}: {:?}", outcome.logs);
        assert_eq!(received, text, "{backend}");
    }
}

#[test]
fn calls_are_counted_to_the_instruction() {
    let options = Options { count: Some("count_me".to_owned()), ..Options::default() };
    let (outcome, _) = tell(Backend::Rsemu, b"c", &options);
    let counts = outcome.check().expect("it ends well").counts.expect("rsemu counts");
    let calls = counts.calls;
    assert_eq!(calls.calls, 5);
    // 5 instructions for each of 1 to 5 rounds, and 3 besides.
    assert_eq!(calls.instructions, 5 * (1 + 2 + 3 + 4 + 5) + 5 * 3);
    assert_eq!(calls.instructions_max, 5 * 5 + 3);
    assert_eq!(calls.stack_max, 4);
    assert!(calls.instructions < counts.instructions && counts.instructions < counts.cycles);

    let unknown = Options { count: Some("no_such_function".to_owned()), ..Options::default() };
    let error = run(Backend::Rsemu, &PROBE, &mut Script::default(), &unknown).expect_err("it is not there");
    assert!(error.to_string().contains("no_such_function"));
}

#[test]
fn arithmetic_has_the_same_bits_everywhere() {
    let mut expected = Vec::new();
    arithmetic::battery(|bits| expected.extend(bits.to_le_bytes()));
    for backend in backends() {
        let (outcome, received) = tell(backend, b"a", &Options::default());
        assert!(outcome.exit.success(), "{backend}: {:?}", outcome.logs);
        let differing = expected.chunks(4).zip(received.chunks(4)).position(|(host, device)| host != device);
        assert_eq!((differing, received.len()), (None, expected.len()), "{backend}: the first that differs");
    }
}

#[test]
fn what_is_no_firmware_is_refused() {
    assert!(Image::parse(b"\x7fELF".to_vec()).is_err());
    let host = std::fs::read(std::env::current_exe().expect("a path")).expect("readable");
    assert!(Image::parse(host).is_err());
    let truncated = PROBE.elf()[..PROBE.elf().len() / 2].to_vec();
    assert!(Image::parse(truncated).is_err());
}
