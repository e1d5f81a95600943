//! A Cortex-M.

use core::arch::asm;

use cortex_m::Peripherals;
use cortex_m::peripheral::{SYST, syst::SystClkSource};
use cortex_m_rt::{ExceptionFrame, exception};

use crate::end;

pub use cortex_m::asm::{udf, wfi};
pub use cortex_m_rt::{entry, heap_start};

/// The counter has 24 bits: what takes longer is measured modulo this.
const PERIOD: u32 = 1 << 24;

/// SysTick as a running stopwatch.
///
/// On the MPS2 a tick is 40 ns (25 MHz) in QEMU, whose `-icount shift=6` gives an instruction 64 ns: instructions =
/// ticks * 40 / 64. In rsemu a tick is one cycle of its model.
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

/// The stack pointer.
#[allow(unsafe_code, reason = "reads a register")]
#[inline(always)]
pub fn stack_pointer() -> usize {
    let address: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, sp", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

#[allow(unsafe_code, reason = "the runtime asks for an unsafe fn: it runs where any invariant may be broken")]
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("hard fault at {=u32:#010x}, called from {=u32:#010x}", frame.pc(), frame.lr());
    end::exit(end::HARD_FAULT)
}
