//! A random generator whose words are given.

use std::convert::Infallible;

use rand::TryRng;

/// Gives the words of a list, and then again.
#[derive(Clone, Debug)]
pub struct Words<'a>(std::iter::Cycle<std::slice::Iter<'a, u32>>);

impl<'a> Words<'a> {
    /// A generator of these words.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn new(words: &'a [u32]) -> Self {
        assert!(!words.is_empty(), "a generator needs words");
        Self(words.iter().cycle())
    }
}

impl TryRng for Words<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(*self.0.next().expect("a cycle has no end"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) | u64::from(self.try_next_u32()?) << 32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u32()? as u8;
        }
        Ok(())
    }
}
