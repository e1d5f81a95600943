//! What a forward pass keeps for its backward pass.

use super::real::Real;

/// A stack of buffers: a layer pushes what its backward pass needs and pops it there in the opposite order.
///
/// Buffers are recycled, so that a training step allocates nothing once the first has run.
#[derive(Clone, Debug, Default)]
pub struct Tape<T> {
    kept: Vec<Vec<T>>,
    spare: Vec<Vec<T>>,
}

impl<T: Real> Tape<T> {
    /// A buffer of `len` numbers of unspecified value.
    pub fn buffer(&mut self, len: usize) -> Vec<T> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.resize(len, T::zero());
        buffer
    }

    /// A buffer with the content of `values`.
    pub fn copy_of(&mut self, values: &[T]) -> Vec<T> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(values);
        buffer
    }

    /// Hands back a buffer that nobody needs.
    pub fn recycle(&mut self, buffer: Vec<T>) {
        self.spare.push(buffer);
    }

    /// Keeps a buffer for the backward pass.
    pub fn push(&mut self, buffer: Vec<T>) {
        self.kept.push(buffer);
    }

    /// Takes the buffer that was kept last.
    ///
    /// # Panics
    /// If a layer pops more than it pushed.
    pub fn pop(&mut self) -> Vec<T> {
        self.kept.pop().expect("a layer's backward pass pops what its forward pass pushed")
    }

    /// Forgets everything that was kept.
    pub fn clear(&mut self) {
        self.spare.append(&mut self.kept);
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}
