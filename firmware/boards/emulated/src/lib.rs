//! What the emulated boards share: a clock, a stack gauge, an end, and the application between them.
//!
//! Both emulators end the program with `end::exit`, and a panic or a hard fault ends it with a failing status, so that
//! nothing that goes wrong here can look like success.
//!
//! A board adds its memory map and its module `uart`. The programs beside this library are part of no package: a board's
//! `main` and examples include them by path, with the board's own library under the name `board`.
#![no_std]
#![cfg(target_os = "none")]

// The logger, and the critical section that it needs.
use {cortex_m as _, defmt_semihosting as _};

pub mod clock;
pub mod end;
pub mod program;
pub mod stack;
