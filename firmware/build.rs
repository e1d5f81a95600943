//! Chooses the models that are linked in.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Variables that name the generated Rust file of a model to link in, in place of the committed one: of the model of readings, and of
/// the one that watches a stream.
const MODELS: [(&str, &str); 2] = [("FLOWLET_MODEL", "model/rig.rs"), ("FLOWLET_MONITORED", "model/stream.rs")];

fn main() {
    MODELS.iter().for_each(|(variable, default)| choose(variable, default));
}

fn choose(variable: &str, default: &str) {
    println!("cargo:rerun-if-env-changed={variable}");
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let source = match env::var_os(variable).filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(path.is_absolute(), "{variable} is `{}`: expected an absolute path", path.display());
            path
        }
        None => package.join(default),
    };
    if let Err(error) = fs::metadata(&source) {
        panic!("the model {} cannot be read ({error}): {variable} names what `flowlet fit` writes", source.display());
    }
    // The model file lies beside the source that includes it.
    watch(&source);
    watch(&source.with_extension("flow"));
    println!("cargo:rustc-env={variable}_SOURCE={}", source.display());
}

fn watch(path: &Path) {
    println!("cargo:rerun-if-changed={}", path.display());
}
