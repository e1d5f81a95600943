//! UART -> application -> UART.

use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use flowlet_firmware::model::{D, FEATURES, MODEL};
use flowlet_firmware::{Action, Application, frame};
use nrf52840_pac::Peripherals;
// The logger, and what ends a panic.
use {defmt_rtt as _, panic_probe as _};

use crate::uart::{self, Uart};

#[entry]
fn main() -> ! {
    let peripherals = defmt::unwrap!(Peripherals::take(), "nothing else takes the peripherals");
    let mut uart = Uart::start(peripherals.UARTE0, peripherals.TIMER0, &peripherals.PPI, &peripherals.CLOCK);
    let mut application =
        Application::<_, D, { frame::max_request(D) }>::new(|reading: &[f32; D]| MODEL.assess(reading, &[]));
    defmt::info!("ready for readings of {} features: {}", D, FEATURES);
    loop {
        let byte = uart::INBOX.wait(wfi);
        application.note_lost_bytes(uart::INBOX.lost());
        match application.push(byte) {
            Some(Action::Reply(response)) => match frame::encode::<_, { frame::MAX_RESPONSE }>(&response) {
                Ok(frame) => uart.send(&frame),
                Err(error) => defmt::error!("{}", error),
            },
            // Whoever is at the other end of the cable cannot switch the monitor off.
            Some(Action::Stop) | None => {}
        }
    }
}
