//! What crosses crates.

pub mod densities;
pub mod emulator;
pub mod fuzz;
pub mod jobs;
pub mod models;
pub mod vectors;
pub mod words;
