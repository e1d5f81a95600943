//! By what readings are known again: SHA-256.

use sha2::{Digest, Sha256};
use zerocopy::IntoBytes;

use crate::data::Matrix;

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

    /// Of the numbers of rows.
    pub fn rows(mut self, rows: &[usize]) -> Self {
        self.length(rows.len());
        rows.iter().for_each(|row| self.length(*row));
        self
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
        let matrix = |columns| Fingerprint::default().matrix(&Matrix::new(6 / columns, columns, vec![0.0; 6])).finish();
        let all = [
            Fingerprint::default().text("ab").text("c").finish(),
            Fingerprint::default().text("a").text("bc").finish(),
            Fingerprint::default().rows(&[1, 2]).rows(&[3]).finish(),
            Fingerprint::default().rows(&[1]).rows(&[2, 3]).finish(),
            matrix(2),
            matrix(3),
        ];
        let distinct: std::collections::HashSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
