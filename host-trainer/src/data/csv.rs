//! CSV files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use super::table::{Cells, shown};
use super::text::{Lines, delimiter};
use super::{CellProblem, DataError, Place, RowAdvice, Table};

/// Bytes that a block is read from: many rows for all cores, and little beside the rows that are kept.
const BLOCK: usize = 8 << 20;

/// The longest row, in bytes: one that is longer has lost a quote, and what follows would be read as a part of it.
const LONGEST: usize = 64 << 20;

/// A CSV file: a header and rows of as many cells.
///
/// The first line that is not blank is the header and is required. The cells are separated by commas, or by the one of
/// comma, semicolon and tab that the header holds most of. Blank lines, a byte-order mark, and blanks around a cell do
/// not count. Numbers take a decimal point whatever the separator.
#[derive(Debug)]
pub(super) struct Csv<R> {
    file: Arc<str>,
    columns: Arc<[String]>,
    delimiter: u8,
    input: R,
    /// Bytes that a block is read from.
    block: usize,
    /// What was read and is in no block yet.
    bytes: Vec<u8>,
    /// The line that it begins on.
    line: u64,
    /// Whether the file goes on behind it.
    more: bool,
    /// The rows that were read with the header.
    first: Option<Text>,
}

impl<R: Read> Csv<R> {
    pub fn new(file: &str, input: R) -> Result<Self, DataError> {
        Self::in_blocks(file, input, BLOCK)
    }

    /// Reads blocks of so many bytes, or of more where a row needs more.
    fn in_blocks(file: &str, input: R, block: usize) -> Result<Self, DataError> {
        let (bytes, columns) = (Vec::new(), Arc::default());
        let mut csv =
            Self { file: file.into(), columns, delimiter: b',', input, block, bytes, line: 1, more: true, first: None };
        csv.fill(block)?;
        let file = || file.to_owned();
        if csv.bytes.starts_with(&[0xFF, 0xFE]) || csv.bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(DataError::Utf16 { file: file() });
        }
        if csv.bytes.starts_with(b"\xEF\xBB\xBF") {
            csv.bytes.drain(..3);
        }
        csv.delimiter = delimiter(csv.text()?);
        let mut rows = csv.rows()?;
        if rows.is_empty() {
            return Err(DataError::Empty { file: file() });
        }
        csv.columns = header(&csv.file, &rows)?;
        rows.remove_first();
        if rows.is_empty() {
            rows = csv.rows()?;
        }
        if rows.is_empty() {
            return Err(DataError::NoReadings { file: file() });
        }
        csv.check(&rows)?;
        Ok(Self { first: Some(rows), ..csv })
    }

    /// Reads on until there are `target` bytes or the file ends.
    fn fill(&mut self, target: usize) -> Result<(), DataError> {
        let missing = target.saturating_sub(self.bytes.len());
        let read = self.input.by_ref().take(missing as u64).read_to_end(&mut self.bytes);
        self.more = read.map_err(|error| self.unreadable(error))? == missing;
        Ok(())
    }

    /// What of the bytes is text: all but a character that is not all there yet.
    fn text(&self) -> Result<&str, DataError> {
        let error = match str::from_utf8(&self.bytes) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let (valid, invalid) = self.bytes.split_at(error.valid_up_to());
        match str::from_utf8(valid) {
            Ok(text) if error.error_len().is_none() && self.more => Ok(text),
            _ => {
                let line = Lines::new(&self.bytes, self.line).at(valid.len());
                Err(DataError::NotUtf8 { file: self.file.to_string(), line, byte: invalid[0] })
            }
        }
    }

    /// The next rows; none behind the last.
    fn rows(&mut self) -> Result<Text, DataError> {
        let mut target = self.block;
        loop {
            self.fill(target)?;
            let Parsed { rows, end, line } = self.parse(self.text()?)?;
            if !rows.is_empty() || !self.more {
                self.line = line;
                self.bytes.drain(..end);
                return Ok(rows);
            }
            if target >= LONGEST {
                return Err(DataError::LongRow { file: self.file.to_string(), line: self.line, limit: LONGEST });
            }
            target *= 2;
        }
    }

    /// The rows of a text. Where the file goes on behind it, its last row may too, and is left for the next time.
    fn parse(&self, text: &str) -> Result<Parsed, DataError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .from_reader(text.as_bytes());
        let mut lines = Lines::new(text.as_bytes(), self.line);
        let (mut rows, mut cells) = (Text::default(), csv::StringRecord::new());
        let mut last = Parsed { rows: Text::default(), end: 0, line: self.line };
        let mut before_last = 0;
        while reader.read_record(&mut cells).map_err(|error| self.unreadable(io::Error::other(error)))? {
            last.end = cells.position().map_or(0, csv::Position::byte) as usize;
            last.line = lines.at(last.end);
            before_last = rows.len();
            let blank = cells.len() == 1 && cells[0].trim().is_empty();
            // Of one column, a blank line is an empty cell.
            let columns = if self.columns.is_empty() { rows.width(0) } else { self.columns.len() };
            if !blank || columns == 1 {
                rows.push(lines.at(lines.skip_breaks(last.end)), &cells);
            }
        }
        match self.more {
            true => rows.truncate(before_last),
            false => last = Parsed { end: text.len(), ..last },
        }
        Ok(Parsed { rows, ..last })
    }

    fn check(&self, rows: &Text) -> Result<(), DataError> {
        let expected = self.columns.len();
        let Some(row) = (0..rows.len()).find(|row| rows.width(*row) != expected) else { return Ok(()) };
        let advice = match rows.width(row) {
            _ if rows.row(row).any(|cell| cell.contains(['\n', '\r'])) => RowAdvice::OpenQuote,
            found if found < expected => RowAdvice::Short,
            _ => RowAdvice::Long,
        };
        let (file, line, found) = (self.file.to_string(), rows.lines[row], rows.width(row));
        Err(DataError::Ragged { file, line, expected, found, advice })
    }

    fn unreadable(&self, error: io::Error) -> DataError {
        DataError::Unreadable { file: self.file.to_string(), error }
    }
}

