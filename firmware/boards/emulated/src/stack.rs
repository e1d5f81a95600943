//! How deep a call's stack reaches: paint the free stack, call, look how far the paint is gone.

#![allow(unsafe_code, reason = "looks at the stack below the stack pointer")]

use core::ptr;

use crate::architecture::{heap_start, stack_pointer};

/// How deep is looked, in words.
const WORDS: usize = 2048;

/// Left unpainted: the frames of this module's own calls.
const OWN: usize = 64;

const PAINT: u32 = 0x5a1e_57ac;

/// Runs `work` with interrupts masked and returns its result and the deepest stack in bytes that it used, at most
/// 8 KiB, or what is left of RAM. What `work` leaves untouched in between counts as used.
#[inline(never)]
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, usize) {
    critical_section::with(|_| {
        let top = stack_pointer();
        let bottom = (top - 4 * WORDS).max(heap_start().addr());
        for address in (bottom..top - OWN).step_by(4) {
            // SAFETY: below the stack pointer, where nothing lives while interrupts are masked, and above all statics.
            unsafe { ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
        }
        let result = work();
        let mut deepest = bottom;
        // SAFETY: as above.
        while deepest < top && unsafe { ptr::with_exposed_provenance::<u32>(deepest).read_volatile() } == PAINT {
            deepest += 4;
        }
        (result, top - deepest)
    })
}
