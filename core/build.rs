//! Chooses the kernels by the target: stable compilers tell crates neither of the DSP extension nor of the instruction set.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(flowlet_kernel, values(\"dsp\", \"portable\", \"thumb1\"))");
    println!("cargo:rustc-check-cfg=cfg(flowlet_dsp_by_choice)");
    let target = env::var("TARGET").unwrap_or_default();
    // Always there on a Cortex-M4 and M7, an option of a Cortex-M33.
    let by_choice = target.starts_with("thumbv8m.main") && env::var_os("CARGO_FEATURE_DSP").is_some();
    let kernel = if target.starts_with("thumbv7em") || by_choice {
        "dsp"
    } else if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        "thumb1"
    } else {
        "portable"
    };
    println!("cargo:rustc-cfg=flowlet_kernel=\"{kernel}\"");
    if by_choice {
        println!("cargo:rustc-cfg=flowlet_dsp_by_choice");
    }
}
