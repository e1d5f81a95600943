//! The application.

use cortex_m_rt::entry;
use flowlet::{Assessment, ReadingError};
use flowlet_emulated::program;
use flowlet_firmware::model::{VALUES, assess};

use crate::board::uart;

/// One score. The name and the call are fixed, so that an emulator can count its instructions.
#[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
#[unsafe(no_mangle)]
#[inline(never)]
fn flowlet_score(reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
    assess(reading)
}

#[entry]
fn main() -> ! {
    let mut transmitter = uart::start();
    program::run(flowlet_score, &uart::INBOX, |frame| transmitter.send(frame))
}
