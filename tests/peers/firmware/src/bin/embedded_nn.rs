//! The autoencoder by embedded-nn's int8 kernel for fully connected layers.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_nn::fully_connected::fully_connected_s8;
use embedded_nn::types::{Activation, Dims, FcParams, PerTensorQuantParams, Result};
use flowlet_peers::{Answer, FEATURES, serve};

/// A fully connected layer.
struct Layer<const IN: usize, const OUT: usize, const WEIGHTS: usize> {
    weights: [i8; WEIGHTS],
    bias: [i32; OUT],
    input_zero_point: i32,
    output_zero_point: i32,
    /// The least that an output can be: 0 as it is stored, behind a ReLU.
    lowest: i32,
    multiplier: i32,
    shift: i32,
}

include!(concat!(env!("PEERS_MODELS"), "/layers.rs"));

impl<const IN: usize, const OUT: usize, const WEIGHTS: usize> Layer<IN, OUT, WEIGHTS> {
    fn evaluate(&self, input: &[i8; IN]) -> Result<[i8; OUT]> {
        let parameters = FcParams {
            input_offset: -self.input_zero_point,
            filter_offset: 0,
            output_offset: self.output_zero_point,
            activation: Activation::new(self.lowest, i8::MAX.into()),
        };
        let scale = PerTensorQuantParams::new(self.multiplier, self.shift);
        let (inputs, outputs) = (Dims::new(1, 1, 1, IN as i32), Dims::new(1, 1, 1, OUT as i32));
        let filter = Dims::new(IN as i32, 1, 1, OUT as i32);
        let mut output = [0; OUT];
        let bias = Some(&self.bias[..]);
        fully_connected_s8(&parameters, &scale, &inputs, input, &filter, &self.weights, bias, &outputs, &mut output)?;
        Ok(output)
    }
}

fn reconstruct(reading: &[f32; FEATURES]) -> Result<[f32; FEATURES]> {
    let input = reading.map(|value| libm::roundf(value / INPUT_SCALE + LAYER_0.input_zero_point as f32) as i8);
    let output = LAYER_3.evaluate(&LAYER_2.evaluate(&LAYER_1.evaluate(&LAYER_0.evaluate(&input)?)?)?)?;
    Ok(output.map(|value| OUTPUT_SCALE * (i32::from(value) - LAYER_3.output_zero_point) as f32))
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn evaluate(reading: &[f32; FEATURES], answer: &mut Answer) {
    *answer = reconstruct(reading).unwrap_or([f32::NAN; FEATURES]);
}

#[entry]
fn main() -> ! {
    serve(evaluate)
}
