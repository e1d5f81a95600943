//! Dense nets evaluated for many readings at once, with the device's bits.
//!
//! What the device does to one reading after the other is done here to [`ROWS`] of them side by side, in vectors whose lanes are
//! readings. Sums keep the device's order, and rounding its places, so the bits are those of the core's views. Nets with ReLU,
//! connected one layer after the other, have this; others are evaluated reading by reading.

mod float;
mod int8;

use flowlet::conditioner::{Activation, Body, Shape};

use super::description::{AnyShape, NetType};
use crate::model::architecture::NumberFormat;

/// Readings that are evaluated together: whole vectors, and few enough for the first-level cache.
pub const ROWS: usize = 64;

/// What [`ROWS`] readings have in one place.
pub type Lanes<T> = [T; ROWS];

/// A function of each reading's value.
#[inline(always)]
pub fn each<A: Copy, B: Copy + Default>(values: &Lanes<A>, f: impl Fn(A) -> B) -> Lanes<B> {
    // No map: for arrays of this length it is a call.
    let mut results = [B::default(); ROWS];
    for row in 0..ROWS {
        results[row] = f(values[row]);
    }
    results
}

/// A net, its weights in the order that rows of readings take them in.
#[derive(Debug)]
pub enum RowsNet {
    /// f32 weights.
    Float(float::Net),
    /// int8 weights.
    Int8(int8::Net),
}

impl RowsNet {
    /// The net of this type on the values at the start of `bytes`; `None` for a type that is evaluated reading by reading.
    pub fn new(net: NetType, bytes: &[u8]) -> Option<Self> {
        let AnyShape::Dense(shape) = net.any_shape() else { return None };
        if shape.body != Body::Plain || shape.activation != Activation::Relu {
            return None;
        }
        match net.format() {
            NumberFormat::Float => float::Net::new(shape, bytes).map(Self::Float),
            NumberFormat::Int8 => int8::Net::new(shape, bytes).map(Self::Int8),
        }
    }

    /// The outputs, padding to quads included, at inputs that are the net's first ones; those that are missing are 0.
    pub fn evaluate(&self, inputs: &[Lanes<f32>], context: &[Lanes<f32>]) -> Vec<Lanes<f32>> {
        let inputs = inputs.iter().chain(context);
        match self {
            Self::Float(net) => net.evaluate(inputs),
            Self::Int8(net) => net.evaluate(inputs),
        }
    }
}

/// Inputs and outputs of the matrices of a net, in quads: first, inner, last.
fn matrices(shape: Shape) -> impl Iterator<Item = (usize, usize)> {
    let Shape { inputs, hidden, deep, outputs, .. } = shape;
    std::iter::once((inputs, hidden)).chain(std::iter::repeat_n((hidden, hidden), deep)).chain([(hidden, outputs)])
}
