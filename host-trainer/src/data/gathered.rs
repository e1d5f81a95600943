//! Readings as they come from a file, block after block.

use std::collections::HashMap;
use std::io;

use super::source::for_each_block;
use super::table::position;
use super::trend::Trend;
use super::{CellProblem, DataError, Groups, Matrix, Names, Place, Places, Readings, Roles, Source, Store, Table};

/// Labelled anomalies that a report measures: of more, the first.
const MOST_ANOMALIES: usize = 100_000;

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

    /// The features are those of other readings.
    pub fn with_features(
        file: &str,
        columns: &[String],
        features: &[String],
        roles: &Roles,
    ) -> Result<Self, DataError> {
        Self::new(file, columns, features, Some("a feature of the readings that are fitted"), roles)
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
        Ok(Self { file: file.to_owned(), features, context, positions, label, group, fitted: false })
    }
}

/// The normal readings of a file, not yet divided.
#[derive(Debug)]
pub struct Gathered {
    columns: Columns,
    /// The readings; behind each the number of its group, if there are groups.
    pub(super) store: Store,
    pub(super) places: Places,
    groups: Names,
    trends: Vec<Trend>,
    constants: Vec<Option<Constant>>,
    /// Those that are kept, row after row.
    anomalies: Vec<f32>,
    anomalous: usize,
    /// All rows of the file.
    rows: usize,
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

