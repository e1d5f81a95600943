//! The emulators themselves: they report failures as failures, carry bytes both ways, count right, and agree.

use std::sync::LazyLock;
use std::time::Duration;

use flowlet_jobs::arithmetic;
use flowlet_tests::emulator::{
    Backend, Board, Build, Clock, Exit, Image, Options, Outcome, Script, build, everywhere, run,
};

/// A firmware that does what it is told, for each board.
static PROBES: LazyLock<[Image; Board::ALL.len()]> = LazyLock::new(|| {
    Board::ALL
        .map(|board| build(&Build { board, example: Some("probe"), ..Build::default() }).expect("the probe builds"))
});

fn probe(board: Board) -> &'static Image {
    PROBES.iter().find(|image| image.board() == board).expect("one for each board")
}

fn tell((board, backend): (Board, Backend), command: &[u8], options: &Options) -> (Outcome, Vec<u8>) {
    let mut script = Script::new(command);
    let outcome = run(backend, probe(board), &mut script, options).expect("the emulator runs");
    (outcome, script.received().to_vec())
}

#[test]
fn a_failing_firmware_fails_the_run() {
    for place in everywhere() {
        for (command, status, word) in [
            (&b"p"[..], 101, "told to"),
            (b"f", 102, "hard fault at"),
            (b"x\x03", 3, "command x"),
            (b"?", 101, "unknown"),
        ] {
            let (outcome, _) = tell(place, command, &Options::default());
            assert_eq!(outcome.exit, Exit::Status(status), "{place:?}: {:?}", outcome.logs);
            assert!(outcome.logs.iter().any(|line| line.contains(word)), "{place:?}: {:?}", outcome.logs);
            assert!(outcome.check().is_err());
        }
        assert!(tell(place, b"x\x00", &Options::default()).0.exit.success());
    }
}

#[test]
fn a_firmware_that_does_not_end_is_ended() {
    let options = Options { instructions: 1_000_000, timeout: Duration::from_secs(2), ..Options::default() };
    for board in Board::ALL {
        assert_eq!(tell((board, Backend::Rsemu), b"l", &options).0.exit, Exit::InstructionLimit);
        assert_eq!(tell((board, Backend::Rsemu), b"s", &options).0.exit, Exit::Asleep);
        assert_eq!(tell((board, Backend::Rsemu), b"", &options).0.exit, Exit::Asleep);
    }
    let hasty = Options { instructions: u64::MAX, timeout: Duration::from_millis(10), ..Options::default() };
    for place in everywhere() {
        assert_eq!(tell(place, b"l", &hasty).0.exit, Exit::Timeout, "{place:?}");
    }
}

#[test]
fn with_a_clock_bytes_take_their_time_and_arrive_all_the_same() {
    let clock = Clock { hertz: 16_000_000, baud: 115_200 };
    let text: Vec<u8> = (1..=200).collect();
    let command = [b"e", &text[..], b"\0"].concat();
    let options = Options { clock: Some(clock), ..Options::default() };
    for board in Board::ALL {
        let (outcome, received) = tell((board, Backend::Rsemu), &command, &options);
        // The last one may not have left when the device ends.
        assert_eq!(received, text[..received.len()], "{board}");
        assert!(outcome.exit.success() && received.len() + 1 >= text.len(), "{board}: {:?}", outcome.exit);
        let cycles = outcome.counts.expect("rsemu counts").cycles;
        assert!(cycles >= command.len() as u64 * clock.byte(), "{board}: {cycles}");
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_both_ways() {
    // As much as the device's queue holds: the host sends it all at once.
    let text: Vec<u8> = (0..1000u32).map(|i| (i * i % 255 + 1) as u8).collect();
    let command: Vec<u8> = [&b"e"[..], &text, b"\0"].concat();
    for place in everywhere() {
        let (outcome, received) = tell(place, &command, &Options::default());
        assert!(outcome.exit.success(), "{place:?}: {:?}", outcome.logs);
        assert_eq!(received, text, "{place:?}");
    }
}

#[test]
fn calls_are_counted_to_the_instruction() {
    let options = Options { count: Some("count_me".to_owned()), ..Options::default() };
    for board in Board::ALL {
        let (outcome, _) = tell((board, Backend::Rsemu), b"c", &options);
        let outcome = outcome.check().expect("it ends well");
        // 5 instructions for each of 1 to 5 rounds, and 3 besides.
        let each: Vec<u64> = outcome.calls.iter().map(|call| call.instructions).collect();
        assert_eq!(each, [8, 13, 18, 23, 28]);
        let counts = outcome.counts.expect("rsemu counts");
        let calls = counts.calls;
        assert_eq!((calls.calls, calls.instructions, calls.instructions_max, calls.stack_max), (5, 90, 28, 4));
        assert!(calls.instructions < counts.instructions && counts.instructions < counts.cycles);
    }

    let unknown = Options { count: Some("no_such_function".to_owned()), ..Options::default() };
    let error =
        run(Backend::Rsemu, probe(Board::Mps2An386), &mut Script::default(), &unknown).expect_err("it is not there");
    assert!(error.to_string().contains("no_such_function"));
}

#[test]
fn arithmetic_has_the_same_bits_everywhere() {
    let mut expected = Vec::new();
    arithmetic::battery(|bits| expected.extend(bits.to_le_bytes()));
    for place in everywhere() {
        let (outcome, received) = tell(place, b"a", &Options::default());
        assert!(outcome.exit.success(), "{place:?}: {:?}", outcome.logs);
        let differing = expected.chunks(4).zip(received.chunks(4)).position(|(host, device)| host != device);
        assert_eq!((differing, received.len()), (None, expected.len()), "{place:?}: the first that differs");
    }
}

#[test]
fn a_stack_that_grows_into_variables_is_found() {
    let error = run(Backend::Rsemu, probe(Board::Microbit), &mut Script::new(b"d"), &Options::default())
        .expect_err("16 KiB of RAM have no room for it");
    assert!(error.to_string().contains("the stack has grown"), "{error}");
    assert!(tell((Board::Mps2An386, Backend::Rsemu), b"d", &Options::default()).0.exit.success());
}

#[test]
fn what_is_no_firmware_is_refused() {
    let parse = |elf| Image::parse(elf, Board::Mps2An386);
    assert!(parse(b"\x7fELF".to_vec()).is_err());
    let host = std::fs::read(std::env::current_exe().expect("a path")).expect("readable");
    assert!(parse(host).is_err());
    let whole = probe(Board::Mps2An386).elf();
    assert!(parse(whole[..whole.len() / 2].to_vec()).is_err());
}
