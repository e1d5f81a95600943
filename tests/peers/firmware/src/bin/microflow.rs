//! The autoencoder under microflow, int8: its macro reads the .tflite file.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use flowlet_peers::{Answer, FEATURES, serve};
use microflow::buffer::Buffer2D;

include!(concat!(env!("OUT_DIR"), "/microflow.rs"));

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn evaluate(reading: &[f32; FEATURES], answer: &mut Answer) {
    let input = Buffer2D::<f32, 1, FEATURES>::from_row_slice(reading);
    answer.copy_from_slice(Autoencoder::predict(input).as_slice());
}

#[entry]
fn main() -> ! {
    serve(evaluate)
}
