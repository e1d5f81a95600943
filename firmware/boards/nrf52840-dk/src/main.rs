//! The application on a Nordic nRF52840 DK; see this board's README.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program;
#[cfg(target_os = "none")]
mod uart;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "This is firmware. `cargo run --profile firmware` in firmware/boards/nrf52840-dk flashes it onto a board."
    );
    std::process::exit(1);
}
