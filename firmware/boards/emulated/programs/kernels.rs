//! What kernels cost alone: an emulator counts the instructions.

use cortex_m_rt::entry;

#[path = "stream.rs"]
mod stream;

#[entry]
fn main() -> ! {
    stream::serve(flowlet_jobs::KERNELS)
}
