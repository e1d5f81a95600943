//! The peers' programs, and what they cost.

use anyhow::{Context, Result, ensure};
use flowlet_tests::emulator::{Backend, Call, Image, Options, Script, run};
use serde::Serialize;

use super::flow::{Fits, Shape};
use super::models::Reference;
use super::rig::{Auroc, Rig};

/// Numbers in a reading, and in an answer.
const FEATURES: usize = 8;

/// A program of `tests/peers/firmware`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Program {
    Empty,
    Microflow,
    EmbeddedNn,
    EmlearnAutoencoder,
    EmlearnEnvelope,
    EmlearnMixture,
    Flow,
}

/// How programs are optimized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Profile {
    Fast,
    Small,
}

/// What a detector costs, and how well it tells faults.
#[derive(Serialize)]
pub struct Figure {
    pub program: Program,
    /// Of a flow.
    pub shape: Option<Shape>,
    pub profile: Profile,
    /// By the device's answers to all test readings.
    pub auroc: Auroc,
    /// The median over the readings of the largest difference from the reference: a quantized net saturates where
    /// readings are far off, and says nothing there of whether it was read rightly.
    pub difference: f32,
    /// Code, constants and weights, and what variables start as.
    pub flash_bytes: i64,
    pub static_bytes: i64,
    pub stack_bytes: u32,
    /// Mean over the readings.
    pub instructions: f64,
    pub instructions_max: u64,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::Fast, Self::Small];

    /// Of cargo, in the programs' manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "release",
            Self::Small => "small",
        }
    }

    /// Of rustc, and of the C compiler behind an `-O`.
    pub fn opt_level(self) -> &'static str {
        match self {
            Self::Fast => "3",
            Self::Small => "s",
        }
    }
}

impl Program {
    /// Those of other libraries.
    pub const PEERS: [Self; 5] =
        [Self::Microflow, Self::EmbeddedNn, Self::EmlearnAutoencoder, Self::EmlearnEnvelope, Self::EmlearnMixture];

    /// Of its binary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Microflow => "microflow",
            Self::EmbeddedNn => "embedded_nn",
            Self::EmlearnAutoencoder => "emlearn_autoencoder",
            Self::EmlearnEnvelope => "emlearn_envelope",
            Self::EmlearnMixture => "emlearn_mixture",
            Self::Flow => "flow",
        }
    }

    /// Runs all test readings through a program on an emulated Cortex-M4F.
    pub fn measure(
        self,
        profile: Profile,
        image: &Image,
        empty: &Image,
        reference: &Reference,
        rig: &Rig,
        flow: &Fits,
    ) -> Result<Figure> {
        let raw: Vec<Vec<f32>>;
        let readings = if self == Self::Flow {
            raw = rig.readings.iter_rows().map(<[f32]>::to_vec).collect();
            &raw
        } else {
            &reference.readings
        };
        let (answers, calls) = evaluate(image, readings)?;
        let (flash_bytes, static_bytes) = size(image, empty)?;
        Ok(Figure {
            program: self,
            shape: (self == Self::Flow).then_some(flow.shape),
            profile,
            auroc: rig.auroc(&self.scores(readings, &answers))?,
            difference: self.difference(&answers, reference, flow)?,
            flash_bytes,
            static_bytes,
            stack_bytes: calls.iter().map(|call| call.stack).max().unwrap_or(0),
            instructions: calls.iter().map(|call| call.instructions as f64).sum::<f64>() / calls.len() as f64,
            instructions_max: calls.iter().map(|call| call.instructions).max().unwrap_or(0),
        })
    }

    fn reconstructs(self) -> bool {
        matches!(self, Self::Empty | Self::Microflow | Self::EmbeddedNn | Self::EmlearnAutoencoder)
    }

    /// Higher is more anomalous.
    fn scores(self, readings: &[Vec<f32>], answers: &[Vec<f32>]) -> Vec<f32> {
        let squared_error = |reading: &[f32], answer: &[f32]| {
            reading.iter().zip(answer).map(|(x, y)| (x - y) * (x - y)).sum::<f32>() / FEATURES as f32
        };
        let score = |(reading, answer): (&Vec<f32>, &Vec<f32>)| match self {
            Self::EmlearnEnvelope => answer[0],
            Self::EmlearnMixture | Self::Flow => -answer[0],
            _ => squared_error(reading, answer),
        };
        readings.iter().zip(answers).map(score).collect()
    }

    /// How far the answers are from what the host says. A flow's have the host's bits, or it is an error.
    fn difference(self, answers: &[Vec<f32>], reference: &Reference, flow: &Fits) -> Result<f32> {
        let expected = match self {
            Self::EmlearnEnvelope => &reference.envelope,
            Self::EmlearnMixture => &reference.mixture,
            Self::Flow => {
                let same = answers.iter().zip(&flow.answers).all(|(answer, host)| answer[..host.len()] == *host);
                ensure!(same, "the flow's answers differ from the host's");
                return Ok(0.0);
            }
            _ => &reference.autoencoder,
        };
        let of_reading = |(answer, expected): (&Vec<f32>, &Vec<f32>)| {
            // Scores span orders of magnitude, standardized readings do not.
            let unit = |expected: f32| if self.reconstructs() { 1.0 } else { expected.abs().max(1.0) };
            answer.iter().zip(expected).map(|(a, b)| (a - b).abs() / unit(*b)).fold(0.0, f32::max)
        };
        let mut differences: Vec<f32> = answers.iter().zip(expected).map(of_reading).collect();
        differences.sort_by(f32::total_cmp);
        differences.get(differences.len() / 2).copied().context("there are readings")
    }
}

/// The device's answer to each reading, and what each cost.
fn evaluate(image: &Image, readings: &[Vec<f32>]) -> Result<(Vec<Vec<f32>>, Vec<Call>)> {
    let end = [f32::NAN; FEATURES];
    let numbers = readings.iter().flatten().chain(&end);
    let mut script = Script::new(numbers.flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    let options = Options { count: Some("evaluate".to_owned()), ..Options::default() };
    let outcome = run(Backend::Rsemu, image, &mut script, &options)?.check()?;
    let (words, rest) = script.received().as_chunks::<4>();
    let numbers: Vec<f32> = words.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    let answers: Vec<Vec<f32>> = numbers.chunks(FEATURES).map(<[f32]>::to_vec).collect();
    ensure!(
        rest.is_empty() && answers.len() == readings.len() && outcome.calls.len() == readings.len(),
        "{} answers in {} calls to {} readings",
        answers.len(),
        outcome.calls.len(),
        readings.len()
    );
    ensure!(answers.iter().flatten().all(|number| number.is_finite()), "an answer is not a finite number");
    Ok((answers, outcome.calls))
}

/// Bytes of flash and of static RAM beyond those of the empty program.
pub fn size(image: &Image, empty: &Image) -> Result<(i64, i64)> {
    let (own, empty) = (image.sections()?, empty.sections()?);
    let flash = (own.text + own.rodata + own.data) as i64 - (empty.text + empty.rodata + empty.data) as i64;
    Ok((flash, (own.data + own.bss) as i64 - (empty.data + empty.bss) as i64))
}
