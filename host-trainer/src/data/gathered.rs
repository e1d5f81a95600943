//! Readings as they come from a file, block after block.

use std::collections::HashMap;
use std::io;

use super::missing::Found;
use super::source::for_each_block;
use super::table::position;
use super::trend::Trend;
use super::{
    CellProblem, DataError, Groups, Incomplete, Matrix, Missing, Names, Place, Places, Readings, Roles, Source, Store,
    Table,
};

/// Values of labelled anomalies that a report measures: of more, the first.
const MOST_ANOMALOUS_VALUES: usize = 1 << 23;

/// Groups that a column may have: as many as floats count exactly.
const MOST_GROUPS: usize = 1 << 24;

/// Which columns of a file are what.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    file: String,
    features: Vec<String>,
    context: Vec<String>,
    /// The positions of both, features first.
    positions: Vec<usize>,
    label: Option<(String, usize)>,
    group: Option<(String, usize)>,
    pub missing: Missing,
    /// Whether the readings are to be fitted: then columns can be left out, and none may be constant.
    fitted: bool,
}

impl Columns {
    /// All columns without another role are features.
    pub fn for_fitting(file: &str, columns: &[String], roles: &Roles) -> Result<Self, DataError> {
        let mut taken: HashMap<&str, &'static str> = HashMap::new();
        let named = roles.label.iter().map(|name| (name, "--label"));
        let named = named.chain(roles.group.iter().map(|name| (name, "--group")));
        let named = named.chain(roles.context.iter().map(|name| (name, "--context")));
        for (name, option) in named.chain(roles.ignore.iter().map(|name| (name, "--ignore"))) {
            position(file, columns, name, Some(option))?;
            match taken.insert(name, option) {
                Some(first) if first != option => {
                    return Err(DataError::TwoRoles { column: name.clone(), first, second: option });
                }
                _ => {}
            }
        }
        let features: Vec<String> = columns.iter().filter(|name| !taken.contains_key(name.as_str())).cloned().collect();
        if features.is_empty() {
            return Err(DataError::NoFeatures { file: file.to_owned(), columns: columns.to_vec() });
        }
        Ok(Self { fitted: true, ..Self::new(file, columns, &features, None, roles)? })
    }

    /// The features are those of another; `needed_by` says in the message about a missing one who asks for it.
    pub fn with_features(
        file: &str,
        columns: &[String],
        features: &[String],
        needed_by: &str,
        roles: &Roles,
    ) -> Result<Self, DataError> {
        Self::new(file, columns, features, Some(needed_by), roles)
    }

    fn new(
        file: &str,
        columns: &[String],
        features: &[String],
        needed_by: Option<&str>,
        roles: &Roles,
    ) -> Result<Self, DataError> {
        let find = |name: &String, needed_by| position(file, columns, name, needed_by);
        let of_context = roles.context.iter().map(|name| find(name, Some("a context value (--context)")));
        let positions =
            features.iter().map(|name| find(name, needed_by)).chain(of_context).collect::<Result<_, _>>()?;
        let named = |name: &Option<String>, option| match name {
            Some(name) => Ok(Some((name.clone(), find(name, Some(option))?))),
            None => Ok(None),
        };
        let (label, group) = (named(&roles.label, "--label")?, named(&roles.group, "--group")?);
        let (features, context) = (features.to_vec(), roles.context.clone());
        let (file, missing) = (file.to_owned(), roles.missing);
        Ok(Self { file, features, context, positions, label, group, missing, fitted: false })
    }
}

/// Rows in the order of the file. Behind each is the number of its group, if there are groups.
#[derive(Debug)]
pub(super) struct Rows {
    pub store: Store,
    pub places: Places,
    /// The groups' names, in the order of their first row here.
    groups: Names,
}

impl Rows {
    fn new(width: usize, limit: usize) -> Self {
        Self { store: Store::new(width, limit), places: Places::default(), groups: Names::default() }
    }

