//! Parquet and Arrow IPC files.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, UInt64Array,
};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::csv::number;
use super::source::{Format, Source};
use super::table::Cells;
use super::{CellProblem, DataError, Place, Places, Table};

/// Rows that are read from a Parquet file at a time.
const BATCH: usize = 1 << 16;

/// A Parquet file, a batch of rows at a time.
pub(super) fn parquet(file: &str, input: File) -> Result<Box<dyn Source>, DataError> {
    let damaged = |error: &dyn ToString| Format::Parquet.damaged(file, error);
    let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(|error| damaged(&error))?;
    let sizes = builder.metadata().row_groups().iter().map(|group| group.num_rows().unsigned_abs()).collect();
    let schema = Arc::clone(builder.schema());
    let batches = builder.with_batch_size(BATCH).build().map_err(|error| damaged(&error))?;
    let parts = Parts { part: "row group", sizes, number: 0, row: 0 };
    Ok(Box::new(Columnar::new(file, Format::Parquet, &schema, batches, parts)?))
}

/// An Arrow IPC file, a record batch at a time.
pub(super) fn ipc_file(file: &str, input: File) -> Result<Box<dyn Source>, DataError> {
    let batches = FileReader::try_new_buffered(input, None).map_err(|error| Format::Arrow.damaged(file, &error))?;
    let schema = batches.schema();
    Ok(Box::new(Columnar::new(file, Format::Arrow, &schema, batches, Parts::batches())?))
}

/// An Arrow IPC stream, a record batch at a time.
pub(super) fn ipc_stream(file: &str, input: impl Read + Send + 'static) -> Result<Box<dyn Source>, DataError> {
    let batches = StreamReader::try_new_buffered(input, None).map_err(|error| Format::Arrow.damaged(file, &error))?;
    let schema = batches.schema();
    Ok(Box::new(Columnar::new(file, Format::Arrow, &schema, batches, Parts::batches())?))
}

/// A file of typed columns.
struct Columnar<I> {
    file: Arc<str>,
    format: Format,
    columns: Arc<[String]>,
    batches: I,
    parts: Parts,
    /// The first rows, which were read to see that there are any.
    first: Option<Table>,
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>>> Columnar<I> {
    fn new(file: &str, format: Format, schema: &Schema, batches: I, parts: Parts) -> Result<Self, DataError> {
        let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut seen = HashMap::new();
        for (i, column) in columns.iter().enumerate() {
            if let Some(first) = seen.insert(column, i + 1) {
                let problem = format!("columns {first} and {} are both named `{column}`: rename one of them", i + 1);
                return Err(format.damaged(file, &problem));
            }
        }
        let mut columnar = Self { file: file.into(), format, columns: columns.into(), batches, parts, first: None };
        columnar.first = columnar.read()?;
        match columnar.first {
            Some(_) => Ok(columnar),
            None => Err(DataError::NoReadings { file: file.to_owned() }),
        }
    }

    fn read(&mut self) -> Result<Option<Table>, DataError> {
        for batch in self.batches.by_ref() {
            let damaged = |error: ArrowError| self.format.damaged(&self.file, &error);
            let batch = batch.map_err(damaged)?;
            let places = self.parts.places(batch.num_rows());
            if batch.num_rows() == 0 {
                continue;
            }
            let columns = batch.columns().iter().map(Column::of).collect::<Result<_, _>>().map_err(damaged)?;
            return Ok(Some(Table::new(&self.file, &self.columns, Batch { columns, places, rows: batch.num_rows() })));
        }
        Ok(None)
    }
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>> + Send> Source for Columnar<I> {
    fn file(&self) -> &str {
        &self.file
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_block(&mut self) -> Result<Option<Table>, DataError> {
        match self.first.take() {
            None => self.read(),
            first => Ok(first),
        }
    }
}

/// What the rows of a file are divided into, and where among them the next row is.
struct Parts {
    part: &'static str,
    /// Rows of each, if the file tells them beforehand; else each batch is one.
    sizes: Vec<u64>,
    number: usize,
    row: u64,
}

impl Parts {
    fn batches() -> Self {
        Self { part: "record batch", sizes: Vec::new(), number: 0, row: 0 }
    }

    /// The places of the rows of the next batch.
    fn places(&mut self, rows: usize) -> Places {
        let mut places = Places::default();
        for _ in 0..rows {
            while self.sizes.get(self.number).is_some_and(|size| self.row >= *size) {
                (self.number, self.row) = (self.number + 1, 0);
            }
            places.push(Place::Row { part: self.part, number: self.number, row: self.row });
            self.row += 1;
        }
        if self.sizes.is_empty() {
            (self.number, self.row) = (self.number + 1, 0);
        }
        places
    }
}

/// Rows as typed columns.
#[derive(Debug)]
struct Batch {
    columns: Vec<Column>,
    places: Places,
    rows: usize,
}

/// A column in one of the types that others of its kind are widened to.
#[derive(Debug)]
enum Column {
    Single(Float32Array),
    Double(Float64Array),
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Bool(BooleanArray),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    /// Of a type that is neither a number nor text.
    Other(ArrayRef),
}

impl Column {
    fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Float16 => Self::Single(array.as_primitive::<Float16Type>().unary(f32::from)),
            DataType::Float32 => Self::Single(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>().clone()),
            DataType::Int8 => Self::Signed(array.as_primitive::<Int8Type>().unary(i64::from)),
            DataType::Int16 => Self::Signed(array.as_primitive::<Int16Type>().unary(i64::from)),
            DataType::Int32 => Self::Signed(array.as_primitive::<Int32Type>().unary(i64::from)),
            DataType::Int64 => Self::Signed(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt8 => Self::Unsigned(array.as_primitive::<UInt8Type>().unary(u64::from)),
            DataType::UInt16 => Self::Unsigned(array.as_primitive::<UInt16Type>().unary(u64::from)),
            DataType::UInt32 => Self::Unsigned(array.as_primitive::<UInt32Type>().unary(u64::from)),
            DataType::UInt64 => Self::Unsigned(array.as_primitive::<UInt64Type>().clone()),
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Utf8 => Self::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string().clone()),
            DataType::Utf8View => Self::TextView(array.as_string_view().clone()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_any_dictionary();
                Self::of(&arrow_select::take::take(dictionary.values(), dictionary.keys(), None)?)?
            }
            _ => Self::Other(Arc::clone(array)),
        })
    }

