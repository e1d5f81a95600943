//! `flowlet fit --held-back`: the rows that calibration holds back, as a table of their own.

use std::path::Path;

use anyhow::{Result, bail};

use super::output::Output;
use crate::data::{self, Readings, Split, for_each_block};

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

    /// Writes the rows of the calibration, with all columns of the table, as they stand in it and in its order.
    pub(super) fn write(&self, readings: &Readings, split: &Split) -> Result<()> {
        let mut source = data::open(self.readings)?;
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(source.columns())?;
        let names: Vec<String> = readings.features.iter().chain(&readings.context).cloned().collect();
        let columns = source.columns_of(&names, None)?;
        let mut wanted: Vec<usize> = split.calibration.clone();
        wanted.sort_unstable_by_key(|reading| readings.places.of(*reading));
        let mut wanted = wanted.into_iter().peekable();
        for_each_block(&mut *source, |block| -> Result<()> {
            for row in 0..block.rows() {
                let here = |reading: &usize| readings.places.of(*reading) == block.place(row);
                let Some(reading) = wanted.next_if(here) else { continue };
                if block.numbers(row, &columns).is_ok_and(|now| now == readings.values.row(reading)) {
                    csv.write_record((0..block.columns().len()).map(|column| block.text(row, column).into_owned()))?;
                } else {
                    return Err(self.changed());
                }
            }
            Ok(())
        })?;
        match wanted.next() {
            Some(_) => Err(self.changed()),
            None => self.output.write(&csv.into_inner()?),
        }
    }

    fn changed(&self) -> anyhow::Error {
        anyhow::anyhow!(
            "{}: was changed while it was fitted, so the rows of --held-back are not those of the calibration",
            self.readings.display()
        )
    }
}