impl<R: Read + Send> Source for Csv<R> {
    fn file(&self) -> &str {
        &self.file
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_block(&mut self) -> Result<Option<Table>, DataError> {
        let rows = match self.first.take() {
            Some(rows) => rows,
            None => self.rows()?,
        };
        self.check(&rows)?;
        Ok((!rows.is_empty()).then(|| Table::new(&self.file, &self.columns, rows)))
    }
}

/// Rows, and where in the text and on which line the next ones begin.
struct Parsed {
    rows: Text,
    end: usize,
    line: u64,
}

/// The columns' names, in the first of the rows.
fn header(file: &str, rows: &Text) -> Result<Arc<[String]>, DataError> {
    let (file, line) = (file.to_owned(), rows.lines[0]);
    let names: Vec<String> = rows.row(0).map(str::to_owned).collect();
    if names.iter().all(|name| name.parse::<f64>().is_ok()) {
        return Err(DataError::NoHeader { file, line, found: shown(&names[0]) });
    }
    let mut seen = HashMap::new();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(DataError::UnnamedColumn { file, line, position: i + 1 });
        }
        if let Some(first) = seen.insert(name, i + 1) {
            return Err(DataError::DuplicateColumn { file, line, column: name.clone(), first, second: i + 1 });
        }
    }
    Ok(names.into())
}

/// Rows as text, without the quotes around cells and the blanks.
#[derive(Debug, Default)]
struct Text {
    text: String,
    /// Where each cell is, row after row.
    cells: Vec<Range<u32>>,
    /// Where each row ends among the cells.
    ends: Vec<usize>,
    /// The line that each row begins on.
    lines: Vec<u64>,
}

impl Text {
    fn push(&mut self, line: u64, cells: &csv::StringRecord) {
        for cell in cells {
            let start = self.text.len() as u32;
            self.text.push_str(cell.trim());
            self.cells.push(start..self.text.len() as u32);
        }
        self.ends.push(self.cells.len());
        self.lines.push(line);
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Leaves so many rows.
    fn truncate(&mut self, rows: usize) {
        self.ends.truncate(rows);
        self.lines.truncate(rows);
        self.cells.truncate(self.ends.last().copied().unwrap_or(0));
    }

    fn remove_first(&mut self) {
        let cells = self.width(0);
        self.cells.drain(..cells);
        self.ends.remove(0);
        self.ends.iter_mut().for_each(|end| *end -= cells);
        self.lines.remove(0);
    }

    fn start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Cells of a row; none of a row that is not there.
    fn width(&self, row: usize) -> usize {
        self.ends.get(row).map_or(0, |end| end - self.start(row))
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        let Range { start, end } = self.cells[self.start(row) + column];
        &self.text[start as usize..end as usize]
    }

    fn row(&self, row: usize) -> impl Iterator<Item = &str> {
        (0..self.width(row)).map(move |column| self.cell(row, column))
    }
}

impl Cells for Text {
    fn rows(&self) -> usize {
        self.len()
    }

