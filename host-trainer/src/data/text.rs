/// The separator of a table: the one of comma, semicolon and tab that its header holds most of, commas first.
pub(super) fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in header.bytes() {
        quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| !quoted && *delimiter == byte) {
            *count += 1;
        }
    }
    // Of equal counts `max_by_key` takes the last, so the order of preference is reversed.
    counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter)
}

/// Finds the line of a byte as an editor counts it, for positions that only grow.
///
/// (The CSV reader's own count is short by one where lines end in `\r\n`, and does not tell blank lines before a row
/// from the row.)
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    /// Over bytes of which the first is on `line`.
    pub(super) fn new(bytes: &'a [u8], line: u64) -> Self {
        Self { bytes, at: 0, line }
    }

    /// The first position from `from` on that is not a line break.
    pub(super) fn skip_breaks(&self, from: usize) -> usize {
        from + self.bytes[from..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
    }

    /// The line that the byte at `position` is on, from 1. Positions may not decrease.
    pub(super) fn at(&mut self, position: usize) -> u64 {
        while self.at < position {
            let end = self.bytes[self.at];
            let ends_line = end == b'\n' || (end == b'\r' && self.bytes.get(self.at + 1) != Some(&b'\n'));
            self.line += u64::from(ends_line);
            self.at += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiter_is_what_the_header_holds_most_of() {
        assert_eq!(delimiter("a,b,c\n1;2;3"), b',');
        assert_eq!(delimiter("a;b;c\n1,5;2,5;3"), b';');
        assert_eq!(delimiter("a\tb\n"), b'\t');
        assert_eq!(delimiter("a,b;c\n"), b',');
        assert_eq!(delimiter("\"a,b,c\";d\n"), b';');
        assert_eq!(delimiter("one\n1;2"), b',');
        assert_eq!(delimiter(""), b',');
        assert_eq!(delimiter("\n\r\n a;b\n"), b';');
    }

    #[test]
    fn lines_count_every_kind_of_break() {
        let text = b"a\nb\r\nc\rd\n\ne";
        let mut lines = Lines::new(text, 1);
        let found: Vec<u64> = text.iter().enumerate().map(|(at, _)| lines.at(at)).collect();
        assert_eq!(found, [1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6]);
    }
}