    fn array(&self) -> &dyn Array {
        match self {
            Self::Single(array) => array,
            Self::Double(array) => array,
            Self::Signed(array) => array,
            Self::Unsigned(array) => array,
            Self::Bool(array) => array,
            Self::Text(array) => array,
            Self::LargeText(array) => array,
            Self::TextView(array) => array,
            Self::Other(array) => array,
        }
    }

    /// The text of a cell of text.
    fn string(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(array) => Some(array.value(row)),
            Self::LargeText(array) => Some(array.value(row)),
            Self::TextView(array) => Some(array.value(row)),
            _ => None,
        }
    }
}

impl Cells for Batch {
    fn rows(&self) -> usize {
        self.rows
    }

    fn place(&self, row: usize) -> Place {
        self.places.of(row)
    }

    fn text(&self, row: usize, column: usize) -> Cow<'_, str> {
        let column = &self.columns[column];
        if column.array().is_null(row) {
            return "".into();
        }
        match column {
            Column::Single(array) => text_of(array.value(row)).into(),
            Column::Double(array) => text_of(array.value(row)).into(),
            Column::Signed(array) => array.value(row).to_string().into(),
            Column::Unsigned(array) => array.value(row).to_string().into(),
            Column::Bool(array) => if array.value(row) { "true" } else { "false" }.into(),
            Column::Other(array) => array.data_type().to_string().into(),
            text => text.string(row).unwrap_or_default().into(),
        }
    }

    fn number(&self, row: usize, column: usize) -> Result<f32, CellProblem> {
        let column = &self.columns[column];
        if column.array().is_null(row) {
            return Err(CellProblem::Empty);
        }
        let (number, is_infinite) = match column {
            Column::Single(array) => (array.value(row), array.value(row).is_infinite()),
            Column::Double(array) => (array.value(row) as f32, array.value(row).is_infinite()),
            Column::Signed(array) => (array.value(row) as f32, false),
            Column::Unsigned(array) => (array.value(row) as f32, false),
            Column::Bool(array) => (f32::from(u8::from(array.value(row))), false),
            Column::Other(_) => return Err(CellProblem::Type),
            text => return number(text.string(row).unwrap_or_default().trim()),
        };
        match number.is_finite() {
            true => Ok(number),
            false if number.is_nan() || is_infinite => Err(CellProblem::NotFinite),
            false => Err(CellProblem::BeyondF32),
        }
    }

    fn wide(&self, row: usize, column: usize) -> Option<f64> {
        let column = &self.columns[column];
        if column.array().is_null(row) {
            return None;
        }
        match column {
            Column::Single(array) => Some(array.value(row).into()),
            Column::Double(array) => Some(array.value(row)),
            Column::Signed(array) => Some(array.value(row) as f64),
            Column::Unsigned(array) => Some(array.value(row) as f64),
            Column::Bool(array) => Some(u8::from(array.value(row)).into()),
            Column::Other(_) => None,
            text => text.string(row)?.trim().parse().ok(),
        }
    }
}

/// A number as text: its digits, and an exponent where these would be mostly zeros.
fn text_of<T: Copy + Debug + Display + Into<f64>>(value: T) -> String {
    let size = value.into().abs();
    if (1e-5..1e16).contains(&size) || size == 0.0 { value.to_string() } else { format!("{value:?}") }
}
