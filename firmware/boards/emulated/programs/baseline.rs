//! The firmware without the model and its scoring: what the two differ by is what scoring costs.

use cortex_m_rt::entry;
use flowlet::{Assessment, ReadingError};
use flowlet_emulated::program;
use flowlet_firmware::model::VALUES;

use crate::board::uart;

#[inline(never)]
fn no_score(reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
    let [value, ..] = *reading;
    if value.is_nan() {
        return Err(ReadingError::NotFinite { feature: 0 });
    }
    Ok(Assessment { log_prob: value, p_value: value, alarm: value > 1.0 })
}

#[entry]
fn main() -> ! {
    let mut transmitter = uart::start();
    program::run(no_score, &uart::INBOX, |frame| transmitter.send(frame))
}
