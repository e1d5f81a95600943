//! `flowlet fit --held-back`: the rows that calibration holds back, as a table of their own.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::output::Output;
use crate::data::{Readings, Split, Table};

/// Where the rows go, checked before the fit.
pub(super) struct HeldBack<'a> {
    readings: &'a Path,
    output: Output,
}

impl<'a> HeldBack<'a> {
    /// Prepares to write `path`, if one is given, from the table of readings, which is read again.
    pub(super) fn prepare(readings: &'a Path, path: Option<&Path>) -> Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        if readings.as_os_str() == "-" {
            bail!(
                "--held-back: takes the rows from the file of readings, and standard input cannot be read twice (name a file)"
            );
        }
        Ok(Some(Self { readings, output: Output::prepare(path)? }))
    }

    /// Writes the rows of the calibration, with all columns of the table, as they stand in it.
    pub(super) fn write(&self, readings: &Readings, split: &Split) -> Result<()> {
        let table = Table::read(self.readings)?;
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(table.columns())?;
        let names: Vec<String> = readings.features.iter().chain(&readings.context).cloned().collect();
        let columns = table.columns_of(&names, None)?;
        for &reading in &split.calibration {
            let row = readings.rows[reading];
            ensure!(
                row < table.rows() && table.numbers(row, &columns).is_ok_and(|now| now == readings.values.row(reading)),
                "{}: was changed while it was fitted, so the rows of --held-back are not those of the calibration",
                table.file()
            );
            csv.write_record((0..table.columns().len()).map(|column| table.text(row, column)))?;
        }
        self.output.write(&csv.into_inner()?)
    }
}
