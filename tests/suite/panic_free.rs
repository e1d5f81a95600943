//! No panic can be reached from scoring, sampling or in-place loading: the linker says so.
//!
//! `tests/panic-free` is a program of exactly these calls, without a panic handler. It must link, and with one index
//! that is not checked it must not.

use std::path::Path;
use std::process::{Command, Output};

use flowlet_tests::emulator::install;

/// Every target with the kernels that it has, and the features that choose them.
const TARGETS: [(&str, &[&str]); 6] = [
    ("thumbv7em-none-eabihf", &[]),
    ("thumbv6m-none-eabi", &[]),
    ("thumbv7m-none-eabi", &[]),
    ("thumbv8m.main-none-eabihf", &[]),
    ("thumbv8m.main-none-eabihf", &["flowlet/dsp"]),
    ("riscv32imc-unknown-none-elf", &[]),
];

/// A directory of its own: these are other programs than the workspace's.
const BUILD: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/panic-free");

fn link(target: &str, features: &[&str]) -> Output {
    install(target).expect("the target can be installed");
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

#[test]
fn no_panic_is_reachable() {
    for (target, features) in TARGETS {
        let output = link(target, features);
        assert!(
            output.status.success(),
            "{target}: a panic is reachable from an entry point in tests/panic-free. Find it: a slice index, a division, an \
             `unwrap` or a `chunks_exact` of run-time size that the optimizer could not prove.\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn one_unchecked_index_is_found() {
    let output = link(TARGETS[0].0, &["unchecked-index"]);
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "the link must fail, or it shows nothing");
    assert!(messages.contains("at least one panicking branch"), "{messages}");
}
