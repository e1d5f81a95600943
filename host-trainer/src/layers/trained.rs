//! Layers while they are trained: batched, with hand-written derivatives.

use std::fmt::Debug;

use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;

use super::Layer;
use crate::image::Image;
use crate::model::architecture::NumberFormat;
use crate::net::{Net, RangeMethod, Ranges};
use crate::train::{Batch, Real, Tape};

/// The arithmetic of one layer: shapes are its fields, trainable numbers a slice that the caller owns, so that the
/// optimizer, the best weights so far and the reduction over threads see one vector.
///
/// One direction is differentiated. Maximum likelihood passes data -> base, so for a layer that has that direction it is
/// the one; a layer that only goes base -> data is differentiated in that direction and stands in a density as
/// `Turned`. Variational inference passes the same way from the base to the data.
pub trait Trainable<T: Real>: Debug + Send + Sync {
    /// How many numbers of `parameters` are this layer's.
    fn parameters(&self) -> usize;

    /// Draws starting values.
    fn initialize(&self, parameters: &mut [T], rng: &mut ChaCha8Rng);

    /// Changes the starting values by the rows that reach the layer: for layers that normalize.
    fn initialize_by(&self, _parameters: &mut [T], _batch: &Batch<T>) {}

    /// Sets `true` at the parameters that weight decay applies to.
    fn mark_decayed(&self, marks: &mut [bool]);

    /// Rounds the weights of its net, if it has one, each to the nearest that int8 can hold with the unit of its row: what
    /// quantization-aware fine-tuning computes with.
    fn fake_quantize(&self, _parameters: &mut [T]) {}

    /// Maps the batch in place and adds log |det J| of each row to `log_det`. `context` is feature-major, as the batch.
    /// What [`Trainable::backward`] needs goes to the tape.
    fn inverse(&self, parameters: &[T], batch: &mut Batch<T>, context: &[T], log_det: &mut [T], tape: &mut Tape<T>);

    /// Turns `gradient` from that by the layer's outputs into that by its inputs, given the gradient by each row's
    /// log-determinant, and adds the gradient by the parameters.
    fn backward(
        &self,
        parameters: &[T],
        tape: &mut Tape<T>,
        gradient: &mut Batch<T>,
        log_det_gradient: &[T],
        parameter_gradient: &mut [T],
    );
}

/// Readings as they reach a layer, one a row, and the contexts that come with them.
#[derive(Clone, Debug)]
pub struct Rows {
    /// A column for each feature.
    pub values: DMatrix<f64>,
    /// A column for each context value.
    pub context: DMatrix<f64>,
}

/// A layer that is trained in f32, checked in f64, and written as the core reads it.
pub trait Trained: Trainable<f32> + Trainable<f64> {
    /// What it is, with its net in this number format.
    fn layer(&self, format: NumberFormat) -> Layer;

    /// Whether it has a net whose weights can be quantized.
    fn has_net_to_quantize(&self) -> bool {
        self.layer(NumberFormat::Int8) != self.layer(NumberFormat::Float)
    }

    /// Appends the image of its values, a net with f32 weights.
    fn write(&self, parameters: &[f32], image: &mut Image);

    /// Appends the image of its values with the net quantized to int8, by the readings in `rows` and with the ranges of
    /// activations by `method`; returns what went into each matrix. A layer without a net appends nothing.
    fn write_int8(&self, _: &[f32], _rows: &Rows, _method: RangeMethod, _: &mut Image) -> Option<Vec<Ranges>> {
        None
    }

    /// The net of a layer whose parameters are a velocity's: it is fitted by flow matching, and has no
    /// [`Trainable::backward`].
    fn velocity(&self) -> Option<&Net> {
        None
    }
}
