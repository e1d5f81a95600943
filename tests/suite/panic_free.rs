//! No panic can be reached from scoring, sampling or in-place loading: the linker says so.
//!
//! `tests/panic-free` is a program of exactly these calls, without a panic handler. It must link, and with one index
//! that is not checked it must not.

use std::path::Path;
use std::process::{Command, Output};

/// The smallest core, without division and without 32-bit immediates, and the one with DSP instructions and an FPU.
const TARGETS: [&str; 3] = ["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "thumbv7m-none-eabi"];

/// A directory of its own: these are other programs than the workspace's.
const BUILD: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/panic-free");

fn link(target: &str, features: &[&str]) -> Output {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("panic-free"));
    command.args(["build", "--quiet", "--profile", "firmware", "--target", target, "--target-dir", BUILD]);
    for feature in features {
        command.args(["--features", feature]);
    }
    // Flags for the host (coverage, for one) are not for the device.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.output().expect("cargo starts")
}

fn messages(output: &Output) -> String {
    let messages = String::from_utf8_lossy(&output.stderr);
    if messages.contains("can't find crate for `core`") {
        return format!("a target is missing: rustup target add {}\n{messages}", TARGETS.join(" "));
    }
    messages.into_owned()
}

#[test]
fn no_panic_is_reachable() {
    for target in TARGETS {
        let output = link(target, &[]);
        assert!(
            output.status.success(),
            "{target}: a panic is reachable from an entry point in tests/panic-free. Find it: a slice index, a division, an \
             `unwrap` or a `chunks_exact` of run-time size that the optimizer could not prove.\n{}",
            messages(&output)
        );
    }
}

#[test]
fn one_unchecked_index_is_found() {
    let output = link(TARGETS[1], &["unchecked-index"]);
    let messages = messages(&output);
    assert!(!output.status.success(), "the link must fail, or it shows nothing");
    assert!(messages.contains("at least one panicking branch"), "{messages}");
}
