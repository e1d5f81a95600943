//! Keeps, for a device, all that the entry point reaches and nothing else.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        println!("cargo:rustc-link-arg=--entry=entry");
    }
}
