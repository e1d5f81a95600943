//! UART -> application -> UART.

use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use flowlet_firmware::model::{D, FEATURES, VALUES};
use flowlet_firmware::{Application, Linked, frame};
use nrf52840_pac::Peripherals;
// The logger, and what ends a panic.
use {defmt_rtt as _, panic_probe as _};

use crate::uart::{self, Uart};

#[entry]
fn main() -> ! {
    let peripherals = defmt::unwrap!(Peripherals::take(), "nothing else takes the peripherals");
    let mut uart = Uart::start(peripherals.UARTE0, peripherals.TIMER0, &peripherals.PPI, &peripherals.CLOCK);
    let mut application = Application::<_, VALUES, { frame::max_request(VALUES) }>::new(Linked);
    defmt::info!("ready for readings of {} features: {}", D, FEATURES);
    loop {
        // Whoever is at the other end of the cable cannot switch the monitor off: told to stop, it goes on.
        application.serve(&uart::INBOX, wfi, |frame| uart.send(frame));
    }
}
