use std::collections::HashMap;

use super::{DataError, Incomplete, Matrix, Missing, Table};

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

/// The normal readings of a table.
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
    /// For each reading its row in the table.
    pub rows: Vec<usize>,
    /// The groups they are divided into, if a column does that.
    pub groups: Option<Groups>,
    /// The normal rows with missing cells.
    pub incomplete: Incomplete,
    /// What becomes of those.
    pub missing: Missing,
    /// The rows that are labelled as anomalies and are not fitted, without those that are not all numbers.
    pub anomalies: Matrix,
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
        let mut taken: HashMap<&str, &'static str> = HashMap::new();
        let named = roles.label.iter().map(|name| (name, "--label"));
        let named = named.chain(roles.group.iter().map(|name| (name, "--group")));
        let named = named.chain(roles.context.iter().map(|name| (name, "--context")));
        for (name, option) in named.chain(roles.ignore.iter().map(|name| (name, "--ignore"))) {
            table.column(name, Some(option))?;
            match taken.insert(name, option) {
                Some(first) if first != option => {
                    return Err(DataError::TwoRoles { column: name.clone(), first, second: option });
                }
                _ => {}
            }
        }
        let features: Vec<String> =
            table.columns().iter().filter(|name| !taken.contains_key(name.as_str())).cloned().collect();
        if features.is_empty() {
            return Err(DataError::NoFeatures { file: table.file().to_owned(), columns: table.columns().to_vec() });
        }
        let readings = Self::normal(table, &features, None, roles).map_err(|mut error| {
            match &mut error {
                DataError::Cell { cell, .. } => cell.can_ignore = true,
                DataError::Missing { gaps, .. } | DataError::AllMissing { gaps, .. } => gaps.fitting = true,
                _ => {}
            }
            error
        })?;
        readings.refuse_constants(table)?;
        Ok(readings)
    }

    /// The name of a column of `values`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn name(&self, column: usize) -> &str {
        self.features.get(column).unwrap_or_else(|| &self.context[column - self.features.len()])
    }

    /// Every normal reading of `table`, with the features of another: matched by name, in that order.
    ///
    /// # Errors
    /// If a feature, the label or the group has no column, if no complete normal row is left, if cells are missing and
    /// [`Roles::missing`] does not say what to do, if a cell is no number, or if a row has no group.
    pub fn with_features(table: &Table, features: &[String], roles: &Roles) -> Result<Self, DataError> {
        Self::with_columns(table, features, "a feature of the readings that are fitted", roles)
    }

    /// As [`Readings::with_features`]; `needed_by` says in the message about a missing column who asks for it.
    ///
    /// # Errors
    /// As [`Readings::with_features`].
    pub fn with_columns(table: &Table, features: &[String], needed_by: &str, roles: &Roles) -> Result<Self, DataError> {
        Self::normal(table, features, Some(needed_by), roles)
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

    fn normal(table: &Table, features: &[String], needed_by: Option<&str>, roles: &Roles) -> Result<Self, DataError> {
        let mut columns = table.columns_of(features, needed_by)?;
        columns.extend(table.columns_of(&roles.context, Some("a context value (--context)"))?);
        let labels = match &roles.label {
            Some(label) => Some((label, table.labels(table.column(label, Some("--label"))?)?)),
            None => None,
        };
        let normal: Vec<usize> = match &labels {
            Some((_, anomalous)) => (0..table.rows()).filter(|&row| !anomalous[row]).collect(),
            None => (0..table.rows()).collect(),
        };
        if let (Some((label, _)), true) = (&labels, normal.is_empty()) {
            let (file, column) = (table.file().to_owned(), (*label).clone());
            return Err(DataError::NoNormalRows { file, column, rows: table.rows() });
        }
        let anomalous = labels.iter().flat_map(|(_, anomalous)| (0..table.rows()).filter(|&row| anomalous[row]));
        let anomalies: Vec<f32> = anomalous.filter_map(|row| table.numbers(row, &columns).ok()).flatten().collect();
        let anomalies = Matrix::new(anomalies.len() / columns.len(), columns.len(), anomalies);
        let (complete, incomplete) = roles.missing.part(table, normal, &columns)?;
        let (groups, groups_of_incomplete) = match &roles.group {
            Some(name) => {
                let (groups, of_incomplete) = Groups::new(table, name, &complete, &incomplete)?;
                (Some(groups), of_incomplete)
            }
            None => (None, Vec::new()),
        };
        Ok(Self {
            file: table.file().to_owned(),
            features: features.to_vec(),
            context: roles.context.clone(),
            units: vec![String::new(); columns.len()],
            values: table.matrix(&complete, &columns)?,
            rows: complete,
            groups,
            incomplete: Incomplete {
                values: table.matrix_with_gaps(&incomplete, &columns)?,
                rows: incomplete,
                groups: groups_of_incomplete,
            },
            missing: roles.missing,
            anomalies,
        })
    }

    fn refuse_constants(&self, table: &Table) -> Result<(), DataError> {
        let constant = |column: &usize| self.values.column(*column).all(|value| value == self.values.row(0)[*column]);
        let columns: Vec<_> = (0..self.values.columns())
            .filter(constant)
            .map(|column| (self.name(column).to_owned(), self.values.row(0)[column]))
            .collect();
        if columns.is_empty() || self.values.rows() < 2 {
            return Ok(());
        }
        let (file, rows) = (self.file.clone(), self.values.rows());
        for (name, value) in &columns {
            let column = table.column(name, None)?;
            let number = |row: usize| table.text(row, column).parse::<f64>().ok();
            if let Some(&other) = self.rows.iter().find(|&&row| number(row) != number(self.rows[0])) {
                let texts = [self.rows[0], other].map(|row| table.text(row, column).to_owned());
                return Err(DataError::ConstantInF32 { file, column: name.clone(), texts, value: *value, rows });
            }
        }
        Err(DataError::Constant { file, columns, rows })
    }
}

impl Groups {
    /// The groups of the complete rows, and by the same numbers those of the incomplete ones.
    fn new(
        table: &Table,
        column: &str,
        complete: &[usize],
        incomplete: &[usize],
    ) -> Result<(Self, Vec<usize>), DataError> {
        let position = table.column(column, Some("--group"))?;
        let mut rows = complete.iter().chain(incomplete);
        if let Some(&row) = rows.find(|&&row| table.text(row, position).is_empty()) {
            let (file, line, column) = (table.file().to_owned(), table.line(row), column.to_owned());
            return Err(DataError::NoGroup { file, line, column });
        }
        let (_, of_all_rows) = table.groups(position);
        // Numbered anew, as a group may hold nothing but anomalies.
        let mut numbers = HashMap::new();
        let mut number = |row: &usize| {
            let next = numbers.len();
            *numbers.entry(of_all_rows[*row]).or_insert(next)
        };
        let of_rows: Vec<usize> = complete.iter().map(&mut number).collect();
        let count = of_rows.iter().max().map_or(0, |last| last + 1);
        let of_incomplete = incomplete.iter().map(&mut number).collect();
        Ok((Self { column: column.to_owned(), of_rows, count }, of_incomplete))
    }
}
