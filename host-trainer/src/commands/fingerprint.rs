//! By what readings and files are known again: SHA-256.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};
use zerocopy::IntoBytes;

use crate::data::{Matrix, Store};

/// A hash of whatever it is given, in that order; lengths are a part of it.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of text.
    pub fn text(mut self, text: &str) -> Self {
        self.length(text.len());
        self.0.update(text);
        self
    }

    /// Of the bits of all values.
    pub fn matrix(mut self, matrix: &Matrix) -> Self {
        self.length(matrix.rows());
        self.length(matrix.columns());
        self.0.update(matrix.values().as_bytes());
        self
    }

    /// Of the bits of all values of a store, wherever they are kept.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn store(mut self, store: &Store) -> io::Result<Self> {
        self.length(store.rows());
        self.length(store.columns());
        let mut rows = Vec::new();
        for block in 0..store.blocks() {
            rows.clear();
            store.read(block, &mut rows)?;
            self.0.update(rows.as_bytes());
        }
        Ok(self)
    }

    /// Of the numbers of rows.
    pub fn rows(mut self, rows: &[usize]) -> Self {
        self.length(rows.len());
        rows.iter().for_each(|row| self.length(*row));
        self
    }

    /// Of what is in a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn file(mut self, path: &Path) -> io::Result<Self> {
        let mut file = BufReader::new(File::open(path)?);
        let mut length = 0;
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                self.length(length);
                return Ok(self);
            }
            self.0.update(bytes);
            let read = bytes.len();
            length += read;
            file.consume(read);
        }
    }

    /// The hash, in hexadecimal digits.
    pub fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn length(&mut self, length: usize) {
        self.0.update((length as u64).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_has_another_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let file = |contents: &str| {
            std::fs::write(folder.path().join("file"), contents).unwrap();
            Fingerprint::default().file(&folder.path().join("file")).unwrap().finish()
        };
        let matrix = |columns| Fingerprint::default().matrix(&Matrix::new(6 / columns, columns, vec![0.0; 6])).finish();
        let all = [
            Fingerprint::default().text("ab").text("c").finish(),
            Fingerprint::default().text("a").text("bc").finish(),
            Fingerprint::default().rows(&[1, 2]).rows(&[3]).finish(),
            Fingerprint::default().rows(&[1]).rows(&[2, 3]).finish(),
            matrix(2),
            matrix(3),
            file("a"),
            file(&"a".repeat(100_000)),
        ];
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[6], file("a"));
    }
}
