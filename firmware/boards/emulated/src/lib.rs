//! What the emulated boards share: a clock, a stack gauge, an end, and the application between them.
//!
//! There is one board for each target, which `build.rs` picks: `board` is its UART and the size of its RAM,
//! `architecture` what its core has. All emulators end the program with `end::exit`, and a panic or a fault ends it with
//! a failing status, so that nothing that goes wrong here can look like success.
#![cfg_attr(target_os = "none", no_std)]

// The logger.
#[cfg(target_os = "none")]
use defmt_semihosting as _;

#[cfg(target_os = "none")]
#[cfg_attr(target_arch = "arm", path = "architecture/arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "architecture/riscv.rs")]
pub mod architecture;
#[cfg(target_os = "none")]
#[cfg_attr(board = "microbit", path = "board/microbit.rs")]
#[cfg_attr(board = "virt", path = "board/virt.rs")]
#[cfg_attr(not(any(board = "microbit", board = "virt")), path = "board/mps2.rs")]
pub mod board;
#[cfg(target_os = "none")]
pub mod end;
#[cfg(target_os = "none")]
pub mod program;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(target_os = "none")]
pub mod stream;

/// What the programs do on the host: nothing, with an explanation.
#[cfg(not(target_os = "none"))]
pub fn refuse() -> ! {
    eprintln!("This is firmware: `cargo xtask` builds it for a device and runs it in an emulator.");
    std::process::exit(1)
}
