//! A RISC-V core in machine mode.

use core::arch::asm;

use riscv::register::{mepc, minstret};

use crate::end;

pub use riscv::asm::wfi;
pub use riscv_rt::{entry, heap_start};

/// The counter of instructions as a running stopwatch: in rsemu instructions, in QEMU emulated nanoseconds, of which
/// `-icount shift=6` gives an instruction 64.
#[derive(Debug)]
pub struct Stopwatch(());

impl Stopwatch {
    /// Starts the clock.
    pub fn start() -> Option<Self> {
        Some(Self(()))
    }

    /// Runs `work` and returns its result and how many ticks it took.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> (T, u32) {
        let before = minstret::read();
        let result = work();
        (result, minstret::read().wrapping_sub(before) as u32)
    }
}

/// The stack pointer.
#[allow(unsafe_code, reason = "reads a register")]
#[inline(always)]
pub fn stack_pointer() -> usize {
    let address: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mv {}, sp", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// An instruction that is none: a fault.
#[allow(unsafe_code, reason = "inline assembly")]
pub fn udf() -> ! {
    // SAFETY: the fault's handler does not return.
    unsafe { asm!("unimp", options(nomem, nostack, noreturn)) }
}

#[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
#[unsafe(no_mangle)]
extern "C" fn ExceptionHandler(frame: &riscv_rt::TrapFrame) -> ! {
    defmt::error!("hard fault at {=usize:#010x}, called from {=usize:#010x}", mepc::read(), frame.ra);
    end::exit(end::HARD_FAULT)
}
