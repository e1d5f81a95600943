//! Does over the UART what it is told, so that the emulators themselves can be tested: the first byte received says what.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use core::hint::black_box;

    use flowlet_emulated::architecture::{entry, udf};
    use flowlet_emulated::board::{self, INBOX, sleep};
    use flowlet_emulated::end;
    use flowlet_jobs::arithmetic;

    #[entry]
    fn main() -> ! {
        let mut transmitter = board::start();
        let command = INBOX.wait(sleep);
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
                match INBOX.wait(sleep) {
                    0 => end::exit(0),
                    byte => transmitter.send(&[byte]),
                }
            },
            b'c' => {
                defmt::info!("{=u32}", (0..5).map(|rounds| count_me(rounds)).sum());
                end::exit(0)
            }
            b'f' => udf(),
            b'l' => loop {
                core::hint::spin_loop();
            },
            b'p' => panic!("told to"),
            b's' => loop {
                sleep();
            },
            b'x' => end::exit(INBOX.wait(sleep).into()),
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
    #[cfg(target_arch = "arm")]
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

    /// As above.
    #[cfg(target_arch = "riscv32")]
    #[allow(unsafe_code, reason = "assembly whose instructions can be counted by hand")]
    #[unsafe(naked)]
    #[unsafe(no_mangle)]
    extern "C" fn count_me(rounds: u32) -> u32 {
        core::arch::naked_asm!(
            "li a1, 0",
            "2:",
            "addi sp, sp, -4",
            "addi sp, sp, 4",
            "addi a1, a1, 1",
            "nop",
            "bge a0, a1, 2b",
            "mv a0, a1",
            "ret",
        )
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
