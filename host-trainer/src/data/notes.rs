use std::collections::HashSet;
use std::fmt::{self, Display};

use zerocopy::IntoBytes;

use super::error::Located;
use super::extremes::Usual;
use super::{Place, Readings};

/// Something odd about readings that can be fitted all the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// Many rows are exact copies of earlier ones.
    RepeatedRows {
        /// Copies.
        copies: usize,
        /// All rows.
        rows: usize,
    },
    /// Two columns say almost the same.
    AlikeColumns {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// Their correlation.
        correlation: f64,
    },
    /// A column that never falls from a row to the next, or never grows.
    Counter {
        /// The column.
        column: String,
        /// Whether it grows.
        grows: bool,
    },
    /// A few values lie so far from all others that they hide how these differ.
    Extreme {
        /// The column.
        column: String,
        /// Where in the file the farthest is.
        place: Place,
        /// Which it is.
        value: f32,
        /// How far it is from the usual values, in ranges of these.
        ranges: f64,
        /// How many such values there are.
        found: usize,
        /// Of how many.
        rows: usize,
    },
    /// A column whose values differ little more than neighbouring 32-bit floats do.
    Coarse {
        /// The column.
        column: String,
        /// The mean of its values.
        mean: f64,
        /// Their standard deviation.
        deviation: f64,
    },
}

impl Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatedRows { copies, rows } => {
                write!(f, "{copies} of {rows} readings repeat an earlier one exactly")
            }
            Self::AlikeColumns { first, second, correlation } => write!(
                f,
                "columns `{first}` and `{second}` are nearly the same (correlation {correlation:.5}): one may do (--ignore {second})"
            ),
            Self::Counter { column, grows } => write!(
                f,
                "column `{column}` only {} from row to row, as a clock or a counter does: new readings will lie outside (--ignore {column})",
                if *grows { "grows" } else { "falls" }
            ),
            Self::Extreme { column, place, value, ranges, found, rows } => write!(
                f,
                "column `{column}`: {found} of {rows} values {} far from all others, {value:?} {} by {ranges:.0e} times their range: not trained on, but calibrated on if held back (remove {} unless it is normal)",
                if *found == 1 { "lies" } else { "lie" },
                Located(&[*place]),
                if *found == 1 { "the row" } else { "the rows" },
            ),
            Self::Coarse { column, mean, deviation } => write!(
                f,
                "column `{column}`: 32-bit floats hardly tell its values apart, which vary by {deviation:.1e} around {mean:.4e}: subtract an offset, or ignore it with --ignore {column}"
            ),
        }
    }
}

/// What is odd about the readings of a table: clocks and counters, extreme values, values finer than 32 bits, repeated
/// rows, columns that are nearly the same.
pub fn notes(readings: &Readings) -> Vec<Note> {
    let columns = (0..readings.features.len()).flat_map(|column| {
        let notes = [counter(readings, column), extreme(readings, column), coarse(readings, column)];
        notes.into_iter().flatten()
    });
    columns.chain(repeated_rows(readings)).chain(alike_columns(readings)).collect()
}

fn counter(readings: &Readings, feature: usize) -> Option<Note> {
    let grows = readings.trends[feature].grows()?;
    Some(Note::Counter { column: readings.features[feature].clone(), grows })
}

fn extreme(readings: &Readings, feature: usize) -> Option<Note> {
    let values: Vec<f32> = readings.values.column(feature).collect();
    let usual = Usual::of(values.clone())?;
    let farthest =
        (0..values.len()).max_by(|a, b| usual.ranges_away(values[*a]).total_cmp(&usual.ranges_away(values[*b])))?;
    let found = values.iter().filter(|value| usual.is_extreme(**value)).count();
    (found > 0).then(|| Note::Extreme {
        column: readings.features[feature].clone(),
        place: readings.places.of(farthest),
        value: values[farthest],
        ranges: usual.ranges_away(values[farthest]),
        found,
        rows: values.len(),
    })
}

fn coarse(readings: &Readings, feature: usize) -> Option<Note> {
    const FEWEST_STEPS: f64 = 16.0;
    let values = || readings.values.column(feature).map(f64::from);
    let count = readings.values.rows() as f64;
    let mean = values().sum::<f64>() / count;
    let deviation = (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let steps = deviation / (f64::from((mean.abs() as f32).next_up()) - f64::from(mean.abs() as f32));
    (steps < FEWEST_STEPS).then(|| Note::Coarse { column: readings.features[feature].clone(), mean, deviation })
}

fn repeated_rows(readings: &Readings) -> Option<Note> {
    let rows = readings.values.rows();
    let distinct: HashSet<&[u8]> = readings.values.iter_rows().map(IntoBytes::as_bytes).collect();
    let copies = rows - distinct.len();
    (copies * 20 > rows).then_some(Note::RepeatedRows { copies, rows })
}

fn alike_columns(readings: &Readings) -> Vec<Note> {
    const MOST_ROWS: usize = 4096;
    const ALIKE: f64 = 0.9999;
    let values = &readings.values;
    let stride = values.rows().div_ceil(MOST_ROWS).max(1);
    let unit = |column: usize| -> Vec<f64> {
        let column: Vec<f64> = values.column(column).step_by(stride).map(f64::from).collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let length = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt();
        column.iter().map(|x| if length > 0.0 { (x - mean) / length } else { 0.0 }).collect()
    };
    let columns: Vec<Vec<f64>> = (0..values.columns()).map(unit).collect();
    let pairs = (0..columns.len()).flat_map(|i| (i + 1..columns.len()).map(move |j| (i, j)));
    pairs
        .filter_map(|(i, j)| {
            let correlation: f64 = columns[i].iter().zip(&columns[j]).map(|(a, b)| a * b).sum();
            let (first, second) = (readings.name(i).to_owned(), readings.name(j).to_owned());
            (correlation.abs() > ALIKE).then_some(Note::AlikeColumns { first, second, correlation })
        })
        .collect()
}
