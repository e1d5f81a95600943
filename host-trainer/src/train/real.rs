//! The two float types that the trainer's arithmetic is written for.

use std::fmt::Debug;
use std::iter::Sum;

use num_traits::{Float, NumAssign};

use super::exp::Fast;
use super::vectors::Lanes;
use crate::base::{TrainableBase, TrainedBase};
use crate::layers::{Trainable, Trained};

/// `f32`, which trains, or `f64`, in which gradients are checked.
pub trait Real: Float + Fast + Lanes + NumAssign + Sum + Default + Debug + Send + Sync + 'static {
    /// Rounds to this type.
    fn of(value: f64) -> Self;

    /// Widens, exactly.
    fn wide(self) -> f64;

    /// A layer's arithmetic in this type.
    fn trainable(layer: &dyn Trained) -> &dyn Trainable<Self>;

    /// A base's arithmetic in this type.
    fn trainable_base(base: &dyn TrainedBase) -> &dyn TrainableBase<Self>;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn trainable(layer: &dyn Trained) -> &dyn Trainable<Self> {
        layer
    }

    fn trainable_base(base: &dyn TrainedBase) -> &dyn TrainableBase<Self> {
        base
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    fn trainable(layer: &dyn Trained) -> &dyn Trainable<Self> {
        layer
    }

    fn trainable_base(base: &dyn TrainedBase) -> &dyn TrainableBase<Self> {
        base
    }
}
