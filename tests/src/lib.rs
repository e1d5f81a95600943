//! What crosses crates.

pub mod costs;
pub mod densities;
pub mod emulator;
pub mod fuzz;
pub mod gallery;
pub mod jobs;
pub mod models;
pub mod stream;
pub mod variational;
pub mod vectors;
pub mod words;
