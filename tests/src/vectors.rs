//! Golden files: model files and what they say of readings, pinned byte for byte and bit for bit.
//!
//! `tests/vectors/NAME.flow` is a model file, and `NAME.json` lists readings with the bits that every implementation of
//! the format gives for them. Floating-point numbers are written as their IEEE 754 bits, in hexadecimal, so that any
//! language reads them without rounding.

use std::fs;
use std::path::{Path, PathBuf};

use flowlet::base::BaseRecord;
use flowlet::model_file::Architecture;
use flowlet::{
    AffineCoupling, Assessment, Base, Chain, Cube, Detector, Float, Flow, Forward, Int8, Inverse, Layer, Micromath,
    Permute, ReadingError, Reverse, StandardNormal, Standardize, Turned,
};
use flowlet_trainer::model::{Model, Scorer};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::models::{Style, body, host_model};
use crate::words::Words;

/// A cube: the smallest of all models.
pub type Line = Detector<Flow<1, Chain<Standardize<1>, Cube>>, 2>;
/// int8 couplings.
pub type Quantized =
    Detector<Flow<3, Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Int8<1, 2, 1, 1>>>; 4]>>, 4>;
/// The same with f32.
pub type Unquantized =
    Detector<Flow<3, Chain<Standardize<3>, [Chain<Permute<3>, AffineCoupling<1, 2, Float<1, 1, 1, 1>>>; 4]>>, 4>;
/// With context, turned, and the coarse elementary functions.
pub type Conditioned = Detector<
    Flow<2, [Chain<Turned<AffineCoupling<1, 1, Int8<1, 1, 0, 1>, Micromath>>, Reverse>; 2], StandardNormal<2>, 2>,
    3,
>;

/// What a model says of readings. Numbers are the bits of f32, as `0x` and eight digits.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Vectors {
    /// The canonical description.
    pub architecture: String,
    /// Its hash, 64 bits.
    pub fingerprint: String,
    /// Readings, ordinary and not.
    pub readings: Vec<Reading>,
    /// Samples.
    pub samples: Vec<Sample>,
}

/// A reading, and its assessment or why it has none.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    x: Vec<String>,
    context: Vec<String>,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Assessment { log_prob: String, p_value: String, alarm: bool, latent: Vec<String> },
    Error(String),
}

/// A sample drawn with these words from the random generator.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    words: Vec<u32>,
    context: Vec<String>,
    x: Vec<String>,
}

fn hex(value: f32) -> String {
    format!("0x{:08x}", value.to_bits())
}

fn hexes(values: &[f32]) -> Vec<String> {
    values.iter().map(|value| hex(*value)).collect()
}

fn values(hexes: &[String]) -> Vec<f32> {
    hexes.iter().map(|hex| f32::from_bits(u32::from_str_radix(&hex[2..], 16).expect("eight digits"))).collect()
}

/// What gives the vectors: a typed model, or the host's.
pub trait Implementation {
    /// A reading's assessment and base coordinates.
    ///
    /// # Errors
    /// Why it has none.
    fn assess(&self, x: &[f32], context: &[f32]) -> Result<(Assessment, Vec<f32>), ReadingError>;

    /// A sample drawn with these words.
    fn sample(&self, words: &[u32], context: &[f32]) -> Vec<f32>;
}

impl Implementation for Scorer<'_> {
    fn assess(&self, x: &[f32], context: &[f32]) -> Result<(Assessment, Vec<f32>), ReadingError> {
        Ok((Scorer::assess(self, x, context)?, self.latent(x, context)?))
    }

    fn sample(&self, words: &[u32], context: &[f32]) -> Vec<f32> {
        Scorer::sample(self, &mut Words::new(words), context)
    }
}

impl<const D: usize, L, B, const C: usize, const N: usize> Implementation for Detector<Flow<D, L, B, C>, N>
where
    L: Layer + Inverse<D, C> + Forward<D, C>,
    B: Base<D> + BaseRecord,
{
    fn assess(&self, x: &[f32], context: &[f32]) -> Result<(Assessment, Vec<f32>), ReadingError> {
        let assessment = self.assess_slice(x, context)?;
        let (x, context) = (x.try_into().expect("D values"), context.try_into().expect("C values"));
        Ok((assessment, self.flow.latent(x, context)?.to_vec()))
    }

    fn sample(&self, words: &[u32], context: &[f32]) -> Vec<f32> {
        self.flow.sample(&mut Words::new(words), context.try_into().expect("C values")).to_vec()
    }
}

