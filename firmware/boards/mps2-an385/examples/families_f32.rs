//! Every layer family with a net in f32, on models that the host sends: see the program.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use flowlet_board_mps2_an385 as board;

#[cfg(target_os = "none")]
#[path = "../../emulated/programs/families_f32.rs"]
mod program;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware: `cargo xtask test` builds it for the device and runs it in an emulator.");
    std::process::exit(1);
}
