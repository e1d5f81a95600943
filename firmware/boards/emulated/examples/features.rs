//! What the features of a window cost, by their kind: an emulator counts the instructions.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[flowlet_emulated::architecture::entry]
fn main() -> ! {
    flowlet_emulated::stream::serve(flowlet_jobs::FEATURES)
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