    /// Every normal reading of `source`, with the features of others.
    ///
    /// # Errors
    /// As [`Readings::with_features`], if the file cannot be read to its end, or if there is no room for the temporary one.
    pub fn with_features(
        source: &mut dyn Source,
        features: &[String],
        roles: &Roles,
        limit: usize,
    ) -> Result<Self, DataError> {
        let columns = Columns::with_features(source.file(), source.columns(), features, roles)?;
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
        Self {
            store: Store::new(width, limit),
            places: Places::default(),
            groups: Names::default(),
            trends: vec![Trend::default(); columns.features.len()],
            constants: Vec::new(),
            anomalies: Vec::new(),
            anomalous: 0,
            rows: 0,
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
        let groups = self.groups(table, &normal)?;
        let positions = &self.columns.positions;
        let values = table.matrix(&normal, positions).map_err(|error| self.refused(error))?;

        self.anomalous += anomalous.len();
        let room = MOST_ANOMALIES - (self.anomalies.len() / positions.len()).min(MOST_ANOMALIES);
        let numbers = anomalous.iter().filter_map(|&row| table.numbers(row, positions).ok());
        self.anomalies.extend(numbers.take(room).flatten());

        self.rows += table.rows();
        self.follow(table, &normal, &values);
        normal.iter().for_each(|&row| self.places.push(table.place(row)));
        let mut groups = groups.into_iter();
        let mut reading = Vec::new();
        for values in values.iter_rows() {
            reading.clear();
            reading.extend_from_slice(values);
            reading.extend(groups.next());
            self.store.push(&reading).map_err(|error| self.no_room(error))?;
        }
        Ok(())
    }

    /// The numbers of the rows' groups, as they are stored.
    fn groups(&mut self, table: &Table, rows: &[usize]) -> Result<Vec<f32>, DataError> {
        let Some((column, position)) = &self.columns.group else { return Ok(Vec::new()) };
        let mut of_rows = Vec::with_capacity(rows.len());
        for &row in rows {
            let name = table.text(row, *position);
            let (file, place, column) = (|| self.columns.file.clone(), table.place(row), || column.clone());
            if name.is_empty() {
                return Err(DataError::NoGroup { file: file(), place, column: column() });
            }
            let number = self.groups.number(&name);
            if number > MOST_GROUPS {
                return Err(DataError::TooManyGroups { file: file(), column: column(), most: MOST_GROUPS });
            }
            of_rows.push(number as f32);
        }
        Ok(of_rows)
    }

    /// What is wrong with a cell, in view of the blocks before its own and of what can be done.
    fn refused(&self, mut error: DataError) -> DataError {
        if let DataError::Cell { cell, .. } = &mut error {
            cell.can_ignore = self.columns.fitted;
            if cell.problem == CellProblem::TextColumn && self.store.rows() > 0 {
                cell.problem = CellProblem::Text;
            }
        }
        error
    }

    /// Follows trends, and columns that have been constant so far.
    fn follow(&mut self, table: &Table, rows: &[usize], values: &Matrix) {
        let Some(&first) = rows.first() else { return };
        let positions = &self.columns.positions;
        for (trend, &position) in self.trends.iter_mut().zip(positions) {
            for value in rows.iter().map_while(|&row| table.wide(row, position)) {
                if !trend.is_open() {
                    break;
                }
                trend.push(value);
            }
        }
        if self.store.rows() == 0 {
            let constant = |(column, &position): (usize, &usize)| {
                let text = table.text(first, position).into_owned();
                Some(Constant { value: values.row(0)[column], text, wide: table.wide(first, position), other: None })
            };
            self.constants = positions.iter().enumerate().map(constant).collect();
        }
        for (column, (constant, &position)) in self.constants.iter_mut().zip(positions).enumerate() {
            let Some(found) = constant else { continue };
            if values.column(column).any(|value| value != found.value) {
                *constant = None;
            } else if found.other.is_none() {
                let other = rows.iter().find(|row| table.wide(**row, position) != found.wide);
                found.other = other.map(|row| table.text(*row, position).into_owned());
            }
        }
    }

    /// Refuses readings that there are none of, or that have a constant column and are to be fitted.
    fn checked(self) -> Result<Self, DataError> {
        let (file, rows) = (self.columns.file.clone(), self.store.rows());
        if let (Some((column, _)), 0) = (&self.columns.label, rows) {
            return Err(DataError::NoNormalRows { file, column: column.clone(), rows: self.rows });
        }
        if !self.columns.fitted || rows < 2 {
            return Ok(self);
        }
        let names = self.columns.features.iter().chain(&self.columns.context).cloned();
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

    /// Whether a column divides them into groups.
    pub(super) fn has_groups(&self) -> bool {
        self.columns.group.is_some()
    }

    /// How many groups there are.
    pub(super) fn groups_found(&self) -> usize {
        self.groups.count()
    }

    /// Rows labelled as anomalies.
    pub(super) fn anomalous(&self) -> usize {
        self.anomalous
    }

    /// That they cannot be held back by groups.
    pub(super) fn too_few_groups(&self) -> DataError {
        let column = self.columns.group.as_ref().map_or_else(String::new, |(column, _)| column.clone());
        DataError::TooFewGroups { file: self.columns.file.clone(), column, found: self.groups.count() }
    }

    /// Shows all readings to `each`, with the number of the group behind each where there are groups.
    pub(super) fn for_each(&self, mut each: impl FnMut(&[f32])) -> Result<(), DataError> {
        let mut block = Vec::new();
        for number in 0..self.store.blocks() {
            block.clear();
            self.store.read(number, &mut block).map_err(|error| self.no_room(error))?;
            block.chunks_exact(self.store.columns()).for_each(&mut each);
        }
        Ok(())
    }

    /// With what `each` makes of the readings: `columns` numbers or nothing.
    pub(super) fn transformed(
        mut self,
        columns: usize,
        each: impl FnMut(&[f32], &mut Vec<f32>),
    ) -> Result<Self, DataError> {
        let store = std::mem::replace(&mut self.store, Store::new(0, 0));
        self.store = store.transform(columns, each).map_err(|error| self.no_room(error))?;
        Ok(self)
    }

    /// The first reading with such a value of a feature: where it is, and the value.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn find(&self, feature: usize, is: impl Fn(f32) -> bool) -> Result<Option<(Place, f32)>, DataError> {
        let (mut found, mut row) = (None, 0..);
        self.for_each(|reading| {
            let row = row.next();
            if found.is_none() && is(reading[feature]) {
                found = row.map(|row| (self.places.of(row), reading[feature]));
            }
        })?;
        Ok(found)
    }

    /// All of them, in memory.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn into_readings(mut self) -> Result<Readings, DataError> {
        let store = std::mem::replace(&mut self.store, Store::new(0, 0));
        let columns = self.columns.positions.len();
        let stored = store.into_matrix().map_err(|error| self.no_room(error))?;
        if self.columns.group.is_none() {
            return Ok(self.with(stored, None));
        }
        let of_rows = stored.iter_rows().map(|row| row[columns] as usize).collect();
        let values = stored.iter_rows().flat_map(|row| &row[..columns]).copied().collect();
        Ok(self.with(Matrix::new(stored.rows(), columns, values), Some(of_rows)))
    }

    /// Readings of these values and groups.
    pub(super) fn with(self, values: Matrix, of_rows: Option<Vec<usize>>) -> Readings {
        let Columns { file, features, context, positions, group, .. } = self.columns;
        let count = self.groups.count();
        Readings {
            file,
            features,
            context,
            units: vec![String::new(); positions.len()],
            values,
            places: self.places,
            trends: self.trends,
            groups: group.zip(of_rows).map(|((column, _), of_rows)| Groups { column, of_rows, count }),
            anomalies: Matrix::new(self.anomalies.len() / positions.len(), positions.len(), self.anomalies),
            large: None,
        }
    }

    fn no_room(&self, error: io::Error) -> DataError {
        DataError::Temporary { file: self.columns.file.clone(), error }
    }
}
