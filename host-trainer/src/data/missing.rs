use clap::ValueEnum;

use super::{DataError, Matrix, Table};

/// What becomes of normal rows with missing cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Missing {
    /// The table is refused
    #[default]
    Error,
    /// They are left out
    Drop,
    /// They are trained on, each missing cell drawn given the row's others; never selected or calibrated on
    Impute,
}

/// Normal rows with missing cells, which stand apart from the others.
#[derive(Clone, Debug, Default)]
pub struct Incomplete {
    /// As the readings' values, with NaN for each missing cell.
    pub values: Matrix,
    /// For each its row in the table.
    pub rows: Vec<usize>,
    /// For each its group, by the numbers that the readings' groups have; empty without groups.
    pub groups: Vec<usize>,
}

/// How many cells are missing, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gaps {
    /// Rows with a missing cell.
    pub rows: usize,
    /// Of how many.
    pub of: usize,
    /// The columns with missing cells, and in how many rows.
    pub columns: Vec<(String, usize)>,
    /// The lines of the first such rows.
    pub lines: Vec<u64>,
    /// Whether columns can be left out, and rows filled in, as when a model is fitted.
    pub fitting: bool,
}

impl Missing {
    /// The rows without and with missing cells.
    ///
    /// # Errors
    /// If there are some with, and the table is to be refused; or if there are none without.
    pub(super) fn part(
        self,
        table: &Table,
        rows: Vec<usize>,
        columns: &[usize],
    ) -> Result<(Vec<usize>, Vec<usize>), DataError> {
        let is_complete = |row: &usize| !columns.iter().any(|&column| table.is_missing(*row, column));
        let of = rows.len();
        let (complete, incomplete): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_complete);
        let refused = self == Self::Error && !incomplete.is_empty();
        if refused || complete.is_empty() {
            let (file, gaps) = (table.file().to_owned(), Gaps::new(table, &incomplete, of, columns));
            return Err(if refused { DataError::Missing { file, gaps } } else { DataError::AllMissing { file, gaps } });
        }
        Ok((complete, incomplete))
    }
}

impl Gaps {
    fn new(table: &Table, incomplete: &[usize], of: usize, columns: &[usize]) -> Self {
        const LINES: usize = 5;
        let missing = |column: usize| incomplete.iter().filter(|&&row| table.is_missing(row, column)).count();
        let counted = columns.iter().map(|&column| (table.columns()[column].clone(), missing(column)));
        Self {
            rows: incomplete.len(),
            of,
            columns: counted.filter(|(_, count)| *count > 0).collect(),
            lines: incomplete.iter().take(LINES).map(|&row| table.line(row)).collect(),
            fitting: false,
        }
    }
}
