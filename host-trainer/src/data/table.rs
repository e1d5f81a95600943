use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::source::{self, Source};
use super::{CellError, CellProblem, DataError, Matrix, Place, csv};

/// Rows under the names of their columns: all of a file, or a block of one.
#[derive(Clone, Debug)]
pub struct Table {
    file: Arc<str>,
    columns: Arc<[String]>,
    cells: Arc<dyn Cells>,
}

/// The cells of some rows, as the format of their file holds them.
pub(super) trait Cells: Debug + Send + Sync {
    /// How many rows.
    fn rows(&self) -> usize;
    /// Where in the file a row is.
    fn place(&self, row: usize) -> Place;
    /// A cell as text; nothing where it is missing.
    fn text(&self, row: usize, column: usize) -> Cow<'_, str>;
    /// A cell as the nearest number.
    fn number(&self, row: usize, column: usize) -> Result<f32, CellProblem>;
    /// The same in double precision; `None` where it is no number.
    fn wide(&self, row: usize, column: usize) -> Option<f64>;
}

impl Table {
    /// Reads a whole file, or standard input if the path is `-`.
    ///
    /// # Errors
    /// If it cannot be read or is no table.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        Self::all(&mut *source::open(path)?)
    }

    /// Reads a CSV table from memory; `file` is its name in messages.
    ///
    /// # Errors
    /// If it is no table.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, DataError> {
        Self::all(&mut *source::of_csv(file, io::Cursor::new(bytes.to_vec()))?)
    }

    /// All blocks of a source.
    fn all(source: &mut dyn Source) -> Result<Self, DataError> {
        let (file, columns) = (source.file().into(), source.columns().into());
        let mut joined = Joined::default();
        while let Some(block) = source.next_block()? {
            joined.push(block.cells);
        }
        Ok(Self { file, columns, cells: Arc::new(joined) })
    }

    /// A block of a file.
    pub(super) fn new(file: &Arc<str>, columns: &Arc<[String]>, cells: impl Cells + 'static) -> Self {
        Self { file: Arc::clone(file), columns: Arc::clone(columns), cells: Arc::new(cells) }
    }

    /// A table that was computed from another one: its columns, and for each row the place it is from and a cell for each
    /// column.
    #[must_use]
    pub fn from_rows(file: &str, columns: Vec<String>, rows: Vec<(Place, Vec<String>)>) -> Self {
        Self { file: file.into(), columns: columns.into(), cells: Arc::new(Computed(rows)) }
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
        self.cells.rows()
    }

    /// Where in the file a row is.
    pub fn place(&self, row: usize) -> Place {
        self.cells.place(row)
    }

    /// The text of a cell; nothing where it is missing.
    pub fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.cells.text(row, column)
    }

    /// A cell in double precision; `None` where it is no number.
    pub(super) fn wide(&self, row: usize, column: usize) -> Option<f64> {
        self.cells.wide(row, column)
    }

    /// The position of a column; `needed_by` says in the message who asks for it.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn column(&self, name: &str, needed_by: Option<&str>) -> Result<usize, DataError> {
        position(&self.file, &self.columns, name, needed_by)
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
        self.cells.number(row, column).map_err(|problem| CellError {
            column: self.columns[column].clone(),
            found: shown(&self.text(row, column)),
            problem,
            can_ignore: false,
        })
    }

    /// The same, with NaN for a missing cell. Most cells are numbers, and of these nothing else is asked.
    fn number_or_gap(&self, row: usize, column: usize) -> Result<f32, CellError> {
        self.number(row, column).or_else(|error| if self.is_missing(row, column) { Ok(f32::NAN) } else { Err(error) })
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
        self.numbers_of(rows, columns, |row, column| self.number_or_gap(row, column))
    }

    fn numbers_of(
        &self,
        rows: &[usize],
        columns: &[usize],
        number: impl Fn(usize, usize) -> Result<f32, CellError> + Sync,
    ) -> Result<Matrix, DataError> {
        /// What one task reads.
        const ROWS: usize = 1024;
        let mut values = vec![0.0; rows.len() * columns.len()];
        let tasks = values.par_chunks_mut(ROWS * columns.len().max(1)).zip(rows.par_chunks(ROWS));
        let read = |(values, rows): (&mut [f32], &[usize])| {
            for (values, &row) in values.chunks_exact_mut(columns.len()).zip(rows) {
                for (value, &column) in values.iter_mut().zip(columns) {
                    *value = number(row, column).map_err(|cell| (row, column, cell))?;
                }
            }
            Ok(())
        };
        // The first that fails, whichever was found first.
        let failed = tasks.map(read).find_map_first(Result::err);
        match failed {
            Some((row, column, cell)) => Err(self.cell_error(row, column, cell)),
            None => Ok(Matrix::new(rows.len(), columns.len(), values)),
        }
    }

    /// The labels of all rows: `true` for an anomaly.
    ///
    /// # Errors
    /// For the first cell that is neither 0 nor 1.
    pub fn labels(&self, column: usize) -> Result<Vec<bool>, DataError> {
        let label = |row: usize| match self.wide(row, column) {
            Some(0.0) => Ok(false),
            Some(1.0) => Ok(true),
            _ => Err(DataError::Label {
                file: self.file().to_owned(),
                place: self.place(row),
                column: self.columns[column].clone(),
                found: shown(&self.text(row, column)),
            }),
        };
        (0..self.rows()).map(label).collect()
    }

    /// The groups that a column divides the rows into: the name of each, in the order of appearance, and for each row
    /// the number of its group.
    pub fn groups(&self, column: usize) -> (Vec<String>, Vec<usize>) {
        let mut names = Names::default();
        let of_rows = (0..self.rows()).map(|row| names.number(&self.text(row, column))).collect();
        (names.in_order(), of_rows)
    }

    fn cell_error(&self, row: usize, column: usize, mut cell: CellError) -> DataError {
        // A column of text is usually an identifier or a time: leaving it out is the remedy, not mending one row.
        let has_number = || (0..self.rows()).any(|row| self.wide(row, column).is_some());
        if cell.problem == CellProblem::Text && !has_number() {
            cell.problem = CellProblem::TextColumn;
        }
        DataError::Cell { file: self.file().to_owned(), place: self.place(row), cell }
    }
}

