//! The application on an emulated Cortex-M4F.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware. `cargo xtask demo` builds it for the device and runs it in an emulator.");
    std::process::exit(1);
}
