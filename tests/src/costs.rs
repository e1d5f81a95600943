//! What a score costs on emulated devices, and the models of many shapes that this is measured of.

use std::fmt;
use std::fs;
use std::iter;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flowlet::model_file;
use flowlet_firmware::message::Response;
use flowlet_trainer::export::planned;
use flowlet_trainer::model::architecture::Architecture;
use flowlet_trainer::model::{Model, rust_source};
use flowlet_trainer::search::name;
use flowlet_trainer::train::{self, Family, Options};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::emulator::{self, Backend, Board, Build, Call, Conversation, Image, build, run};
use crate::jobs::ordinary_point;
use crate::models::{Style, body, host_model};

/// What `flowlet fit` is told of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// The family.
    pub family: Family,
    /// Columns.
    pub features: usize,
    /// `--layers`.
    pub layers: usize,
    /// `--hidden`, of families with nets.
    pub hidden: usize,
    /// `--hidden-layers`, of families with nets.
    pub hidden_layers: usize,
    /// `--bins`, of families with splines.
    pub bins: usize,
}

/// Readings that a count is the mean of.
pub const POINTS: usize = 24;

/// Shapes that the cost model was not fitted on, all of as many features, so that they share a firmware without scoring.
pub const HELD_OUT: &[Shape] = {
    const fn shape(family: Family, layers: usize, hidden: usize, hidden_layers: usize, bins: usize) -> Shape {
        Shape { family, features: 7, layers, hidden, hidden_layers, bins }
    }
    &[
        shape(Family::Nice, 3, 24, 1, 8),
        shape(Family::Realnvp, 5, 24, 2, 8),
        shape(Family::Maf, 3, 24, 2, 8),
        shape(Family::Planar, 10, 32, 1, 8),
        shape(Family::Sylvester, 5, 32, 1, 8),
        shape(Family::Spline, 3, 24, 2, 6),
        shape(Family::MafSpline, 2, 24, 1, 8),
    ]
};

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { features, .. } = self;
        write!(f, "{features} features, {}", name(&self.of_family()))
    }
}

impl Shape {
    /// The architecture, its nets in int8.
    ///
    /// # Panics
    /// If there are more features than a model can have.
    pub fn architecture(self) -> Architecture {
        let options = Options { architecture: self.of_family(), ..Options::for_features(self.features) };
        planned(self.features, 0, &options)
    }

    fn of_family(self) -> train::Architecture {
        let Self { family, features, layers, hidden, hidden_layers, bins } = self;
        train::Architecture { layers, hidden, hidden_layers, bins, ..train::Architecture::of(family, features) }
    }

    /// A model of this shape with random values.
    ///
    /// # Errors
    /// If no values are found that a device accepts.
    pub fn model(self) -> Result<Model> {
        random(&self.architecture().to_core(), Style::Usual).with_context(|| format!("{self:?}"))
    }
}

/// A model of this type with random values.
///
/// # Errors
/// If no values are found that a device accepts.
pub fn random(architecture: &model_file::Architecture, style: Style) -> Result<Model> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // Permutations with which some features never interact are refused: draw others.
    let mut bodies = iter::repeat_with(|| body(architecture, style, &mut rng)).take(10_000);
    let accepted = |body: &Vec<u8>| architecture.check_body::<{ model_file::MOST_FEATURES }>(body).is_ok();
    let body = bodies.find(accepted).context("no permutations let all features interact")?;
    Ok(host_model(architecture, &body))
}

/// Firmware with this model, or the same without scoring; files go to `folder`.
///
/// # Errors
/// If it does not build.
pub fn firmware(board: Board, model: &Model, baseline: bool, folder: &Path) -> Result<Image> {
    let source = folder.join("counted.rs");
    fs::write(&source, rust_source(model, "counted.flow"))?;
    fs::write(source.with_extension("flow"), model.to_bytes())?;
    build(&Build { board, baseline, model: Some(source), ..Build::default() })
}

/// What a score costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean over the readings.
    pub instructions: f64,
    /// The most.
    pub instructions_max: u64,
    /// Mean over the readings, by the emulator's model.
    pub modelled_cycles: f64,
    /// Flash for code and constants beside the model: what the firmware has more than the baseline.
    pub code_bytes: i64,
    /// Flash for the model.
    pub model_bytes: usize,
    /// The deepest stack.
    pub stack_bytes: u32,
    /// RAM for variables.
    pub static_bytes: i64,
}

/// Counts scores of so many readings, p-value included, and compares each answer with the host's.
///
/// # Errors
/// If an answer differs from the host's, the stack is deeper than the model's type says, or the emulator fails.
pub fn score(model: &Model, firmware: &Image, baseline: &Image, points: usize) -> Result<Score> {
    let (board, core) = (firmware.board(), model.core());
    let size = firmware.sections()?.over(&baseline.sections()?, core.size())?;
    // Readings around what the model was fitted on: a standardization comes first.
    let features = core.features;
    let stored: Vec<f32> = model.body().chunks_exact(4).take(2 * features).map(float).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let readings: Vec<Vec<f32>> = (0..points)
        .map(|n| {
            let point = ordinary_point(features, n, &mut rng);
            let (mean, scales) = stored.split_at(features);
            point.iter().zip(mean).zip(scales).map(|((z, mean), inverse)| z / inverse + mean).collect()
        })
        .collect();
    let mut conversation = Conversation::new(readings.clone(), 1);
    let counted = emulator::Options { count: Some("flowlet_score".to_owned()), ..emulator::Options::default() };
    let outcome = run(Backend::Rsemu, firmware, &mut conversation, &counted)?.check()?;
    let answers = conversation.finish()?;
    let scorer = model.scorer();
    for (reading, answer) in readings.iter().zip(&answers.readings) {
        let expected = scorer.assess(reading, &[])?;
        let Response::Assessment { log_prob, p_value, .. } = *answer else { bail!("{board}: {answer:?}") };
        let same = (log_prob.to_bits(), p_value.to_bits()) == (expected.log_prob.to_bits(), expected.p_value.to_bits());
        ensure!(same, "{board} differs from the host of {reading:?}");
    }
    ensure!(answers.readings.len() == points, "{board} answered {} readings of {points}", answers.readings.len());
    let mean = Mean::of(&outcome.calls);
    let ram = core.ram();
    ensure!(mean.stack as usize <= ram, "{board} takes {} bytes of stack, the type says {ram}", mean.stack);
    Ok(Score {
        instructions: mean.instructions,
        instructions_max: mean.most,
        modelled_cycles: mean.cycles,
        code_bytes: size.code_bytes,
        model_bytes: core.size(),
        stack_bytes: mean.stack,
        static_bytes: size.static_ram_bytes,
    })
}

fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("chunks of four"))
}

/// What calls cost.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    /// Mean over the calls.
    pub instructions: f64,
    /// The most.
    pub most: u64,
    /// Mean over the calls.
    pub cycles: f64,
    /// The deepest.
    pub stack: u32,
}

impl Mean {
    /// Over these calls.
    pub fn of(calls: &[Call]) -> Self {
        let mean = |of: fn(&Call) -> u64| calls.iter().map(of).sum::<u64>() as f64 / calls.len() as f64;
        Self {
            instructions: mean(|call| call.instructions),
            most: calls.iter().map(|call| call.instructions).max().unwrap_or(0),
            cycles: mean(|call| call.cycles),
            stack: calls.iter().map(|call| call.stack).max().unwrap_or(0),
        }
    }
}
