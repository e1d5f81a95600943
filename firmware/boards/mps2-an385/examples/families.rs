//! Every layer family without a net, on models that the host sends: see the program.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use flowlet_board_mps2_an385 as board;

#[cfg(target_os = "none")]
#[path = "../../emulated/programs/families.rs"]
mod program;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware: `cargo xtask test` builds it for the device and runs it in an emulator.");
    std::process::exit(1);
}
