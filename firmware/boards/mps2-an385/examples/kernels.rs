//! What kernels cost: see the program.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use flowlet_board_mps2_an385 as board;

#[cfg(target_os = "none")]
#[path = "../../emulated/programs/kernels.rs"]
mod program;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware: `cargo xtask bench device` builds it for the device and runs it in an emulator.");
    std::process::exit(1);
}
