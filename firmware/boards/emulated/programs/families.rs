//! Every layer family of the registry, in every direction that it has.

use cortex_m_rt::entry;

#[path = "stream.rs"]
mod stream;

#[entry]
fn main() -> ! {
    stream::serve(flowlet_jobs::FAMILIES)
}
