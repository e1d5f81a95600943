//! The application on the emulated BBC micro:bit (a Cortex-M0): the board's own part of it, its UART.
#![no_std]
#![cfg(target_os = "none")]

pub mod uart;

/// Bytes of RAM that a program may take for a buffer: half of it.
pub const BUFFER: usize = 8 * 1024;