impl Reading {
    fn by(model: &impl Implementation, x: &[f32], context: &[f32]) -> Self {
        let outcome = match model.assess(x, context) {
            Ok((Assessment { log_prob, p_value, alarm }, latent)) => {
                Outcome::Assessment { log_prob: hex(log_prob), p_value: hex(p_value), alarm, latent: hexes(&latent) }
            }
            Err(error) => Outcome::Error(error.to_string()),
        };
        Self { x: hexes(x), context: hexes(context), outcome }
    }
}

impl Sample {
    fn by(model: &impl Implementation, words: Vec<u32>, context: &[f32]) -> Self {
        let x = model.sample(&words, context);
        Self { words, context: hexes(context), x: hexes(&x) }
    }
}

impl Vectors {
    /// Whether a model gives all as pinned.
    ///
    /// # Panics
    /// If a bit differs.
    pub fn check(&self, model: &impl Implementation) {
        assert!(self.readings.len() > 20 && self.samples.len() > 5);
        for expected in &self.readings {
            assert_eq!(Reading::by(model, &values(&expected.x), &values(&expected.context)), *expected);
        }
        for expected in &self.samples {
            assert_eq!(Sample::by(model, expected.words.clone(), &values(&expected.context)), *expected);
        }
    }
}

/// Where the files are.
#[must_use]
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// A committed model with its vectors.
///
/// # Panics
/// If they cannot be read.
#[must_use]
pub fn read(name: &str) -> (Model, Vectors) {
    let read = |extension: &str| fs::read(directory().join(name).with_extension(extension)).expect("a committed file");
    let file = read("flow");
    let model = Model::from_bytes(&file).expect("a model file");
    assert_eq!(model.to_bytes(), file, "{name}: written as it was read");
    (model, serde_json::from_slice(&read("json")).expect("vectors"))
}

/// Writes the golden files anew: only for a new version of the format.
///
/// # Panics
/// If they cannot be written.
pub fn write() {
    write_vectors("line", &Line::ARCHITECTURE, 1);
    write_vectors("quantized", &Quantized::ARCHITECTURE, 2);
    write_vectors("unquantized", &Unquantized::ARCHITECTURE, 3);
    write_vectors("conditioned", &Conditioned::ARCHITECTURE, 4);
}

fn write_vectors(name: &str, architecture: &'static Architecture, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let body = std::iter::repeat_with(|| body(architecture, Style::Fitted, &mut rng))
        .find(|body| architecture.check_body::<8>(body).is_ok())
        .expect("an acceptable body");
    let model = host_model(architecture, &body);
    let (features, context) = (architecture.features, architecture.context);
    let mut values = |count: usize, scale: f32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-3.0..3.0_f32) * scale).collect()
    };
    let scales = [0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 10.0, 10.0, 1e3, 1e6, 1e30, 1e38, 1e-30, 1e-40];
    let mut readings: Vec<_> = scales.map(|scale| (values(features, scale), values(context, 1.0))).into();
    readings.extend(
        [f32::MAX, f32::MIN, f32::INFINITY, f32::NAN, -0.0, 1.0].map(|x| (vec![x; features], vec![0.5; context])),
    );
    // The cube's singularity is at the mean.
    readings.push((
        body[..4 * features].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        vec![0.0; context],
    ));
    let words = [vec![0; features], vec![u32::MAX; features]].into_iter();
    let words =
        words
            .chain((0..8).map(|_| {
                values(features, 1.0).iter().map(|value| value.to_bits().wrapping_mul(0x9E37_79B9)).collect()
            }));
    let words: Vec<Vec<u32>> = words.collect();
    let scorer = model.scorer();
    let vectors = Vectors {
        architecture: model.architecture().describe(),
        fingerprint: format!("0x{:016x}", architecture.fingerprint()),
        readings: readings.iter().map(|(x, context)| Reading::by(&scorer, x, context)).collect(),
        samples: words.into_iter().map(|words| Sample::by(&scorer, words, &vec![0.25; context])).collect(),
    };
    fs::create_dir_all(directory()).expect("a directory");
    let path = |extension: &str| directory().join(name).with_extension(extension);
    fs::write(path("flow"), model.to_bytes()).expect("written");
    fs::write(path("json"), serde_json::to_string_pretty(&vectors).expect("json") + "\n").expect("written");
}
