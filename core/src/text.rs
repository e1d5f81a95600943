//! Text in const evaluation: canonical descriptions, and messages that name the numbers.
//!
//! `format!` needs a heap and does not run in the compiler. This writer does both without either.

/// A writer into a byte buffer that also hashes what it is given, so that a text can be hashed without being stored.
///
/// What does not fit the buffer is hashed and counted but not kept.
#[derive(Debug)]
pub struct Text<'a> {
    buffer: &'a mut [u8],
    length: usize,
    hash: u64,
}

impl<'a> Text<'a> {
    /// An empty text that keeps as much as `buffer` holds.
    #[must_use]
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        // FNV-1a, 64 bits: the offset basis.
        Self { buffer, length: 0, hash: 0xCBF2_9CE4_8422_2325 }
    }

    const fn byte(&mut self, byte: u8) {
        if let Some((_, [place, ..])) = self.buffer.split_at_mut_checked(self.length) {
            *place = byte;
        }
        self.length += 1;
        self.hash = (self.hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01B3);
    }

    /// Appends a string.
    pub const fn word(&mut self, word: &str) {
        let mut rest = word.as_bytes();
        while let [first, tail @ ..] = rest {
            self.byte(*first);
            rest = tail;
        }
    }

    /// Appends a number in decimal.
    pub const fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    /// Appends a number in hexadecimal, with at least `digits` digits.
    pub const fn hex(&mut self, number: u64, digits: u32) {
        if number >= 16 || digits > 1 {
            self.hex(number >> 4, digits.saturating_sub(1));
        }
        let digit = (number & 15) as u8;
        self.byte(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
    }

    /// The number of bytes given so far, kept or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Nothing was given yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The 64-bit FNV-1a hash of all bytes given so far.
    #[must_use]
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// What the buffer kept.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        let kept = if self.length < self.buffer.len() { self.length } else { self.buffer.len() };
        // Only ASCII is ever cut off, since only names and digits are written.
        match core::str::from_utf8(self.buffer.split_at(kept).0) {
            Ok(text) => text,
            Err(_) => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn writes_and_hashes_in_the_compiler() {
        const HASH: u64 = {
            let mut text = Text::new(&mut []);
            text.word("foobar");
            text.hash()
        };
        // The published test vector of FNV-1a.
        assert_eq!(HASH, 0x8594_4171_F739_67E8);

        let mut buffer = [0; 24];
        let mut text = Text::new(&mut buffer);
        text.number(1024);
        text.word(" 0x");
        text.hex(0xAB, 4);
        assert_eq!(text.as_str(), "1024 0x00ab");
        text.word(" and more than it holds");
        assert_eq!(text.as_str(), "1024 0x00ab and more tha");
        assert_eq!(text.len(), 34);
    }
}
