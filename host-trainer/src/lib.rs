//! Fits flowlet models.

pub mod calibrate;
pub mod data;
pub mod metrics;
pub mod train;