    /// Of a block the given rows, with these values.
    fn push<'a>(
        &mut self,
        table: &Table,
        columns: &Columns,
        rows: impl Iterator<Item = (usize, &'a [f32])>,
    ) -> Result<(), DataError> {
        let mut reading = Vec::new();
        for (row, values) in rows {
            reading.clear();
            reading.extend_from_slice(values);
            if let Some((column, position)) = &columns.group {
                let number = self.groups.number(&table.text(row, *position));
                if number > MOST_GROUPS {
                    let (file, column) = (columns.file.clone(), column.clone());
                    return Err(DataError::TooManyGroups { file, column, most: MOST_GROUPS });
                }
                reading.push(number as f32);
            }
            self.places.push(table.place(row));
            self.store.push(&reading).map_err(|error| columns.no_room(error))?;
        }
        Ok(())
    }

    /// Shows all of them to `each`.
    pub fn for_each(&self, columns: &Columns, mut each: impl FnMut(&[f32])) -> Result<(), DataError> {
        let mut block = Vec::new();
        for number in 0..self.store.blocks() {
            block.clear();
            self.store.read(number, &mut block).map_err(|error| columns.no_room(error))?;
            block.chunks_exact(self.store.columns()).for_each(&mut each);
        }
        Ok(())
    }

    /// Their values and the numbers of their groups, in memory.
    fn into_memory(self, columns: &Columns) -> Result<(Matrix, Places, Vec<usize>), DataError> {
        let width = columns.positions.len();
        let stored = self.store.into_matrix().map_err(|error| columns.no_room(error))?;
        if columns.group.is_none() {
            return Ok((stored, self.places, Vec::new()));
        }
        let groups = stored.iter_rows().map(|row| row[width] as usize).collect();
        let values = stored.iter_rows().flat_map(|row| &row[..width]).copied().collect();
        Ok((Matrix::new(stored.rows(), width, values), self.places, groups))
    }
}

impl Columns {
    /// The names of features and context.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.features.iter().chain(&self.context)
    }

    /// Refuses the first row that does not say which group it belongs to.
    fn check_groups(&self, table: &Table, rows: &[usize]) -> Result<(), DataError> {
        let Some((column, position)) = &self.group else { return Ok(()) };
        match rows.iter().find(|&&row| table.text(row, *position).is_empty()) {
            None => Ok(()),
            Some(&row) => {
                let (file, place, column) = (self.file.clone(), table.place(row), column.clone());
                Err(DataError::NoGroup { file, place, column })
            }
        }
    }

    pub fn no_room(&self, error: io::Error) -> DataError {
        DataError::Temporary { file: self.file.clone(), error }
    }
}

/// The normal readings of a file, not yet divided.
#[derive(Debug)]
pub struct Gathered {
    pub(super) columns: Columns,
    /// The complete ones.
    pub(super) complete: Rows,
    /// Those with missing cells, NaN.
    pub(super) incomplete: Rows,
    gaps: Found,
    trends: Vec<Trend>,
    constants: Vec<Option<Constant>>,
    /// Those that are kept, row after row.
    anomalies: Vec<f32>,
    anomalous: usize,
    /// All rows of the file.
    rows: usize,
    /// All normal ones.
    normal: usize,
}

/// A column that has had one value so far.
#[derive(Clone, Debug)]
struct Constant {
    value: f32,
    /// The same, as the file has it.
    text: String,
    wide: Option<f64>,
    /// Another text for it that is another number in double precision.
    other: Option<String>,
}

impl Gathered {
    /// Every normal reading of `source`, all columns without another role being features; up to `limit` bytes of them in
    /// memory, more in a temporary file.
    ///
    /// # Errors
    /// As [`Readings::for_fitting`], if the file cannot be read to its end, or if there is no room for the temporary one.
    pub fn for_fitting(source: &mut dyn Source, roles: &Roles, limit: usize) -> Result<Self, DataError> {
        let columns = Columns::for_fitting(source.file(), source.columns(), roles)?;
        Self::new(columns, limit).read(source)
    }

