//! Does over the UART what it is told, so that the emulators themselves can be tested: the first byte received says what.

use core::hint::black_box;

use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use flowlet_emulated::end;

use crate::board::uart::{self, INBOX};

#[path = "arithmetic.rs"]
mod arithmetic;

#[entry]
fn main() -> ! {
    let mut transmitter = uart::start();
    let command = INBOX.wait(wfi);
    defmt::info!("command {}", command as char);
    match command {
        b'a' => {
            arithmetic::battery(|result| transmitter.send(&result.to_le_bytes()));
            end::exit(0)
        }
        b'd' => {
            defmt::info!("{=u32}", descend(18));
            end::exit(0)
        }
        b'e' => loop {
            match INBOX.wait(wfi) {
                0 => end::exit(0),
                byte => transmitter.send(&[byte]),
            }
        },
        b'c' => {
            defmt::info!("{=u32}", (0..5).map(|rounds| count_me(rounds)).sum());
            end::exit(0)
        }
        b'f' => cortex_m::asm::udf(),
        b'l' => loop {
            core::hint::spin_loop();
        },
        b'p' => panic!("told to"),
        b's' => loop {
            wfi();
        },
        b'x' => end::exit(INBOX.wait(wfi).into()),
        other => panic!("unknown command {other}"),
    }
}

/// Takes a kilobyte of stack for each step of `depth`.
#[inline(never)]
fn descend(depth: u32) -> u32 {
    let kilobyte = black_box([depth; 256]);
    if depth == 0 { 0 } else { descend(depth - 1) + black_box(&kilobyte)[0] }
}

/// Five instructions for each of the `rounds + 1` rounds of its loop, three for the rest; four bytes of stack.
#[allow(unsafe_code, reason = "assembly whose instructions can be counted by hand")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn count_me(rounds: u32) -> u32 {
    core::arch::naked_asm!(
        "movs r1, #0",
        "2:",
        "push {{r1}}",
        "pop {{r1}}",
        "adds r1, #1",
        "cmp r1, r0",
        "ble 2b",
        "mov r0, r1",
        "bx lr",
    )
}
