//! Fits, quantizes, calibrates and scores flowlet models on a workstation.
//!
//! ```text
//! CSV -> data -> train -> quantize -> calibrate -> export -> model file and Rust source
//! ```

pub mod base;
pub mod calibrate;
pub mod cli;
pub mod commands;
pub mod cost;
pub mod data;
pub mod export;
pub mod fitting;
pub mod groups;
pub mod image;
pub mod import;
pub mod layers;
pub mod metrics;
pub mod model;
pub mod monitor;
pub mod net;
pub mod quantization;
pub mod realized;
pub mod recalibrate;
pub mod report;
pub mod scoring;
pub mod search;
pub mod signal;
pub mod tail;
pub mod train;
pub mod univariate;
pub mod variational;
