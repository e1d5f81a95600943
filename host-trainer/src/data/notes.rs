use std::collections::HashSet;
use std::fmt::{self, Display};

use super::Readings;

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
    /// A column grows, or falls, from every row to the next.
    Counter {
        /// The column.
        column: String,
        /// Whether it grows.
        grows: bool,
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
                "column `{column}` {} from every row to the next, as a clock or a counter does: new readings will lie outside (--ignore {column})",
                if *grows { "grows" } else { "falls" }
            ),
        }
    }
}

/// What is odd about the readings: repeated rows, columns that are nearly the same, clocks and counters.
pub fn notes(readings: &Readings) -> Vec<Note> {
    counters(readings).into_iter().chain(repeated_rows(readings)).chain(alike_columns(readings)).collect()
}

fn counters(readings: &Readings) -> Vec<Note> {
    const FEWEST_ROWS: usize = 10;
    let (values, features) = (&readings.values, &readings.features);
    if values.rows() < FEWEST_ROWS {
        return Vec::new();
    }
    let monotone = |column: usize, grows: bool| {
        let mut pairs = values.column(column).zip(values.column(column).skip(1));
        pairs.all(|(before, after)| if grows { before < after } else { before > after })
    };
    (0..values.columns())
        .flat_map(|column| [(column, true), (column, false)])
        .filter(|&(column, grows)| monotone(column, grows))
        .map(|(column, grows)| Note::Counter { column: features[column].clone(), grows })
        .collect()
}

fn repeated_rows(readings: &Readings) -> Option<Note> {
    let rows = readings.values.rows();
    let bits = |row: &[f32]| row.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let distinct: HashSet<Vec<u32>> = readings.values.iter_rows().map(bits).collect();
    let copies = rows - distinct.len();
    (copies * 20 > rows).then_some(Note::RepeatedRows { copies, rows })
}

fn alike_columns(readings: &Readings) -> Vec<Note> {
    const MOST_ROWS: usize = 4096;
    const ALIKE: f64 = 0.9999;
    let (values, features) = (&readings.values, &readings.features);
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
            let (first, second) = (features[i].clone(), features[j].clone());
            (correlation.abs() > ALIKE).then_some(Note::AlikeColumns { first, second, correlation })
        })
        .collect()
}
