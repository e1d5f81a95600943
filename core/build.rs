//! Tells the crate whether the target has the DSP extension: stable compilers have no `cfg` for it.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(flowlet_dsp)");
    let target = env::var("TARGET").unwrap_or_default();
    // Always there on a Cortex-M4 and M7, an option of a Cortex-M33.
    let optional = target.starts_with("thumbv8m.main") && env::var_os("CARGO_FEATURE_DSP").is_some();
    if target.starts_with("thumbv7em") || optional {
        println!("cargo:rustc-cfg=flowlet_dsp");
    }
}
