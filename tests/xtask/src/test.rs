//! `cargo xtask test`: every test there is.

use anyhow::Result;
use flowlet_tests::emulator::Backend;

use crate::setup;

/// The targets that tests build for.
const TARGETS: [&str; 5] = [
    "riscv32imc-unknown-none-elf",
    "thumbv6m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv7m-none-eabi",
    "thumbv8m.main-none-eabihf",
];

/// Sets up what is missing, and hands over to `cargo test`.
pub fn run(qemu: bool) -> Result<()> {
    setup::targets(&TARGETS)?;
    if qemu {
        setup::emulator(Backend::Qemu)?;
    } else if let Some(missing) = Backend::Qemu.missing() {
        eprintln!("note: what compares with QEMU is skipped. {missing}");
    }
    let every = ["--features", "flowlet-tests/every-size"];
    setup::run(setup::cargo().args(["test", "--workspace", "--exclude", "flowlet-xtask"]).args(every))
}
