use std::sync::Arc;

use super::gathered::{Columns, Gathered};
use super::trend::Trend;
use super::{DataError, Incomplete, Matrix, Missing, Places, Split, Store, Table};

/// Who needs a feature of readings that are fitted.
pub(crate) const OF_FITTED: &str = "a feature of the readings that are fitted";

/// What the columns of a table are when they are not features, and what becomes of rows with missing cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// The column that tells normal readings (0) from anomalies (1).
    pub label: Option<String>,
    /// The column whose equal values mark rows that belong together, such as cycles and runs.
    pub group: Option<String>,
    /// Columns that condition the density and are no part of it, such as speed or ambient temperature.
    pub context: Vec<String>,
    /// Columns that are left out.
    pub ignore: Vec<String>,
    /// What becomes of normal rows whose features or context are not all there.
    pub missing: Missing,
}

/// The normal readings of a table that are in memory: all of them, or, of a table that is too large for that, those that
/// are held back and a sample of those that are trained on.
#[derive(Clone, Debug)]
pub struct Readings {
    /// Where they are from, for messages.
    pub file: String,
    /// The features' names.
    pub features: Vec<String>,
    /// The names of the context values.
    pub context: Vec<String>,
    /// The units of both, features first; empty where none is known.
    pub units: Vec<String>,
    /// One reading a row, its features and behind them its context, in the units of the file.
    pub values: Matrix,
    /// Where in the file each reading is.
    pub places: Places,
    /// How each feature goes from reading to reading.
    pub trends: Vec<Trend>,
    /// The groups they are divided into, if a column does that.
    pub groups: Option<Groups>,
    /// The normal rows with missing cells; none of a table of which only a part is in memory.
    pub incomplete: Incomplete,
    /// What becomes of those.
    pub missing: Missing,
    /// The rows that are labelled as anomalies and are not fitted, without those that are not all numbers; of very many the
    /// first.
    pub anomalies: Matrix,
    /// How many such rows there are.
    pub anomalous: usize,
    /// All readings, where those in memory are not all.
    pub large: Option<Large>,
}

/// A table of which only a part is in memory.
#[derive(Clone, Debug)]
pub struct Large {
    /// The readings that are trained on, in the order of the file; behind them those that were filled in.
    pub training: Arc<Store>,
    /// Complete normal readings in the file.
    pub rows: usize,
    /// Those of them that are left out for extreme values.
    pub extreme: usize,
    /// Normal readings with missing cells.
    pub incomplete: usize,
    /// Those of them that are filled in and trained on.
    pub imputed: usize,
}

/// Rows that belong together.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The column that says so.
    pub column: String,
    /// For each reading the number of its group, counted from 0 in the order of appearance.
    pub of_rows: Vec<usize>,
    /// How many groups there are.
    pub count: usize,
}

impl Readings {
    /// Every normal reading of `table`, all columns without another role being features.
    ///
    /// # Errors
    /// If a role names a column that is not there or two roles name the same, if no feature or no complete normal row is
    /// left, if cells are missing and [`Roles::missing`] does not say what to do, if a cell is no number, if a row has no
    /// group, or if a feature is constant.
    pub fn for_fitting(table: &Table, roles: &Roles) -> Result<Self, DataError> {
        Gathered::of(table, Columns::for_fitting(table.file(), table.columns(), roles)?)?.into_readings()
    }

    /// Every normal reading of `table`, with the features of another: matched by name, in that order.
    ///
    /// # Errors
    /// If a feature, the label or the group has no column, if no complete normal row is left, if cells are missing and
    /// [`Roles::missing`] does not say what to do, if a cell is no number, or if a row has no group.
    pub fn with_features(table: &Table, features: &[String], roles: &Roles) -> Result<Self, DataError> {
        Self::with_columns(table, features, OF_FITTED, roles)
    }

    /// As [`Readings::with_features`]; `needed_by` says in the message about a missing column who asks for it.
    ///
    /// # Errors
    /// As [`Readings::with_features`].
    pub fn with_columns(table: &Table, features: &[String], needed_by: &str, roles: &Roles) -> Result<Self, DataError> {
        let columns = Columns::with_features(table.file(), table.columns(), features, needed_by, roles)?;
        Gathered::of(table, columns)?.into_readings()
    }

    /// The name of a column of `values`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn name(&self, column: usize) -> &str {
        self.features.get(column).unwrap_or_else(|| &self.context[column - self.features.len()])
    }

    /// How many complete normal readings there are, in memory or not.
    pub fn count(&self) -> usize {
        self.large.as_ref().map_or(self.values.rows(), |large| large.rows)
    }

    /// How many normal readings have missing cells, in memory or not.
    pub fn incomplete(&self) -> usize {
        self.large.as_ref().map_or(self.incomplete.values.rows(), |large| large.incomplete)
    }

    /// How many of those are filled in and trained on.
    pub fn imputed(&self, split: &Split) -> usize {
        self.large.as_ref().map_or(split.imputed.len(), |large| large.imputed)
    }

    /// How many readings are trained on, in memory or not, filled in or not.
    pub fn trained(&self, split: &Split) -> usize {
        self.large.as_ref().map_or(split.train.len() + split.imputed.len(), |large| large.training.rows())
    }

    /// How many complete ones are left out for extreme values.
    pub fn extreme(&self, split: &Split) -> usize {
        split.extreme.len() + self.large.as_ref().map_or(0, |large| large.extreme)
    }

    /// Names the units of features: pairs of a feature and its unit.
    ///
    /// # Errors
    /// If one is no feature.
    pub fn name_units(&mut self, units: &[(String, String)]) -> Result<(), DataError> {
        for (column, unit) in units {
            let names: Vec<&String> = self.features.iter().chain(&self.context).collect();
            let Some(feature) = names.iter().position(|name| *name == column) else {
                let features = names.into_iter().cloned().collect();
                let (file, column) = (self.file.clone(), column.clone());
                return Err(DataError::UnitOfNoFeature { file, column, features });
            };
            self.units[feature].clone_from(unit);
        }
        Ok(())
    }
}