    /// Every normal reading of `source`, with the features of another, who says in messages that it needs them.
    ///
    /// # Errors
    /// As [`Readings::with_features`], if the file cannot be read to its end, or if there is no room for the temporary one.
    pub fn with_features(
        source: &mut dyn Source,
        features: &[String],
        needed_by: &str,
        roles: &Roles,
        limit: usize,
    ) -> Result<Self, DataError> {
        let columns = Columns::with_features(source.file(), source.columns(), features, needed_by, roles)?;
        Self::new(columns, limit).read(source)
    }

    /// Those of a table in memory.
    pub(super) fn of(table: &Table, columns: Columns) -> Result<Self, DataError> {
        Self::within(table, columns, usize::MAX)
    }

    /// Those of a table to fit, kept in a file above `limit` bytes.
    #[cfg(test)]
    pub(crate) fn of_table(table: &Table, roles: &Roles, limit: usize) -> Result<Self, DataError> {
        Self::within(table, Columns::for_fitting(table.file(), table.columns(), roles)?, limit)
    }

    /// The same, kept in a file above so many bytes.
    fn within(table: &Table, columns: Columns, limit: usize) -> Result<Self, DataError> {
        let mut gathered = Self::new(columns, limit);
        gathered.push(table)?;
        gathered.checked()
    }

    fn new(columns: Columns, limit: usize) -> Self {
        let width = columns.positions.len() + usize::from(columns.group.is_some());
        // Nearly all rows are complete in most tables.
        let for_incomplete = limit / 8;
        Self {
            complete: Rows::new(width, limit - for_incomplete),
            incomplete: Rows::new(width, for_incomplete),
            gaps: Found::new(columns.positions.len()),
            trends: vec![Trend::default(); columns.features.len()],
            constants: Vec::new(),
            anomalies: Vec::new(),
            anomalous: 0,
            rows: 0,
            normal: 0,
            columns,
        }
    }

    fn read(mut self, source: &mut dyn Source) -> Result<Self, DataError> {
        for_each_block(source, |block| self.push(&block))?;
        self.checked()
    }

    /// Adds the normal readings of a block: here rows of a file become readings.
    fn push(&mut self, table: &Table) -> Result<(), DataError> {
        let labels = self.columns.label.as_ref().map(|(_, column)| table.labels(*column)).transpose()?;
        let is_normal = |row: &usize| labels.as_ref().is_none_or(|anomalous| !anomalous[*row]);
        let (normal, anomalous): (Vec<usize>, Vec<usize>) = (0..table.rows()).partition(is_normal);
        self.rows += table.rows();
        self.normal += normal.len();
        self.push_anomalies(table, &anomalous);

        let positions = &self.columns.positions;
        let values = table.matrix_with_gaps(&normal, positions);
        match &values {
            Ok(values) => self.gaps.count(table, &normal, |row, column| values.row(row)[column].is_nan()),
            Err(_) => self.gaps.count(table, &normal, |row, column| table.is_missing(normal[row], positions[column])),
        }
        if self.columns.missing == Missing::Error && self.gaps.rows > 0 {
            // The table is refused, once all such rows are counted.
            return Ok(());
        }
        self.columns.check_groups(table, &normal)?;
        let values = values.map_err(|error| self.refused(error))?;
        let is_complete = |row: &usize| !values.row(*row).iter().any(|value| value.is_nan());
        let (complete, incomplete): (Vec<usize>, Vec<usize>) = (0..normal.len()).partition(is_complete);
        self.follow(table, &normal, &complete, &values);
        let of = |row: usize| (normal[row], values.row(row));
        self.complete.push(table, &self.columns, complete.into_iter().map(of))?;
        self.incomplete.push(table, &self.columns, incomplete.into_iter().map(of))
    }

    /// Those of a block that are all numbers.
    fn push_anomalies(&mut self, table: &Table, rows: &[usize]) {
        let positions = &self.columns.positions;
        for numbers in rows.iter().filter_map(|&row| table.numbers(row, positions).ok()) {
            self.anomalous += 1;
            if self.anomalies.len() + numbers.len() <= MOST_ANOMALOUS_VALUES {
                self.anomalies.extend(numbers);
            }
        }
    }

