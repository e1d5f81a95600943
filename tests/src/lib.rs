//! What crosses crates.

pub mod emulator;
