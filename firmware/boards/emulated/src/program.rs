//! UART -> application -> UART.

use flowlet::{Assessment, ReadingError};
use flowlet_firmware::model::{D, FEATURES, VALUES};
use flowlet_firmware::{Application, Measured, Scorer, Ticks, frame};

use crate::architecture::Stopwatch;
use crate::{board, end, stack};

/// A scorer with gauges around it.
struct Gauged<S> {
    score: S,
    sound: fn() -> bool,
    stopwatch: Stopwatch,
    ticks: Ticks,
    stack: usize,
    calls: u32,
}

impl<S: FnMut(&[f32; VALUES]) -> Result<Assessment, ReadingError>> Scorer<VALUES> for Gauged<S> {
    fn score(&mut self, reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
        self.calls = self.calls.wrapping_add(1);
        // Painting the stack takes a while, so it is done for calls 1, 2, 4, 8 and so on.
        if self.calls.is_power_of_two() {
            let (result, stack) = stack::measure(|| (self.score)(reading));
            self.stack = self.stack.max(stack);
            return result;
        }
        let (result, ticks) = self.stopwatch.measure(|| (self.score)(reading));
        self.ticks.calls = self.ticks.calls.wrapping_add(1);
        self.ticks.total += u64::from(ticks);
        self.ticks.max = self.ticks.max.max(ticks);
        result
    }

    fn is_sound(&self) -> bool {
        (self.sound)()
    }

    fn measured(&self) -> Measured {
        Measured { stack: Some(self.stack as u32), ticks: Some(self.ticks) }
    }
}

/// Runs the application with this scorer of a model that `sound` verifies over the board's UART, until the host stops it.
pub fn run(score: impl FnMut(&[f32; VALUES]) -> Result<Assessment, ReadingError>, sound: fn() -> bool) -> ! {
    let mut transmitter = board::start();
    let Some(stopwatch) = Stopwatch::start() else { end::exit(end::PANICKED) };
    let scorer = Gauged { score, sound, stopwatch, ticks: Ticks::default(), stack: 0, calls: 0 };
    let mut application = Application::<_, VALUES, { frame::max_request(VALUES) }>::new(scorer);
    defmt::info!("ready for readings of {} features: {}", D, FEATURES);
    application.serve(&board::INBOX, board::sleep, |frame| transmitter.send(frame));
    defmt::info!("stopped by the host: {}", application.statistics());
    end::exit(0)
}
