//! Picks the board by the target that is built for, puts its memory map where the linker finds it, and links for it.

use std::{env, fs, path::Path};

/// Targets, and the emulated board of each.
const BOARDS: [(&str, &str); 5] = [
    ("thumbv6m-none-eabi", "microbit"),
    ("thumbv7m-none-eabi", "mps2-an385"),
    ("thumbv7em-none-eabihf", "mps2-an386"),
    ("thumbv8m.main-none-eabihf", "mps2-an505"),
    ("riscv32imc-unknown-none-elf", "virt"),
];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(board, values(\"{}\"))", BOARDS.map(|(_, board)| board).join("\", \""));
    println!("cargo:rerun-if-changed=memory");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let Some((_, board)) = BOARDS.iter().find(|(known, _)| *known == target) else {
        panic!("no emulated board for {target}: expected one of {}", BOARDS.map(|(target, _)| target).join(", "));
    };
    println!("cargo:rustc-cfg=board=\"{board}\"");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::copy(Path::new("memory").join(format!("{target}.x")), Path::new(&out).join("memory.x"))
        .expect("the memory map can be copied");
    println!("cargo:rustc-link-search={out}");
    // The runtime for RISC-V leaves it to its user to include the memory map.
    let memory = if *board == "virt" { "-Tmemory.x" } else { "" };
    for argument in ["--nmagic", memory, "-Tlink.x", "-Tdefmt.x"].iter().filter(|argument| !argument.is_empty()) {
        println!("cargo:rustc-link-arg={argument}");
    }
}
