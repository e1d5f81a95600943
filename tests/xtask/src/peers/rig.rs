//! The rig's test readings, and how well scores tell its faults.

use std::path::PathBuf;

use anyhow::{Context, Result};
use flowlet_trainer::data::{Matrix, Table};
use flowlet_trainer::metrics::auroc;
use serde::Serialize;

use crate::setup;

/// Columns of the test readings that are no features.
const NO_FEATURES: [&str; 3] = ["cycle", "fault", "anomaly"];

/// The test readings, as they come off the rig.
pub struct Rig {
    pub readings: Matrix,
    anomalous: Vec<bool>,
    /// For each reading its load cycle, and how many there are.
    cycle_of: Vec<usize>,
    cycles: usize,
}

/// How well scores tell readings with a fault from others: areas under the receiver operating characteristic.
#[derive(Clone, Copy, Serialize)]
pub struct Auroc {
    /// Of single readings, a second each.
    pub readings: f64,
    /// Of the mean scores of load cycles, a minute each.
    pub cycles: f64,
}

impl Rig {
    pub fn folder() -> PathBuf {
        setup::root().join("tests/data/hydraulic")
    }

    pub fn read() -> Result<Self> {
        let table = Table::read(&Self::folder().join("test.csv"))?;
        let features = table.columns().iter().filter(|name| !NO_FEATURES.contains(&name.as_str())).cloned();
        let columns = table.columns_of(&features.collect::<Vec<_>>(), None)?;
        let rows: Vec<usize> = (0..table.rows()).collect();
        let (cycles, cycle_of) = table.groups(table.column("cycle", None)?);
        Ok(Self {
            readings: table.matrix(&rows, &columns)?,
            anomalous: table.labels(table.column("anomaly", None)?)?,
            cycle_of,
            cycles: cycles.len(),
        })
    }

    /// Of scores that are the higher the more anomalous a reading is.
    pub fn auroc(&self, scores: &[f32]) -> Result<Auroc> {
        let mut sums = vec![(0.0, 0_u32, false); self.cycles];
        for ((score, &cycle), &anomalous) in scores.iter().zip(&self.cycle_of).zip(&self.anomalous) {
            let (sum, readings, label) = &mut sums[cycle];
            *sum += f64::from(*score);
            *readings += 1;
            *label = anomalous;
        }
        let means: Vec<f32> = sums.iter().map(|(sum, readings, _)| (sum / f64::from(*readings)) as f32).collect();
        let labels: Vec<bool> = sums.iter().map(|&(_, _, label)| label).collect();
        let both = "the test readings have normal ones and anomalies";
        Ok(Auroc {
            readings: auroc(scores, &self.anomalous).context(both)?,
            cycles: auroc(&means, &labels).context(both)?,
        })
    }
}
