//! The bytes of a trained net, in the order of the core's types.
//!
//! Weights lie in blocks of four rows by four columns. Of each four rows there are as many blocks as the last of them
//! sees columns: all in a dense net; in a masked net a prefix, behind which nothing is stored.

use nalgebra::DMatrix;

use super::quantize::Quantized;
use super::ranges::{RangeMethod, Ranges};
use super::{Matrix, Net, Place, Wiring};
use crate::image::Image;

impl Net {
    /// Appends the image of the net with f32 weights.
    ///
    /// # Panics
    /// If there are fewer parameters than the net has.
    pub fn write_float(&self, parameters: &[f32], image: &mut Image) {
        for matrix in self.matrices() {
            let (weights, biases) = (&parameters[matrix.weights()], &parameters[matrix.biases()]);
            self.blocks(matrix, [0, 1, 2, 3], |place| image.f32(place.map_or(0.0, |place| weights[place])));
            padded(biases, 0.0).for_each(|bias| image.f32(bias));
        }
    }

    /// Appends the image of the net with weights quantized to int8.
    ///
    /// `inputs` are readings that the net will see, one a row, its columns in the order of the net's inputs. `cost` says
    /// what a squared error of an output costs, given all exact outputs of that row; a factor that is the same for all
    /// rows does not matter. The units of activations are calibrated by `method`. Returns what went into each matrix: first,
    /// inner, last.
    ///
    /// # Panics
    /// If there are fewer parameters than the net has, no readings, or readings of other inputs.
    pub fn write_int8(
        &self,
        parameters: &[f32],
        inputs: &DMatrix<f64>,
        cost: impl Fn(usize, &[f64]) -> f64,
        method: RangeMethod,
        image: &mut Image,
    ) -> Vec<Ranges> {
        let parameters: Vec<f64> = parameters.iter().map(|parameter| f64::from(*parameter)).collect();
        let Quantized { input_unit, matrices } = self.quantize(&parameters, inputs, cost, method);
        image.f32((1.0 / input_unit) as f32);
        for (matrix, rounded) in self.matrices().zip(&matrices) {
            self.blocks(matrix, [0, 2, 1, 3], |place| {
                image.0.extend(place.map_or(0, |place| rounded.weights[place]).to_le_bytes());
            });
            padded(&rounded.biases, 0).for_each(|bias| image.i32(bias));
            for factor in &rounded.factors {
                image.0.extend(factor.multiplier.to_le_bytes());
                image.0.extend(factor.shift.to_le_bytes());
            }
            if matrix.place == Place::Last {
                // Padding rows have scales too, for a rule without exceptions.
                padded(&rounded.units, 1.0).for_each(|unit| image.f32(unit.min(f64::from(f32::MAX)) as f32));
            }
        }
        matrices.iter().map(|rounded| rounded.ranges).collect()
    }

    /// Calls `put` with the place of each stored weight among the weights of the matrix, a row's four columns of a block in
    /// the order given; `None` for padding.
    fn blocks(&self, matrix: Matrix, order: [usize; 4], mut put: impl FnMut(Option<usize>)) {
        for top in (0..matrix.outputs).step_by(4) {
            let last = (top + 3).min(matrix.outputs - 1);
            for left in (0..self.sight(matrix, last)).step_by(4) {
                for row in top..top + 4 {
                    for column in order.map(|offset| left + offset) {
                        let inside = row < matrix.outputs && column < matrix.inputs;
                        put(inside.then(|| row * matrix.inputs + column));
                    }
                }
            }
        }
    }

    /// How many inputs of a matrix an output sees: the first ones.
    fn sight(&self, matrix: Matrix, output: usize) -> usize {
        let (Some(masks), Wiring::Masked { context, stride, .. }) = (self.masks(), self.wiring) else {
            return matrix.inputs;
        };
        match matrix.place {
            Place::First => context + masks.degree(output / 4),
            Place::Inner => 4 * masks.quads(masks.degree(output / 4)),
            Place::Last => 4 * masks.quads(output / stride),
        }
    }
}

/// Values, and as many of `padding` as make whole quads.
fn padded<T: Copy>(values: &[T], padding: T) -> impl Iterator<Item = T> + '_ {
    values.iter().copied().chain(std::iter::repeat_n(padding, values.len().next_multiple_of(4) - values.len()))
}
