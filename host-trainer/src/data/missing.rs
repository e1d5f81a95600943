use clap::ValueEnum;

use super::{Matrix, Place, Places, Table};

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
    /// Where in the file each is.
    pub places: Places,
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
    /// Where the first such rows are.
    pub places: Vec<Place>,
    /// Whether columns can be left out, and rows filled in, as when a model is fitted.
    pub fitting: bool,
}

/// Missing cells as they are found, block after block.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Rows with a missing cell.
    pub rows: usize,
    of: usize,
    by_column: Vec<usize>,
    places: Vec<Place>,
}

impl Found {
    /// None yet, in so many columns.
    pub fn new(columns: usize) -> Self {
        Self { rows: 0, of: 0, by_column: vec![0; columns], places: Vec::new() }
    }

    /// Counts in rows of a block, of whose cells `is_missing` tells by the row's and the column's index in `rows` and
    /// `columns`.
    pub fn count(&mut self, table: &Table, rows: &[usize], is_missing: impl Fn(usize, usize) -> bool) {
        /// Places that a message names.
        const PLACES: usize = 5;
        self.of += rows.len();
        for (index, &row) in rows.iter().enumerate() {
            let mut complete = true;
            for (column, count) in self.by_column.iter_mut().enumerate() {
                let missing = is_missing(index, column);
                *count += usize::from(missing);
                complete &= !missing;
            }
            if !complete {
                self.rows += 1;
                if self.places.len() < PLACES {
                    self.places.push(table.place(row));
                }
            }
        }
    }

    /// What a message says of them, of columns with these names.
    pub fn gaps<'a>(&self, names: impl Iterator<Item = &'a String>, fitting: bool) -> Gaps {
        let columns = names.cloned().zip(self.by_column.iter().copied()).filter(|(_, count)| *count > 0).collect();
        Gaps { rows: self.rows, of: self.of, columns, places: self.places.clone(), fitting }
    }
}
