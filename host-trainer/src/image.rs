//! The bytes of a model's image, in the order of its schema.

use flowlet::conditioner::Shape;

use crate::quantize::QuantizedMlp;
use crate::train::{Dense, Mlp};

/// An image that is being written.
#[derive(Clone, Debug, Default)]
pub struct Image(pub Vec<u8>);

impl Image {
    /// One unsigned number.
    pub fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    /// One signed number.
    pub fn i32(&mut self, value: i32) {
        self.0.extend(value.to_le_bytes());
    }

    /// One floating-point number.
    pub fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    /// Floating-point numbers.
    pub fn f32s(&mut self, values: &[f32]) {
        values.iter().for_each(|value| self.f32(*value));
    }

    /// Blocks of four rows by four columns, rows of blocks in order; each row's columns in the order given.
    fn blocks(&mut self, rows: usize, columns: usize, order: [usize; 4], mut put: impl FnMut(&mut Self, usize, usize)) {
        for row in (0..4 * rows).step_by(4) {
            for column in (0..4 * columns).step_by(4) {
                for row in row..row + 4 {
                    for offset in order {
                        put(self, row, column + offset);
                    }
                }
            }
        }
    }

    /// An unquantized net.
    pub fn float_net(&mut self, shape: Shape, net: &Mlp) {
        let last = net.layers.len() - 1;
        for (index, dense) in net.layers.iter().enumerate() {
            let columns = if index == 0 { shape.inputs } else { shape.hidden };
            let rows = if index == last { shape.outputs } else { shape.hidden };
            self.blocks(rows, columns, [0, 1, 2, 3], |image, row, column| image.f32(weight(dense, row, column)));
            for row in 0..4 * rows {
                self.f32(dense.bias.get(row).copied().unwrap_or(0.0));
            }
        }
    }

    /// A quantized net.
    pub fn int8_net(&mut self, shape: Shape, net: &QuantizedMlp) {
        self.f32((1.0 / net.input_scale) as f32);
        let layers = net.hidden.iter().map(|(dense, factors)| (dense, Some(factors)));
        for (index, (dense, factors)) in layers.chain([(&net.last, None)]).enumerate() {
            let columns = if index == 0 { shape.inputs } else { shape.hidden };
            let rows = if factors.is_none() { shape.outputs } else { shape.hidden };
            self.blocks(rows, columns, [0, 2, 1, 3], |image, row, column| {
                let inside = row < dense.bias.len() && column < dense.inputs;
                let weight = if inside { dense.weights[row * dense.inputs + column] } else { 0 };
                image.0.extend(weight.to_le_bytes());
            });
            for row in 0..4 * rows {
                self.i32(dense.bias.get(row).copied().unwrap_or(0));
            }
            for row in 0..4 * rows {
                match factors {
                    Some(factors) => {
                        self.0.extend(factors[row].multiplier.to_le_bytes());
                        self.0.extend(factors[row].shift.to_le_bytes());
                    }
                    // Padding rows have scales too, for a rule without exceptions.
                    None => self.f32(dense.scale.get(row).copied().unwrap_or(1.0) as f32),
                }
            }
        }
    }
}

fn weight(dense: &Dense, row: usize, column: usize) -> f32 {
    if row < dense.outputs && column < dense.inputs { dense.weights[row * dense.inputs + column] } else { 0.0 }
}
