//! The application on the emulated Arm MPS2+ (AN385: a Cortex-M3): the board's own part of it, its UART.
#![no_std]
#![cfg(target_os = "none")]

/// That of the same board with another image.
#[path = "../../mps2-an386/src/uart.rs"]
pub mod uart;

/// Bytes of RAM that a program may take for a buffer.
pub const BUFFER: usize = 256 * 1024;
