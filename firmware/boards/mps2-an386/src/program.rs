//! UART -> application -> UART.

use cortex_m_rt::entry;
use flowlet_board_mps2_an386::clock::Stopwatch;
use flowlet_board_mps2_an386::{end, stack, uart};
use flowlet_firmware::{Action, Application, Assessment, Measured, ReadingError, Scorer, Ticks, frame};

const D: usize = 4;

/// The scorer with its gauges.
struct Gauged {
    stopwatch: Stopwatch,
    ticks: Ticks,
    stack: usize,
    calls: u32,
}

impl Scorer<D> for Gauged {
    fn score(&mut self, reading: &[f32; D]) -> Result<Assessment, ReadingError> {
        self.calls = self.calls.wrapping_add(1);
        // Painting the stack takes a while, so it is done for calls 1, 2, 4, 8 and so on.
        if self.calls.is_power_of_two() {
            let (result, stack) = stack::measure(|| flowlet_score(reading));
            self.stack = self.stack.max(stack);
            return result;
        }
        let (result, ticks) = self.stopwatch.measure(|| flowlet_score(reading));
        self.ticks.total += u64::from(ticks);
        self.ticks.max = self.ticks.max.max(ticks);
        result
    }

    fn measured(&self) -> Measured {
        Measured { stack: Some(self.stack as u32), ticks: Some(self.ticks) }
    }
}

/// One score. The name and the call are fixed, so that an emulator can count its instructions.
#[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
#[unsafe(no_mangle)]
#[inline(never)]
fn flowlet_score(reading: &[f32; D]) -> Result<Assessment, ReadingError> {
    if let Some(feature) = reading.iter().position(|value| !value.is_finite()) {
        return Err(ReadingError::NotFinite { feature });
    }
    let squares: f32 = reading.iter().map(|value| value * value).sum();
    let log_prob = -0.5 * squares;
    let p_value = 1.0 / (1.0 + squares);
    Ok(Assessment { log_prob, p_value, alarm: p_value < 0.01 })
}

#[entry]
fn main() -> ! {
    let Some(stopwatch) = Stopwatch::start() else { end::exit(end::PANICKED) };
    let (mut transmitter, mut receiver) = uart::start();
    let scorer = Gauged { stopwatch, ticks: Ticks::default(), stack: 0, calls: 0 };
    let mut application = Application::<_, D, { frame::max_request(D) }>::new(scorer);
    defmt::info!("ready for readings of {} features", D);
    loop {
        let byte = receiver.wait();
        application.note_lost_bytes(receiver.lost());
        match application.push(byte) {
            Some(Action::Reply(response)) => match frame::encode::<_, { frame::MAX_RESPONSE }>(&response) {
                Ok(frame) => transmitter.send(&frame),
                Err(error) => defmt::error!("{}", error),
            },
            Some(Action::Stop) => {
                defmt::info!("stopped by the host: {}", application.statistics());
                end::exit(0)
            }
            None => {}
        }
    }
}
