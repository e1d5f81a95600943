//! The two float types that the trainer's arithmetic is written for.

use std::fmt::Debug;
use std::iter::Sum;

use num_traits::{Float, NumAssign};

use super::exp::Fast;

/// `f32`, which trains, or `f64`, in which gradients are checked.
pub trait Real: Float + Fast + NumAssign + Sum + Default + Debug + Send + Sync + 'static {
    /// Rounds to this type.
    fn of(value: f64) -> Self;

    /// Widens, exactly.
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }
}
