//! What it costs to watch a stream: the features of a window, the committed model's step from sample to sample, an attribution.

use anyhow::{Context, Result, ensure};
use flowlet_firmware::message::Response;
use flowlet_jobs::FEATURES;
use flowlet_tests::costs::Mean;
use flowlet_tests::emulator::{Backend, Board, Build, Call, Conversation, Options, build, run};
use flowlet_tests::stream::{bits, model, replayed, samples};

use super::{Figure, alone};

/// A Cortex-M4F, and a Cortex-M0, without an FPU.
const BOARDS: [Board; 2] = [Board::Mps2An386, Board::Microbit];

/// Figures of one board, if it is one of those that are counted.
pub fn figures(board: Board) -> Result<Vec<Figure>> {
    if !BOARDS.contains(&board) {
        return Ok(Vec::new());
    }
    let mut figures = alone(board, "features", FEATURES, 1)?;
    figures.extend(watching(board)?);
    Ok(figures)
}

/// Samples of the rig, streamed to the committed model.
fn watching(board: Board) -> Result<Vec<Figure>> {
    let (model, samples) = (model(), samples());
    let expected = replayed(&samples);
    // Up to the second alarm: an attribution on a core without an FPU takes longer than all of these samples.
    let mut alarms =
        (0..expected.len()).filter(|row| matches!(expected[*row], Response::Watched { suspects: Some(_), .. }));
    let streamed = alarms.nth(1).context("the stream has no second alarm")?;
    let (samples, expected) = (&samples[..streamed], &expected[..streamed]);
    let firmware = build(&Build { board, example: Some("monitor"), ..Build::default() })?;
    let counted = |symbol: &str| -> Result<_> {
        let readings = samples.iter().map(|sample| sample.to_vec()).collect();
        let mut conversation = Conversation::new(readings, 1);
        let options = Options { count: Some(symbol.to_owned()), ..Options::default() };
        let outcome = run(Backend::Rsemu, &firmware, &mut conversation, &options)?.check()?;
        let answers = conversation.finish()?;
        ensure!(bits(&answers.readings) == bits(expected), "{board} differs from the host");
        Ok(outcome)
    };
    let outcome = counted("flowlet_watch")?;
    ensure!(outcome.calls.len() == samples.len(), "{} calls for {} samples", outcome.calls.len(), samples.len());
    let state =
        outcome.logs.iter().find_map(|line| state(line)).context("the device did not say its bytes of state")?;
    let of = |wanted: fn(&Response) -> bool| -> Vec<Call> {
        outcome.calls.iter().zip(expected).filter(|(_, answer)| wanted(answer)).map(|(call, _)| *call).collect()
    };
    let figure = |what: &str, calls: &[Call], macs: usize| {
        let mean = Mean::of(calls);
        Figure {
            what: what.to_owned(),
            target: board.target().to_owned(),
            core: board.core().to_owned(),
            emulator: Backend::Rsemu.to_string(),
            instructions: mean.instructions,
            instructions_max: mean.most,
            modelled_cycles: mean.cycles,
            macs,
            code_bytes: None,
            model_bytes: model.core().size(),
            stack_bytes: mean.stack,
            static_bytes: state,
        }
    };
    let taken = of(|answer| matches!(answer, Response::Taken { .. }));
    let scored = of(|answer| matches!(answer, Response::Watched { score: Some(_), .. }));
    let attributed = counted("flowlet_attribute")?.calls;
    ensure!(
        ![&taken, &scored, &attributed].iter().any(|calls| calls.is_empty()),
        "the stream lacks an answer of a kind"
    );
    Ok(vec![
        figure("watch, a sample", &taken, 0),
        figure("watch, a reading", &scored, model.core().macs()),
        figure("attribute", &attributed, 0),
    ])
}

/// The number in the log line that says how large the stream's state is.
fn state(line: &str) -> Option<i64> {
    line.strip_suffix(" bytes of state")?.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::state;

    #[test]
    fn bytes_of_state_are_read_from_a_log() {
        assert_eq!(state("INFO 668 bytes of state"), Some(668));
        assert_eq!(state("INFO stopped by the host"), None);
    }
}
