//! Every layer family in fixed point, in one direction that it has.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[flowlet_emulated::architecture::entry]
fn main() -> ! {
    flowlet_emulated::stream::serve(flowlet_jobs::FIXED)
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
