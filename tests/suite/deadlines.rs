//! Samples that come when they are sampled, over a line that takes its time, to a core that takes its own: what is late or lost is said.
//!
//! Time is that of the emulator's clock: an instruction is a cycle. Cores need more, so rates that are kept here are upper bounds.

use flowlet_firmware::message::{Response, Statistics};
use flowlet_firmware::monitored::CHANNELS;
use flowlet_tests::emulator::{Backend, Board, Build, Clock, Options, Paced, Pacing, build, run};
use flowlet_tests::stream::{bits, healthy, replayed, samples};

/// As on the boards.
const CORTEX_M4F: (Board, Clock) = (Board::Mps2An386, Clock { hertz: 25_000_000, baud: 115_200 });
const CORTEX_M0: (Board, Clock) = (Board::Microbit, Clock { hertz: 16_000_000, baud: 115_200 });

/// What became of a stream.
struct Streamed {
    answers: Vec<Response>,
    statistics: Statistics,
    /// Samples whose answer was not ready when the next one had arrived.
    late: u32,
}

fn stream((board, clock): (Board, Clock), samples: &[[f32; CHANNELS]], samples_a_second: u64) -> Streamed {
    let firmware = build(&Build { board, example: Some("monitor"), ..Build::default() }).expect("the firmware builds");
    let mut host = Paced::new(samples, Pacing { clock, samples_a_second });
    let options = Options { clock: Some(clock), ..Options::default() };
    let outcome = run(Backend::Rsemu, &firmware, &mut host, &options).expect("the emulator runs");
    let outcome = outcome.check().expect("the firmware ends well");
    let late = outcome.logs.iter().find_map(|line| line.strip_suffix(" late")?.rsplit(' ').next()?.parse().ok());
    let streamed = Streamed {
        answers: host.answers().to_vec(),
        statistics: host.statistics().expect("the device says its statistics"),
        late: late.expect("the device logs how many were late"),
    };
    let (answered, lost) = (streamed.answered().len(), streamed.statistics.lost_bytes);
    println!(
        "{board}: {samples_a_second} a second, {} samples: {answered} answered, {} late, {lost} bytes lost",
        samples.len(),
        streamed.late
    );
    streamed
}

impl Streamed {
    /// The answers to samples that arrived whole.
    fn answered(&self) -> Vec<Response> {
        self.answers.iter().filter(|answer| !matches!(answer, Response::Malformed(_))).copied().collect()
    }

    /// All of it was answered, as its replay does.
    fn assert_complete(&self, samples: &[[f32; CHANNELS]]) {
        assert_eq!(bits(&self.answers), bits(&replayed(samples)));
        assert_eq!((self.statistics.lost_bytes, self.statistics.malformed.total()), (0, 0));
    }
}

/// Healthy cycles, four minutes long together, that raise no alarm one after the other: to attribute one takes longer than a sample lasts.
fn quiet() -> Vec<[f32; CHANNELS]> {
    let alarm = |answer: &Response| matches!(answer, Response::Watched { suspects: Some(_), .. });
    let mut quiet = Vec::new();
    for cycle in healthy() {
        let longer = [&quiet[..], &cycle].concat();
        if quiet.len() < 240 && !replayed(&longer).iter().any(alarm) {
            quiet = longer;
        }
    }
    assert_eq!(quiet.len(), 240);
    quiet
}

#[test]
fn a_core_with_an_fpu_keeps_up_with_the_line() {
    let samples = quiet();
    let most = Paced::most_a_second(&samples, CORTEX_M4F.1);
    let streamed = stream(CORTEX_M4F, &samples, most);
    streamed.assert_complete(&samples);
    assert_eq!(streamed.late, 0);
    // A line that is four times as fast carries a kilohertz.
    let (board, clock) = CORTEX_M4F;
    let faster = Clock { baud: 460_800, ..clock };
    assert!(Paced::most_a_second(&samples, faster) >= 1000);
    let streamed = stream((board, faster), &samples, 1000);
    streamed.assert_complete(&samples);
    assert_eq!(streamed.late, 0);
}

#[test]
fn a_core_without_an_fpu_says_what_comes_too_fast() {
    let samples = quiet();
    let slow = stream(CORTEX_M0, &samples, 50);
    slow.assert_complete(&samples);
    assert_eq!(slow.late, 0);
    // Readings take longer than a sample lasts, and between them there is time to catch up.
    let faster = stream(CORTEX_M0, &samples, 100);
    faster.assert_complete(&samples);
    let readings = replayed(&samples).iter().filter(|answer| matches!(answer, Response::Watched { .. })).count();
    assert!((1..=readings).contains(&(faster.late as usize)), "{} of {readings}", faster.late);
    // More than it can do: the queue runs over. What is lost makes a jump, and a jump an alarm, which takes seconds to attribute.
    let most = Paced::most_a_second(&samples, CORTEX_M0.1);
    let fastest = stream(CORTEX_M0, &samples, most);
    assert!(fastest.late > faster.late);
    assert_accounted(&fastest, samples.len());
}

#[test]
fn an_attribution_holds_up_a_fast_stream_and_is_seen() {
    let all = samples();
    let answers = replayed(&all);
    let alarm = answers.iter().position(|answer| matches!(answer, Response::Watched { suspects: Some(_), .. }));
    let samples = &all[..alarm.expect("the stream has an alarm") + 100];
    let most = Paced::most_a_second(samples, CORTEX_M4F.1);
    let streamed = stream(CORTEX_M4F, samples, most);
    assert!(streamed.late > 0);
    assert_accounted(&streamed, samples.len());
}

/// Whatever is not answered has left lost bytes, and what is left of its frames is answered as malformed.
fn assert_accounted(streamed: &Streamed, sent: usize) {
    let answered = streamed.answered().len();
    let Statistics { lost_bytes, malformed, .. } = streamed.statistics;
    assert!(answered < sent && lost_bytes > 0, "{answered} of {sent} answered, {lost_bytes} bytes lost");
    let refused = streamed.answers.len() - answered;
    assert!(malformed.total() as usize >= refused);
    // A gap has at least the bytes that are missing of the frames in it: no more samples are missing than bytes allow.
    assert!(sent - answered <= refused + lost_bytes as usize / (4 * CHANNELS), "{}", sent - answered);
}