    /// What is wrong with a cell, in view of the blocks before its own and of what can be done.
    fn refused(&self, mut error: DataError) -> DataError {
        if let DataError::Cell { cell, .. } = &mut error {
            cell.can_ignore = self.columns.fitted;
            if cell.problem == CellProblem::TextColumn && self.complete.store.rows() > 0 {
                cell.problem = CellProblem::Text;
            }
        }
        error
    }

    /// Follows trends, and columns that have been constant so far, over the complete ones of the normal rows of a block.
    fn follow(&mut self, table: &Table, normal: &[usize], complete: &[usize], values: &Matrix) {
        let Some(&first) = complete.first() else { return };
        let rows = || complete.iter().map(|row| normal[*row]);
        let positions = &self.columns.positions;
        for (trend, &position) in self.trends.iter_mut().zip(positions) {
            for value in rows().map_while(|row| table.wide(row, position)) {
                if !trend.is_open() {
                    break;
                }
                trend.push(value);
            }
        }
        if self.complete.store.rows() == 0 {
            let row = normal[first];
            let constant = |(column, &position): (usize, &usize)| {
                let text = table.text(row, position).into_owned();
                Some(Constant { value: values.row(first)[column], text, wide: table.wide(row, position), other: None })
            };
            self.constants = positions.iter().enumerate().map(constant).collect();
        }
        for (column, (constant, &position)) in self.constants.iter_mut().zip(positions).enumerate() {
            let Some(found) = constant else { continue };
            if complete.iter().any(|row| values.row(*row)[column] != found.value) {
                *constant = None;
            } else if found.other.is_none() {
                let other = rows().find(|row| table.wide(*row, position) != found.wide);
                found.other = other.map(|row| table.text(row, position).into_owned());
            }
        }
    }

    /// Refuses readings that there are none of, that have missing cells of which nobody has said what becomes of them, or
    /// that have a constant column and are to be fitted.
    fn checked(self) -> Result<Self, DataError> {
        let (file, rows) = (self.columns.file.clone(), self.complete.store.rows());
        if let (Some((column, _)), 0) = (&self.columns.label, self.normal) {
            return Err(DataError::NoNormalRows { file, column: column.clone(), rows: self.rows });
        }
        if self.gaps.rows > 0 {
            let gaps = self.gaps.gaps(self.columns.names(), self.columns.fitted);
            if self.columns.missing == Missing::Error {
                return Err(DataError::Missing { file, gaps });
            }
            if rows == 0 {
                return Err(DataError::AllMissing { file, gaps });
            }
        }
        if !self.columns.fitted || rows < 2 {
            return Ok(self);
        }
        let names = self.columns.names().cloned();
        let constants: Vec<(String, &Constant)> =
            names.zip(&self.constants).filter_map(|(name, constant)| Some((name, constant.as_ref()?))).collect();
        for (column, Constant { value, text, other, .. }) in &constants {
            if let Some(other) = other {
                let (texts, column) = ([text.clone(), other.clone()], column.clone());
                return Err(DataError::ConstantInF32 { file, column, texts, value: *value, rows });
            }
        }
        let columns: Vec<(String, f32)> = constants.into_iter().map(|(name, it)| (name, it.value)).collect();
        if columns.is_empty() { Ok(self) } else { Err(DataError::Constant { file, columns, rows }) }
    }

    /// The features' names.
    pub fn features(&self) -> &[String] {
        &self.columns.features
    }

    /// The names of the context values.
    pub fn context(&self) -> &[String] {
        &self.columns.context
    }

    /// Their file, for messages.
    pub fn file(&self) -> &str {
        &self.columns.file
    }

    /// Numbers in a reading, without its group.
    pub(super) fn width(&self) -> usize {
        self.columns.positions.len()
    }

    /// How many have missing cells.
    pub fn incomplete_rows(&self) -> usize {
        self.incomplete.store.rows()
    }

    /// Whether a column divides them into groups.
    pub(super) fn has_groups(&self) -> bool {
        self.columns.group.is_some()
    }

    /// How many groups there are.
    pub(super) fn groups_found(&self) -> usize {
        self.complete.groups.count()
    }

