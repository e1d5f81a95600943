//! The end of the program: exit statuses for the emulator.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

/// Exit status after a panic, as in a program for the host.
pub const PANICKED: i32 = 101;

/// Exit status after a hard fault.
pub const HARD_FAULT: i32 = 102;

/// Ends the emulator with this status.
pub fn exit(status: i32) -> ! {
    semihosting::process::exit(status)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    // A panic inside the logger must not log.
    if !PANICKING.load(Ordering::Relaxed) {
        PANICKING.store(true, Ordering::Relaxed);
        defmt::error!("{}", defmt::Display2Format(info));
    }
    exit(PANICKED)
}
