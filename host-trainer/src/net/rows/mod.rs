//! Nets evaluated for many readings at once, with the device's bits.
//!
//! What the device does to one reading after the other is done here to [`ROWS`] of them side by side, in vectors whose lanes are
//! readings. Sums keep the device's order, and rounding its places, so the bits are those of the core's views. Nets with ReLU,
//! connected one layer after the other, have this; others are evaluated reading by reading.
//!
//! All inputs of a masked net are known on the way to the base. So it is a dense net each of whose rows sees a prefix of its
//! inputs: no walk from feature to feature is needed.

mod float;
mod int8;

use std::cell::Cell;
use std::ops::Deref;

use flowlet::conditioner::{Activation, Body, MaskedShape, Shape};

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
        let shape = net.any_shape();
        let (AnyShape::Dense(Shape { body, activation, .. }) | AnyShape::Masked(MaskedShape { body, activation, .. })) =
            shape;
        if body != Body::Plain || activation != Activation::Relu {
            return None;
        }
        let (inputs, matrices) = match shape {
            AnyShape::Dense(shape) => (4 * shape.inputs, dense(shape)),
            AnyShape::Masked(shape) => (4 * shape.inputs(), masked(shape)),
        };
        match net.format() {
            NumberFormat::Float => float::Net::new(inputs, &matrices, bytes).map(Self::Float),
            NumberFormat::Int8 => int8::Net::new(inputs, &matrices, bytes).map(Self::Int8),
        }
    }

    /// The outputs, padding to quads included, at these inputs; those that are missing are 0, those beyond the net's are not
    /// looked at.
    pub fn evaluate<'a>(&self, inputs: impl Iterator<Item = &'a Lanes<f32>>) -> Outputs {
        let mut outputs = Outputs(OUTPUTS.take());
        match self {
            Self::Float(net) => net.evaluate(inputs, &mut outputs.0),
            Self::Int8(net) => net.evaluate(inputs, &mut outputs.0),
        }
        outputs
    }
}

/// What a net gave, in memory that the thread's next evaluation takes again: a table has many blocks, each goes through all nets.
#[derive(Debug)]
pub struct Outputs(Vec<Lanes<f32>>);

thread_local! {
    static OUTPUTS: Cell<Vec<Lanes<f32>>> = const { Cell::new(Vec::new()) };
}

impl Deref for Outputs {
    type Target = [Lanes<f32>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        OUTPUTS.set(std::mem::take(&mut self.0));
    }
}

/// The first lanes of a buffer, which grows as it has to; what is in them is of no account.
fn first<T: Copy + Default>(buffer: &mut Vec<Lanes<T>>, count: usize) -> &mut [Lanes<T>] {
    if buffer.len() < count {
        buffer.resize(count, [T::default(); ROWS]);
    }
    &mut buffer[..count]
}

/// Four rows of a matrix.
#[derive(Clone, Copy, Debug)]
struct Quad {
    /// Blocks of weights that are stored.
    blocks: usize,
    /// How many inputs, the first ones, each row sees; ascending.
    seen: [usize; 4],
}

impl Quad {
    /// Rows that see as much as is stored.
    fn whole(blocks: usize) -> Self {
        Self { blocks, seen: [4 * blocks; 4] }
    }
}

/// The rows of the matrices of a dense net: first, inner, last.
fn dense(Shape { inputs, hidden, deep, outputs, .. }: Shape) -> Vec<Vec<Quad>> {
    let matrix = |inputs, outputs| vec![Quad::whole(inputs); outputs];
    let mut matrices = vec![matrix(hidden, hidden); deep];
    matrices.insert(0, matrix(inputs, hidden));
    matrices.push(matrix(hidden, outputs));
    matrices
}

/// The rows of the matrices of a masked net.
fn masked(shape: MaskedShape) -> Vec<Vec<Quad>> {
    let masks = shape.masks();
    let hidden = || (0..shape.hidden).map(|quad| masks.degree(quad));
    let first = hidden().map(|degree| {
        let known = shape.context + degree;
        Quad { blocks: known.div_ceil(4), seen: [known; 4] }
    });
    let inner = hidden().map(|degree| Quad::whole(masks.quads(degree)));
    // A row behind the last feature's is padding.
    let quads = |row: usize| masks.quads((row / shape.stride.max(1)).min(shape.features.saturating_sub(1)));
    let last = (0..shape.outputs()).map(|quad| {
        let seen: [usize; 4] = std::array::from_fn(|row| 4 * quads(4 * quad + row));
        Quad { blocks: seen[3] / 4, seen }
    });
    let mut matrices = vec![inner.collect(); shape.deep];
    matrices.insert(0, first.collect());
    matrices.push(last.collect());
    matrices
}
