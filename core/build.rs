//! Chooses the kernels by the target: stable compilers tell crates neither of the DSP extension nor of the instruction set.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(flowlet_kernel, values(\"dsp\", \"portable\", \"sse2\", \"thumb1\"))");
    println!("cargo:rustc-check-cfg=cfg(flowlet_assembly)");
    println!("cargo:rustc-check-cfg=cfg(flowlet_dsp_by_choice)");
    let target = env::var("TARGET").unwrap_or_default();
    // Always there on a Cortex-M4 and M7, an option of a Cortex-M33.
    let by_choice = target.starts_with("thumbv8m.main") && env::var_os("CARGO_FEATURE_DSP").is_some();
    let kernel = if target.starts_with("thumbv7em") || by_choice {
        "dsp"
    } else if target.starts_with("thumbv6m") || target.starts_with("thumbv8m.base") {
        "thumb1"
    } else if target.starts_with("x86_64") && env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.contains("sse2"))
    {
        "sse2"
    } else {
        "portable"
    };
    println!("cargo:rustc-cfg=flowlet_kernel=\"{kernel}\"");
    if matches!(kernel, "dsp" | "thumb1") {
        println!("cargo:rustc-cfg=flowlet_assembly");
    }
    if by_choice {
        println!("cargo:rustc-cfg=flowlet_dsp_by_choice");
    }
}