    /// For the number that a group has among incomplete rows the one that it has among complete ones; such as no complete row
    /// is of have the next ones.
    pub(super) fn groups_of_incomplete(&mut self) -> Vec<usize> {
        let known = &self.complete.groups;
        let mut next = known.count()..;
        let names = std::mem::take(&mut self.incomplete.groups).in_order();
        names.iter().filter_map(|name| known.known(name).or_else(|| next.next())).collect()
    }

    /// That they cannot be held back by groups.
    pub(super) fn too_few_groups(&self) -> DataError {
        let column = self.columns.group.as_ref().map_or_else(String::new, |(column, _)| column.clone());
        DataError::TooFewGroups { file: self.columns.file.clone(), column, found: self.groups_found() }
    }

    /// Shows all complete readings to `each`, with the number of the group behind each where there are groups.
    pub(super) fn for_each(&self, each: impl FnMut(&[f32])) -> Result<(), DataError> {
        self.complete.for_each(&self.columns, each)
    }

    /// With what `each` makes of the complete readings: `columns` numbers or nothing.
    pub(super) fn transformed(
        mut self,
        columns: usize,
        each: impl FnMut(&[f32], &mut Vec<f32>),
    ) -> Result<Self, DataError> {
        let store = std::mem::replace(&mut self.complete.store, Store::new(0, 0));
        self.complete.store = store.transform(columns, each).map_err(|error| self.columns.no_room(error))?;
        Ok(self)
    }

    /// The first reading with such a value of a feature: where it is, and the value. Complete ones come first; missing values
    /// are none.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn find(&self, feature: usize, is: impl Fn(f32) -> bool) -> Result<Option<(Place, f32)>, DataError> {
        for rows in [&self.complete, &self.incomplete] {
            let (mut found, mut row) = (None, 0..);
            rows.for_each(&self.columns, |reading| {
                let row = row.next();
                if found.is_none() && !reading[feature].is_nan() && is(reading[feature]) {
                    found = row.map(|row| (rows.places.of(row), reading[feature]));
                }
            })?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// All of them, in memory.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn into_readings(mut self) -> Result<Readings, DataError> {
        let renumbered = self.groups_of_incomplete();
        let count = self.groups_found();
        let (values, places, of_rows) = self.complete.into_memory(&self.columns)?;
        let (missing_some, missing_at, groups) = self.incomplete.into_memory(&self.columns)?;
        let groups = groups.into_iter().map(|group| renumbered[group]).collect();
        let incomplete = Incomplete { values: missing_some, places: missing_at, groups };
        let parts = Parts { values, places, groups: (count, of_rows), incomplete };
        Ok(parts.readings(self.columns, self.trends, (self.anomalous, self.anomalies)))
    }

    /// Of a large table those that are in memory.
    pub(super) fn with(self, values: Matrix, places: Places, of_rows: Vec<usize>) -> Readings {
        let incomplete = Incomplete { values: Matrix::new(0, values.columns(), Vec::new()), ..Incomplete::default() };
        let parts = Parts { values, places, groups: (self.groups_found(), of_rows), incomplete };
        parts.readings(self.columns, self.trends, (self.anomalous, self.anomalies))
    }
}

/// Readings in memory.
struct Parts {
    values: Matrix,
    places: Places,
    /// How many there are, and for each reading its own.
    groups: (usize, Vec<usize>),
    incomplete: Incomplete,
}

impl Parts {
    fn readings(self, columns: Columns, trends: Vec<Trend>, (anomalous, anomalies): (usize, Vec<f32>)) -> Readings {
        let Self { values, places, groups: (count, of_rows), incomplete } = self;
        let Columns { file, features, context, positions, group, missing, .. } = columns;
        Readings {
            file,
            features,
            context,
            units: vec![String::new(); positions.len()],
            values,
            places,
            trends,
            groups: group.map(|(column, _)| Groups { column, of_rows, count }),
            incomplete,
            missing,
            anomalies: Matrix::new(anomalies.len() / positions.len(), positions.len(), anomalies),
            anomalous,
            large: None,
        }
    }
}
