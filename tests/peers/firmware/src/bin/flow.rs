//! A flow, standardization, log-density, p-value and alarm included.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use flowlet_peers::{Answer, FEATURES, serve};

mod flow {
    include!(env!("PEERS_FLOW"));
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn evaluate(reading: &[f32; FEATURES], answer: &mut Answer) {
    match flow::MODEL.assess(reading, &[]) {
        Ok(said) => {
            answer[0] = said.log_prob;
            answer[1] = said.p_value;
            answer[2] = f32::from(u8::from(said.alarm));
        }
        Err(_) => answer[0] = f32::NAN,
    }
}

#[entry]
fn main() -> ! {
    serve(evaluate)
}
