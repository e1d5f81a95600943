//! No detector: what the other programs have more than this one is what theirs costs.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use flowlet_peers::{Answer, FEATURES, serve};

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn evaluate(reading: &[f32; FEATURES], answer: &mut Answer) {
    *answer = *reading;
}

#[entry]
fn main() -> ! {
    serve(evaluate)
}
