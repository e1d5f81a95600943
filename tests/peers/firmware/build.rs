//! Puts the models where the programs include them, compiles emlearn's C, and links for the board.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The folder of what `models/train.py` writes.
const MODELS: &str = "PEERS_MODELS";

/// The generated Rust file of the flow.
const FLOW: &str = "PEERS_FLOW";

/// emlearn's models, a C file each.
const EMLEARN: [&str; 3] = ["autoencoder", "envelope", "mixture"];

/// The compiler that gcc-arm-none-eabi brings.
const COMPILER: &str = "arm-none-eabi-gcc";

fn main() {
    let (models, flow, out) = (path(MODELS), path(FLOW), path("OUT_DIR"));
    println!("cargo:rustc-env={MODELS}={}", models.display());
    println!("cargo:rustc-env={FLOW}={}", flow.display());
    // microflow's attribute takes a literal path and nothing that expands to one.
    let tflite = models.join("autoencoder.tflite");
    let source = format!("#[microflow::model({tflite:?})]\npub struct Autoencoder;\n");
    fs::write(out.join("microflow.rs"), source).expect("OUT_DIR can be written");

    let include = fs::read_to_string(models.join("include.txt")).expect("train.py writes include.txt");
    for name in EMLEARN {
        let file = format!("emlearn/{name}.c");
        println!("cargo:rerun-if-changed={file}");
        cc::Build::new()
            .compiler(COMPILER)
            .file(&file)
            .include(&models)
            .include(&include)
            .warnings(false)
            .compile(name);
    }
    println!("cargo:rustc-link-search={}", newlib().display());
    println!("cargo:rustc-link-lib=static=m");
    println!("cargo:rustc-link-lib=static=c_nano");

    println!("cargo:rerun-if-changed={}", models.display());
    println!("cargo:rerun-if-changed={}", flow.with_extension("flow").display());
    println!("cargo:rerun-if-changed=memory.x");
    fs::copy("memory.x", out.join("memory.x")).expect("memory.x can be copied");
    println!("cargo:rustc-link-search={}", out.display());
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo:rustc-link-arg={argument}");
    }
}

/// A path in an environment variable.
fn path(variable: &str) -> PathBuf {
    println!("cargo:rerun-if-env-changed={variable}");
    let path = env::var_os(variable);
    path.unwrap_or_else(|| panic!("{variable} is not set: `cargo xtask peers` builds this")).into()
}

/// Where the C library for this core lies.
fn newlib() -> PathBuf {
    let arguments = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-print-file-name=libm.a"];
    let output = Command::new(COMPILER).args(arguments).output().expect("the compiler of gcc-arm-none-eabi runs");
    let path = String::from_utf8(output.stdout).expect("a path in UTF-8");
    Path::new(path.trim()).parent().expect("libm.a lies in a folder").to_owned()
}
