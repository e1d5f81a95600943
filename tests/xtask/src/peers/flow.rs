//! Small flows, by the command that a user fits with.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use flowlet_trainer::model::Model;
use flowlet_trainer::train::{BaseFamily, Family};
use serde::Serialize;

use super::models::Models;
use super::rig::{Auroc, Rig};
use crate::setup;

/// The smallest flow that `cargo xtask peers --search` finds, and the next one, which reaches the autoencoder with more
/// seeds too.
pub const FLOWS: [Shape; 2] = [
    Shape { family: Family::Planar, layers: 12, hidden: 0, base: BaseFamily::Normal },
    Shape { family: Family::Nice, layers: 4, hidden: 16, base: BaseFamily::Normal },
];

/// Fits of each of [`FLOWS`]; the first one is built and measured.
pub const SEEDS: u64 = 15;

/// What `flowlet fit` is told of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    pub family: Family,
    pub layers: usize,
    /// Units of the one hidden layer that its nets have; 0 where there are no nets.
    pub hidden: usize,
    pub base: BaseFamily,
}

/// A shape fitted to the rig's normal readings, with several seeds.
pub struct Fits {
    pub shape: Shape,
    /// Of each fit, on the test readings, by the int8 model on the host.
    pub aurocs: Vec<Auroc>,
    /// Of the first fit: log-density, p-value and alarm of each test reading.
    pub answers: Vec<[f32; 3]>,
    /// Of the first fit: its generated Rust file.
    pub source: PathBuf,
    /// Its bytes.
    pub model_bytes: usize,
}

impl Fits {
    /// The lowest AUROC of single readings.
    pub fn worst(&self) -> f64 {
        self.readings().fold(1.0, f64::min)
    }

    /// The highest.
    pub fn best(&self) -> f64 {
        self.readings().fold(0.0, f64::max)
    }

    pub fn mean(&self) -> f64 {
        self.readings().sum::<f64>() / self.aurocs.len() as f64
    }

    /// Of how many seeds it is below `bar`.
    pub fn below(&self, bar: f64) -> usize {
        self.readings().filter(|&auroc| auroc < bar).count()
    }

    fn readings(&self) -> impl Iterator<Item = f64> {
        self.aurocs.iter().map(|auroc| auroc.readings)
    }
}

impl Shape {
    /// The options of `flowlet fit`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--family".to_owned(), word(self.family), "--layers".into(), self.layers.to_string()];
        if self.hidden > 0 {
            arguments.extend(["--hidden".into(), self.hidden.to_string(), "--hidden-layers".into(), "1".into()]);
        }
        if self.base != BaseFamily::Normal {
            arguments.extend(["--base".to_owned(), word(self.base)]);
        }
        arguments
    }

    /// Fits with this many seeds, or until one gives an AUROC below `enough`.
    pub fn fit(&self, models: &Models, rig: &Rig, seeds: u64, enough: Option<f64>) -> Result<Fits> {
        eprintln!("fitting {self}");
        let flows = models.flows()?;
        let (mut aurocs, mut first) = (Vec::new(), None);
        for seed in 0..seeds {
            let path = flows.join(format!("{}-{seed}.flow", self.to_string().replace(' ', "-")));
            let mut command = setup::flowlet();
            command.arg("fit").arg(Rig::folder().join("train_normal.csv")).arg("--out").arg(&path);
            command.args(["--label", "anomaly", "--group", "cycle", "--quiet", "--seed", &seed.to_string()]);
            setup::run(command.args(self.arguments()))?;
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let model = Model::from_bytes(&bytes).with_context(|| path.display().to_string())?;
            let answers = answers(&model, rig)?;
            let auroc = rig.auroc(&answers.iter().map(|[log_prob, ..]| -log_prob).collect::<Vec<_>>())?;
            aurocs.push(auroc);
            first.get_or_insert((answers, path.with_extension("rs"), model.body().len()));
            if enough.is_some_and(|enough| auroc.readings < enough) {
                break;
            }
        }
        let (answers, source, model_bytes) = first.context("there is a seed")?;
        Ok(Fits { shape: *self, aurocs, answers, source, model_bytes })
    }
}

/// Of each test reading log-density, p-value and alarm, on the host.
fn answers(model: &Model, rig: &Rig) -> Result<Vec<[f32; 3]>> {
    let scorer = model.scorer();
    let answer = |reading: &[f32]| {
        let said = scorer.assess(reading, &[])?;
        Ok([said.log_prob, said.p_value, f32::from(u8::from(said.alarm))])
    };
    rig.readings.iter_rows().map(answer).collect()
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.layers, word(self.family))?;
        if self.hidden > 0 {
            write!(f, " of {}", self.hidden)?;
        }
        if self.base != BaseFamily::Normal {
            write!(f, " on {}", word(self.base))?;
        }
        Ok(())
    }
}

/// A value as the command line has it.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
