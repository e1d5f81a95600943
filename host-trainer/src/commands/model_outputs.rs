//! The files of a model: itself, its Rust source and its unquantized twin.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files;
use super::output::{Output, write_together};
use crate::model::{Model, rust_source};

/// Where a model goes and what lies beside it, found writable before there is a model.
#[derive(Debug)]
pub struct ModelOutputs {
    model: Output,
    twin: Output,
    source: Output,
    /// The model file's name, as the Rust source has it.
    name: String,
}

impl ModelOutputs {
    /// Prepares to write a model to `out`.
    ///
    /// # Errors
    /// If `out` is no name of a file, if a file cannot be written there, or if it is one of `inputs`.
    pub fn prepare(out: &Path, inputs: &[&Path]) -> Result<Self> {
        let name = out.file_name().filter(|_| out.as_os_str() != "-");
        let name = name.with_context(|| format!("--out {}: expected the name of a file", out.display()))?;
        let Some(name) = name.to_str() else { bail!("--out {}: the name of the file is not UTF-8", out.display()) };
        let paths = Self::paths(out);
        if let Some(path) = paths.iter().find(|path| inputs.contains(&path.as_path())) {
            bail!("{}: would be overwritten (choose another --out)", path.display());
        }
        let [model, twin, source] = paths.map(|path| Output::prepare(&path));
        Ok(Self { model: model?, twin: twin?, source: source?, name: name.to_owned() })
    }

    /// The paths of the model, its twin, and its Rust source.
    pub fn paths(out: &Path) -> [PathBuf; 3] {
        [out.to_owned(), files::twin(out), files::source(out)]
    }

    /// Writes the model and its source, and its twin if it has one: all of them, or none. Only a power failure between two
    /// renames could mix them with old ones: `eval` then notices the twin, and the compiler a source of another type.
    ///
    /// # Errors
    /// If the system refuses; the old files are then still there.
    pub fn write(&self, model: &Model, twin: Option<&Model>) -> Result<()> {
        let source = rust_source(model, &self.name);
        let (model, twin) = (model.to_bytes(), twin.map(Model::to_bytes));
        let twin = twin.iter().map(|twin| (&self.twin, twin.as_slice()));
        let files: Vec<_> = twin.chain([(&self.source, source.as_bytes()), (&self.model, model.as_slice())]).collect();
        write_together(&files)
    }
}
