//! The application on the emulated Arm MPS2+ (AN386: a Cortex-M4F): the board's own part of it, its UART.
#![no_std]
#![cfg(target_os = "none")]

pub mod uart;

/// Bytes of RAM that a program may take for a buffer.
pub const BUFFER: usize = 256 * 1024;