    fn place(&self, row: usize) -> Place {
        Place::Line(self.lines[row])
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.cell(row, column).into()
    }

    fn number(&self, row: usize, column: usize) -> Result<f32, CellProblem> {
        number(self.cell(row, column))
    }

    fn wide(&self, row: usize, column: usize) -> Option<f64> {
        self.cell(row, column).parse().ok()
    }
}

/// The number that a text is, the nearest there is.
pub(super) fn number(text: &str) -> Result<f32, CellProblem> {
    if text.is_empty() {
        return Err(CellProblem::Empty);
    }
    let Ok(number) = text.parse::<f32>() else {
        let with_point = text.replacen(',', ".", 1);
        return Err(if with_point.parse::<f32>().is_ok() { CellProblem::DecimalComma } else { CellProblem::Text });
    };
    match number.is_finite() {
        true => Ok(number),
        false if text.contains(|c: char| c.is_ascii_digit()) => Err(CellProblem::BeyondF32),
        false => Err(CellProblem::NotFinite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of a row, and its cells.
    type Row = (u64, Vec<String>);

    /// All rows, and how many blocks they came in.
    fn read(text: &[u8], block: usize) -> Result<(Vec<Row>, usize), DataError> {
        let mut csv = Csv::in_blocks("readings.csv", text, block)?;
        let (mut rows, mut blocks) = (Vec::new(), 0);
        while let Some(table) = csv.next_block()? {
            blocks += 1;
            rows.extend((0..table.rows()).map(|row| {
                let Place::Line(line) = table.place(row) else { unreachable!("CSV has lines") };
                (line, (0..table.columns().len()).map(|column| table.text(row, column).into_owned()).collect())
            }));
        }
        Ok((rows, blocks))
    }

    #[test]
    fn rows_are_the_same_in_blocks_of_any_size() {
        for text in [
            "\u{feff}a,b\n1,2\n3,\"4\n5\"\n\n6,\u{b0}\n7,8",
            "\r\na,b\r\n1,2\r\n\r\n\r\n3,\"x\r\ny\"\"\"\r\n5,6\r\n",
            "a\n1\n\"\"\n3\n",
            "a;b\r1;2\r3;4\r",
        ] {
            let (whole, _) = read(text.as_bytes(), 1 << 20).unwrap();
            assert!(whole.len() >= 2);
            // The separator is found, and a mark skipped, in the first block: it holds the header.
            for block in 10..text.len() + 2 {
                let (rows, blocks) = read(text.as_bytes(), block).unwrap();
                assert_eq!(rows, whole, "{text:?} in blocks of {block}");
                assert!(blocks > 1 || block > text.len() / 2, "{text:?} in blocks of {block}");
            }
        }
    }

    #[test]
    fn what_is_wrong_in_a_later_block_is_found_there_with_its_line() {
        let text = "a,b\n".to_owned() + &"1,2\n".repeat(100);
        let message = |end: &[u8]| {
            let text = [text.as_bytes(), end].concat();
            let (whole, in_blocks) = (read(&text, 1 << 20).unwrap_err(), read(&text, 64).unwrap_err());
            assert_eq!(whole.to_string(), in_blocks.to_string());
            whole.to_string()
        };
        assert!(message(b"1,2,3\n").starts_with("readings.csv:102: expected 2 cells"));
        assert!(message(b"1,\xB0\n").starts_with("readings.csv:102: the byte 0xB0 is not UTF-8"));
        // A character that the file ends in the middle of.
        assert!(message(b"1,\xC2").starts_with("readings.csv:102: the byte 0xC2 is not UTF-8"));
    }

    #[test]
    fn a_quote_that_is_never_closed_does_not_take_all_memory() {
        let endless = b"a,b\n1,2\n3,\"".chain(io::repeat(b'4'));
        let mut csv = Csv::in_blocks("readings.csv", endless, 1 << 20).unwrap();
        assert_eq!(csv.next_block().unwrap().map(|table| table.rows()), Some(1));
        let error = csv.next_block().unwrap_err();
        assert_eq!(
            error.to_string(),
            "readings.csv:3: the row is longer than 64 MiB (a quote that opens on this line is closed on another, or never)"
        );
    }
}
