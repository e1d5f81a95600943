//! Benchmarks of alarms: of whole cycles, of a process, and of the rates that are promised.

pub mod cycles;
pub mod plot;
pub mod process;
pub mod rates;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use flowlet_trainer::data::{DataError, Matrix, Readings, Roles, Split, Table};
use flowlet_trainer::fitting::fit;
use flowlet_trainer::model::Model;
use flowlet_trainer::train::{Architecture, MOST_BYTES, Options};

use crate::setup;

/// The share of normal readings that may raise an alarm.
const FALSE_ALARM_RATE: f32 = 0.01;

/// The limit of steps of a quick run.
const QUICK_STEPS: usize = 200;

/// What all of these benchmarks may be told.
pub struct Output {
    /// Where the table and the picture go, as `NAME.md` and `NAME.svg`.
    pub out: Option<PathBuf>,
    /// Fits that only show that all works.
    pub quick: bool,
}

impl Output {
    /// Prints the table, and writes both where that was asked for.
    fn write(&self, name: &str, table: &str, picture: &str) -> Result<()> {
        println!("{table}");
        let Some(folder) = &self.out else { return Ok(()) };
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        for (extension, text) in [("md", table), ("svg", picture)] {
            let path = folder.join(name).with_extension(extension);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// The int8 model of a fit with the defaults but for the architecture, and its f32 twin. What an interrupted run fitted
    /// already, in cargo's target directory, is taken from there.
    fn fitted(
        &self,
        name: &str,
        readings: &Readings,
        split: &Split,
        calibration: &Matrix,
        architecture: Option<Architecture>,
    ) -> Result<[Model; 2]> {
        let folder = setup::target_directory().join(if self.quick { "rates-quick" } else { "rates" });
        let paths = ["flow", "f32.flow"].map(|extension| folder.join(format!("{name}.{extension}")));
        if paths.iter().all(|path| path.exists()) {
            eprintln!("{name}: taken from {}", paths[0].display());
            let [model, twin] = paths.map(|path| read(&path));
            return Ok([model?, twin?]);
        }
        eprintln!("{name}: fitted");
        let features = readings.features.len();
        let mut options = Options::for_features(features);
        // Rules are compared on single flows: how rates are kept does not depend on how many there are, and fits are many.
        options.architecture = architecture.unwrap_or_else(|| Architecture {
            members: 1,
            ..Architecture::for_table(split.train.len(), features, 0, MOST_BYTES)
        });
        if self.quick {
            options.steps = QUICK_STEPS;
        }
        let fitted = fit(readings, split, calibration, FALSE_ALARM_RATE, &options, &mut (), &AtomicBool::new(false))?;
        let models = [fitted.model, fitted.twin];
        for (path, model) in paths.iter().zip(&models) {
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            fs::write(path, model.to_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(models)
    }
}

fn read(path: &Path) -> Result<Model> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Model::from_bytes(&bytes).with_context(|| format!("{}: delete it, and it is fitted anew", path.display()))
}

/// A table with its heading, as Markdown; the first column is text, the others are numbers.
#[derive(Default)]
pub struct Markdown(pub String);

impl Markdown {
    fn text(&mut self, text: &str) {
        self.0 += text;
        self.0 += "\n\n";
    }

    pub fn table(&mut self, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        self.0 += &format!("| {} |\n|---|{}\n", heads.join(" | "), "---:|".repeat(heads.len() - 1));
        for row in rows {
            self.0 += &format!("| {} |\n", row.join(" | "));
        }
        self.0 += "\n";
    }
}

/// The normal readings by all columns that vary, but for the label, where there is one.
fn features(table: &Table, label: Option<&str>) -> Result<Readings> {
    let label = label.filter(|label| table.columns().iter().any(|name| name == label)).map(str::to_owned);
    let roles = Roles { label, ..Roles::default() };
    match Readings::for_fitting(table, &roles) {
        Err(DataError::Constant { columns, .. }) => {
            let ignore = columns.into_iter().map(|(name, _)| name).collect();
            Ok(Readings::for_fitting(table, &Roles { ignore, ..roles })?)
        }
        readings => Ok(readings?),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

/// The share of scores that are above a threshold.
fn share_above(scores: &[f32], threshold: f32) -> f64 {
    scores.iter().filter(|score| **score > threshold).count() as f64 / scores.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_a_cell_for_each_head() {
        let mut text = Markdown::default();
        text.table(&["set", "rate"], [vec!["a".to_owned(), percent(0.0123)]]);
        assert_eq!(text.0, "| set | rate |\n|---|---:|\n| a | 1.23 % |\n\n");
        assert_eq!(share_above(&[1.0, 2.0, 3.0, 2.0], 2.0), 0.25);
    }
}
