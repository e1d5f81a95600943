//! The elliptic envelope by emlearn, f32: squared Mahalanobis distance.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use flowlet_peers::{Answer, FEATURES, serve};

unsafe extern "C" {
    fn emlearn_envelope(reading: *const f32, answer: *mut f32);
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn evaluate(reading: &[f32; FEATURES], answer: &mut Answer) {
    // SAFETY: it reads FEATURES numbers and writes one.
    unsafe { emlearn_envelope(reading.as_ptr(), answer.as_mut_ptr()) }
}

#[entry]
fn main() -> ! {
    serve(evaluate)
}
