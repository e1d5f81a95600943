//! SysTick as a stopwatch.
//!
//! On the MPS2 a tick is 40 ns (25 MHz) in QEMU, whose `-icount shift=6` gives an instruction 64 ns: instructions =
//! ticks * 40 / 64. In rsemu a tick is one cycle of its model.

use cortex_m::Peripherals;
use cortex_m::peripheral::{SYST, syst::SystClkSource};

/// The counter has 24 bits: what takes longer is measured modulo this.
pub const PERIOD: u32 = 1 << 24;

/// A running stopwatch.
#[derive(Debug)]
pub struct Stopwatch(());

impl Stopwatch {
    /// Starts the clock. `None` if something else holds the core's peripherals.
    pub fn start() -> Option<Self> {
        let mut systick = Peripherals::take()?.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(PERIOD - 1);
        systick.clear_current();
        systick.enable_counter();
        Some(Self(()))
    }

    /// Runs `work` and returns its result and how many ticks it took.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> (T, u32) {
        // The counter counts down.
        let before = SYST::get_current();
        let result = work();
        (result, before.wrapping_sub(SYST::get_current()) % PERIOD)
    }
}