/// The cells of rows that were computed from others, each with the place of the last of these.
#[derive(Debug)]
struct Computed(Vec<(Place, Vec<String>)>);

impl Cells for Computed {
    fn rows(&self) -> usize {
        self.0.len()
    }

    fn place(&self, row: usize) -> Place {
        self.0[row].0
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.0[row].1[column].as_str().into()
    }

    fn number(&self, row: usize, column: usize) -> Result<f32, CellProblem> {
        csv::number(&self.0[row].1[column])
    }

    fn wide(&self, row: usize, column: usize) -> Option<f64> {
        self.0[row].1[column].parse().ok()
    }
}

/// Numbers for names, in the order of appearance.
#[derive(Clone, Debug, Default)]
pub struct Names {
    numbers: HashMap<String, usize>,
}

impl Names {
    /// The number of a name, from 0; the next one for a name that is new.
    pub fn number(&mut self, name: &str) -> usize {
        // Looked up by reference first: most names are not new.
        if let Some(number) = self.known(name) {
            return number;
        }
        let next = self.numbers.len();
        self.numbers.insert(name.to_owned(), next);
        next
    }

    /// The number of a name that has one.
    pub(super) fn known(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.numbers.len()
    }

    /// The names, by their numbers.
    pub fn in_order(self) -> Vec<String> {
        let mut names: Vec<(String, usize)> = self.numbers.into_iter().collect();
        names.sort_unstable_by_key(|(_, number)| *number);
        names.into_iter().map(|(name, _)| name).collect()
    }
}

/// The cells of several blocks.
#[derive(Debug, Default)]
struct Joined {
    /// Each with the number of its first row.
    blocks: Vec<(usize, Arc<dyn Cells>)>,
    rows: usize,
}

impl Joined {
    fn push(&mut self, cells: Arc<dyn Cells>) {
        let rows = cells.rows();
        self.blocks.push((self.rows, cells));
        self.rows += rows;
    }

    /// The block of a row, and which of its rows it is.
    fn at(&self, row: usize) -> (&dyn Cells, usize) {
        let (first, cells) = &self.blocks[self.blocks.partition_point(|(first, _)| *first <= row) - 1];
        (&**cells, row - first)
    }
}

impl Cells for Joined {
    fn rows(&self) -> usize {
        self.rows
    }

    fn place(&self, row: usize) -> Place {
        let (cells, row) = self.at(row);
        cells.place(row)
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        let (cells, row) = self.at(row);
        cells.text(row, column)
    }

    fn number(&self, row: usize, column: usize) -> Result<f32, CellProblem> {
        let (cells, row) = self.at(row);
        cells.number(row, column)
    }

    fn wide(&self, row: usize, column: usize) -> Option<f64> {
        let (cells, row) = self.at(row);
        cells.wide(row, column)
    }
}

/// The position of a column; `needed_by` says in the message who asks for it.
pub(super) fn position(
    file: &str,
    columns: &[String],
    name: &str,
    needed_by: Option<&str>,
) -> Result<usize, DataError> {
    columns.iter().position(|column| column == name).ok_or_else(|| DataError::MissingColumn {
        file: file.to_owned(),
        column: name.to_owned(),
        needed_by: needed_by.map(str::to_owned),
        near: nearest(name, columns),
        columns: columns.to_vec(),
    })
}

/// A cell for a message: on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
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
