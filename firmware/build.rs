//! Chooses the model that is linked in.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Names the generated Rust file of the model to link in, in place of [`DEFAULT`].
const VARIABLE: &str = "FLOWLET_MODEL";

/// The committed model.
const DEFAULT: &str = "model/rig.rs";

fn main() {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let source = match env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_absolute(), "{VARIABLE} is `{}`: expected an absolute path", path.display());
            path
        }
        None => package.join(DEFAULT),
    };
    if let Err(error) = fs::metadata(&source) {
        panic!("the model {} cannot be read ({error}): {VARIABLE} names what `flowlet fit` writes", source.display());
    }
    // The model file lies beside the source that includes it.
    watch(&source);
    watch(&source.with_extension("flow"));
    println!("cargo:rustc-env=FLOWLET_MODEL_SOURCE={}", source.display());
}

fn watch(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}
