//! From a fitted flow to a model: architecture, image and calibration, quantized or not.

use flowlet::conditioner::{Shape, WIDEST};
use flowlet::model_file::MOST_FEATURES;

use crate::calibrate::{Calibrated, KNOTS};
use crate::model::architecture::{Architecture, Arithmetic, Base, Calibration, Elementary, Layer, Map, Net};
use crate::model::{Metadata, Model, ModelError};
use crate::quantize::QuantizedMlp;
use crate::train::{Coupling, Dense, Mlp, RealNvp};

/// How the conditioners' weights are stored.
#[derive(Clone, Debug)]
pub enum Format {
    /// f32 weights.
    Float,
    /// int8 weights: a quantized net for each coupling.
    Int8(Vec<QuantizedMlp>),
}

/// The model of a fitted flow, with its calibration. Without one it scores but raises no alarm: for the scores that a
/// calibration is made from.
///
/// # Errors
/// [`ModelError`] when a fitted value is not one that the device accepts.
///
/// # Panics
/// If the flow has no blocks, or wider nets than the core allows.
pub fn export(
    flow: &RealNvp,
    format: &Format,
    calibrated: Option<&Calibrated>,
    metadata: Metadata,
) -> Result<Model, ModelError> {
    let features = flow.features();
    assert!(features <= MOST_FEATURES, "a flow has at most {MOST_FEATURES} features");
    let first = &flow.blocks.first().expect("a flow has blocks").coupling;
    let shape = shape(first);
    let net = match format {
        Format::Float => Net::float(shape),
        Format::Int8(_) => Net::int8(shape),
    };
    let coupling =
        Layer::Coupling { kept: first.a, transformed: first.b, map: Map::AFFINE, net, elementary: Elementary::Libm };
    let block = Layer::Chain(Box::new(Layer::Permute { features }), Box::new(coupling));
    let blocks = Layer::Repeat(flow.blocks.len(), Box::new(block));
    let architecture = Architecture {
        features,
        context: 0,
        layers: Layer::Chain(Box::new(Layer::Standardize { features }), Box::new(blocks)),
        base: Base::StandardNormal { features, elementary: Elementary::Libm },
        calibration: Calibration { knots: KNOTS },
        arithmetic: Arithmetic::F32SeparateMultiplyAdd,
    };

    let mut image = Image::default();
    image.f32s(&flow.mean);
    image.f32s(&flow.inverse_scale);
    image.f32(flow.inverse_scale.iter().map(|scale| f64::from(*scale).ln()).sum::<f64>() as f32);
    for (index, block) in flow.blocks.iter().enumerate() {
        for source in &block.permutation {
            image.u32(*source as u32);
        }
        image.f32(1.0 / block.coupling.bound);
        let net = &block.coupling.net;
        match format {
            Format::Float => image.float_net(shape, net),
            Format::Int8(nets) => image.int8_net(shape, &nets[index]),
        }
    }
    image.calibration(calibrated);
    Model::new(architecture, &image.0, metadata)
}

fn shape(coupling: &Coupling) -> Shape {
    let layers = &coupling.net.layers;
    let hidden = layers[0].outputs;
    assert!(hidden.is_multiple_of(4) && hidden <= 4 * WIDEST, "hidden widths are multiples of four");
    let (inputs, outputs) = (coupling.a.div_ceil(4), (2 * coupling.b).div_ceil(4));
    Shape { inputs, hidden: hidden / 4, deep: layers.len() - 2, outputs }
}

/// The bytes of a model's image, in the order of its schema.
#[derive(Default)]
struct Image(Vec<u8>);

impl Image {
    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn i32(&mut self, value: i32) {
        self.0.extend(value.to_le_bytes());
    }

    fn f32(&mut self, value: f32) {
        self.0.extend(value.to_le_bytes());
    }

    fn f32s(&mut self, values: &[f32]) {
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

    fn float_net(&mut self, shape: Shape, net: &Mlp) {
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

    fn int8_net(&mut self, shape: Shape, net: &QuantizedMlp) {
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

    fn calibration(&mut self, calibrated: Option<&Calibrated>) {
        let knots = calibrated.map_or(&[][..], |calibrated| &calibrated.knots);
        assert!(knots.len() <= KNOTS, "a calibration has at most {KNOTS} knots");
        for index in 0..KNOTS {
            self.f32(knots.get(index).map_or(f32::MAX, |(score, _)| *score));
        }
        for index in 0..KNOTS {
            self.u32(knots.get(index).map_or(0, |(_, above)| *above));
        }
        self.u32(calibrated.map_or(0, |calibrated| calibrated.rows));
        self.f32(calibrated.map_or(f32::MAX, |calibrated| calibrated.threshold));
        self.f32(calibrated.map_or(1.0, |calibrated| calibrated.false_alarm_rate));
    }
}

fn weight(dense: &Dense, row: usize, column: usize) -> f32 {
    if row < dense.outputs && column < dense.inputs { dense.weights[row * dense.inputs + column] } else { 0.0 }
}
