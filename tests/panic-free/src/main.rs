//! A program for a bare device that calls every entry point of the scoring path and has no panic handler: `panic-never`
//! declares one that nothing defines. If a panic can be reached, the linker misses `_panic_never` and the build fails.
//!
//! It is linked, not run. All inputs are opaque to the optimizer.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This links for a device only: cargo build --profile firmware --target thumbv7em-none-eabihf");
    std::process::exit(1);
}
