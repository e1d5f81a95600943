use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::text::{Lines, delimiter};
use super::unchanged::unchanged;
use super::{CellError, CellProblem, DataError, Matrix, RowAdvice};

/// A CSV file as text: a header and rows of as many cells.
///
/// The first line that is not blank is the header and is required. The cells are separated by commas, or by the one of
/// comma, semicolon and tab that the header holds most of. Blank lines, a byte-order mark, and blanks around a cell do
/// not count. Numbers take a decimal point whatever the separator.
#[derive(Clone, Debug)]
pub struct Table {
    file: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    line: u64,
    cells: csv::StringRecord,
}

impl Table {
    /// Reads a file, or standard input if the path is `-`.
    ///
    /// # Errors
    /// If it cannot be read, changes meanwhile, or is no table.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let from_stdin = path.as_os_str() == "-";
        let file = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let bytes = if from_stdin {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| DataError::Unreadable { file: file.clone(), error })?;
            bytes
        } else {
            unchanged(path, || fs::read(path))?
        };
        Self::parse(&file, &bytes)
    }

    /// Reads a table from memory; `file` is its name in messages.
    ///
    /// # Errors
    /// If it is no table.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let file = file.to_owned();
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(DataError::Utf16 { file });
        }
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let text = match str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let at = error.valid_up_to();
                return Err(DataError::NotUtf8 { file, line: Lines::new(bytes).at(at), byte: bytes[at] });
            }
        };

        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(text))
            .from_reader(text.as_bytes());
        let mut lines = Lines::new(bytes);
        let mut rows = Vec::new();
        let mut cells = csv::StringRecord::new();
        let unreadable = |error| DataError::Unreadable { file: file.clone(), error: io::Error::other(error) };
        while reader.read_record(&mut cells).map_err(unreadable)? {
            let start = cells.position().map_or(0, csv::Position::byte) as usize;
            cells.trim();
            let blank = cells.len() == 1 && cells[0].is_empty();
            if blank && rows.first().is_none_or(|header: &Row| header.cells.len() > 1) {
                continue;
            }
            rows.push(Row { line: lines.at(lines.skip_breaks(start)), cells: cells.clone() });
        }

        let mut rows = rows.into_iter();
        let Some(header) = rows.next() else { return Err(DataError::Empty { file }) };
        check_header(&file, &header)?;
        let columns: Vec<String> = header.cells.iter().map(str::to_owned).collect();
        let rows: Vec<Row> = rows.collect();
        if rows.is_empty() {
            return Err(DataError::NoReadings { file });
        }
        if let Some(row) = rows.iter().find(|row| row.cells.len() != columns.len()) {
            let advice = match row.cells.len() {
                _ if row.cells.iter().any(|cell| cell.contains(['\n', '\r'])) => RowAdvice::OpenQuote,
                found if found < columns.len() => RowAdvice::Short,
                _ => RowAdvice::Long,
            };
            let (expected, found) = (columns.len(), row.cells.len());
            return Err(DataError::Ragged { file, line: row.line, expected, found, advice });
        }
        Ok(Self { file, columns, rows })
    }

    /// A table that was computed from another one: its columns, and for each row the line it is from and a cell for each column.
    #[must_use]
    pub fn from_rows(file: &str, columns: Vec<String>, rows: Vec<(u64, Vec<String>)>) -> Self {
        let rows = rows.into_iter().map(|(line, cells)| Row { line, cells: cells.into() }).collect();
        Self { file: file.to_owned(), columns, rows }
    }

    /// The file's name, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The columns' names, in the file's order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows below the header.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The line that a row begins on.
    pub fn line(&self, row: usize) -> u64 {
        self.rows[row].line
    }

    /// The text of a cell.
    pub fn text(&self, row: usize, column: usize) -> &str {
        &self.rows[row].cells[column]
    }

    /// The position of a column; `needed_by` says in the message who asks for it.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn column(&self, name: &str, needed_by: Option<&str>) -> Result<usize, DataError> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| DataError::MissingColumn {
            file: self.file.clone(),
            column: name.to_owned(),
            needed_by: needed_by.map(str::to_owned),
            near: nearest(name, &self.columns),
            columns: self.columns.clone(),
        })
    }

    /// The positions of several columns, as [`Table::column`] finds them.
    ///
    /// # Errors
    /// For the first that is not there.
    pub fn columns_of(&self, names: &[String], needed_by: Option<&str>) -> Result<Vec<usize>, DataError> {
        names.iter().map(|name| self.column(name, needed_by)).collect()
    }

    /// Whether a cell is missing: empty, NaN, or `NA`, as R writes it.
    pub fn is_missing(&self, row: usize, column: usize) -> bool {
        let text = self.text(row, column);
        text.is_empty() || text == "NA" || text.parse::<f32>().is_ok_and(f32::is_nan)
    }

    /// A cell as a number.
    ///
    /// # Errors
    /// If it is not a finite number that a 32-bit float can hold.
    pub fn number(&self, row: usize, column: usize) -> Result<f32, CellError> {
        number(self.text(row, column)).map_err(|problem| CellError {
            column: self.columns[column].clone(),
            found: shown(self.text(row, column)),
            problem,
            can_ignore: false,
        })
    }

    /// The given cells of a row as numbers.
    ///
    /// # Errors
    /// For the first that is not a finite number that a 32-bit float can hold.
    pub fn numbers(&self, row: usize, columns: &[usize]) -> Result<Vec<f32>, CellError> {
        columns.iter().map(|&column| self.number(row, column)).collect()
    }

    /// The given rows and columns as numbers.
    ///
    /// # Errors
    /// For the first cell that is not a finite number that a 32-bit float can hold.
    pub fn matrix(&self, rows: &[usize], columns: &[usize]) -> Result<Matrix, DataError> {
        self.numbers_of(rows, columns, |row, column| self.number(row, column))
    }

    /// As [`Table::matrix`], with NaN for missing cells.
    ///
    /// # Errors
    /// For the first other cell that is not a finite number that a 32-bit float can hold.
    pub fn matrix_with_gaps(&self, rows: &[usize], columns: &[usize]) -> Result<Matrix, DataError> {
        self.numbers_of(rows, columns, |row, column| match self.is_missing(row, column) {
            true => Ok(f32::NAN),
            false => self.number(row, column),
        })
    }

    fn numbers_of(
        &self,
        rows: &[usize],
        columns: &[usize],
        number: impl Fn(usize, usize) -> Result<f32, CellError>,
    ) -> Result<Matrix, DataError> {
        let mut values = Vec::with_capacity(rows.len() * columns.len());
        for &row in rows {
            for &column in columns {
                values.push(number(row, column).map_err(|cell| self.cell_error(row, column, cell))?);
            }
        }
        Ok(Matrix::new(rows.len(), columns.len(), values))
    }

    /// The labels of all rows: `true` for an anomaly.
    ///
    /// # Errors
    /// For the first cell that is neither 0 nor 1.
    pub fn labels(&self, column: usize) -> Result<Vec<bool>, DataError> {
        let label = |row: usize| match self.text(row, column).parse::<f64>() {
            Ok(0.0) => Ok(false),
            Ok(1.0) => Ok(true),
            _ => Err(DataError::Label {
                file: self.file.clone(),
                line: self.line(row),
                column: self.columns[column].clone(),
                found: shown(self.text(row, column)),
            }),
        };
        (0..self.rows()).map(label).collect()
    }

    /// The groups that a column divides the rows into: the name of each, in the order of appearance, and for each row
    /// the number of its group.
    pub fn groups(&self, column: usize) -> (Vec<String>, Vec<usize>) {
        let mut names = Vec::new();
        let mut numbers = HashMap::new();
        let of_rows = (0..self.rows())
            .map(|row| {
                let name = self.text(row, column);
                *numbers.entry(name).or_insert_with(|| {
                    names.push(name.to_owned());
                    names.len() - 1
                })
            })
            .collect();
        (names, of_rows)
    }

    fn cell_error(&self, row: usize, column: usize, mut cell: CellError) -> DataError {
        // A column of text is usually an identifier or a time: leaving it out is the remedy, not mending one row.
        let has_number = || (0..self.rows()).any(|row| self.text(row, column).parse::<f64>().is_ok());
        if cell.problem == CellProblem::Text && !has_number() {
            cell.problem = CellProblem::TextColumn;
        }
        DataError::Cell { file: self.file.clone(), line: self.line(row), cell }
    }
}

fn check_header(file: &str, header: &Row) -> Result<(), DataError> {
    let (file, line) = (file.to_owned(), header.line);
    if header.cells.iter().all(|cell| cell.parse::<f64>().is_ok()) {
        return Err(DataError::NoHeader { file, line, found: shown(&header.cells[0]) });
    }
    let mut seen = HashMap::new();
    for (i, name) in header.cells.iter().enumerate() {
        if name.is_empty() {
            return Err(DataError::UnnamedColumn { file, line, position: i + 1 });
        }
        if let Some(first) = seen.insert(name, i + 1) {
            return Err(DataError::DuplicateColumn { file, line, column: name.to_owned(), first, second: i + 1 });
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<f32, CellProblem> {
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

/// A cell for a message: on one line, and not too long.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push_str("..");
    }
    shown
}

/// The name most like the one that was asked for, if one is like it at all.
pub(super) fn nearest(name: &str, names: &[String]) -> Option<String> {
    let wanted = name.to_lowercase();
    names
        .iter()
        .map(|other| (strsim::normalized_damerau_levenshtein(&wanted, &other.to_lowercase()), other))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other.clone())
}
