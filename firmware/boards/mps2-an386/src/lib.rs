//! The application on the emulated Arm MPS2+ (AN386: a Cortex-M4F), and what the board offers it: a UART, a clock, a stack
//! gauge, and an end.
//!
//! Both emulators end the program with `end::exit`, and a panic or a hard fault ends it with a failing status, so that
//! nothing that goes wrong here can look like success.
#![no_std]
#![cfg(target_os = "none")]

// The logger, and the critical section that it needs.
use {cortex_m as _, defmt_semihosting as _};

pub mod clock;
pub mod end;
pub mod program;
pub mod stack;
pub mod uart;
