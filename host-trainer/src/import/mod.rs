#![doc = include_str!("README.md")]

mod error;
mod nets;
mod nflows;
mod normflows;
mod sidecar;
mod steps;
mod weights;
mod zuko;

pub use error::ImportError;

use flowlet::model_file::MOST_FEATURES;

use self::nets::Mlp;
use self::sidecar::Sidecar;
use self::steps::Steps;
use self::weights::Weights;
use crate::base::{Base, StandardNormal};
use crate::calibrate::KNOTS;
use crate::data::Matrix;
use crate::export::write_calibration;
use crate::image::Image;
use crate::layers::{Layer, compose};
use crate::model::architecture::{Architecture, Arithmetic, Calibration, Elementary};
use crate::model::{Feature, Metadata, Model, Training};
use crate::recalibrate::recalibrate;

/// A flow as a library describes it: the steps from a reading to a standard normal base.
struct Imported {
    steps: Steps,
    /// Values of context, once a net has told.
    context: Option<usize>,
}

impl Imported {
    /// What a net that sees so many features sees besides: as many values of context as those before it.
    fn context(&mut self, net: &Mlp, features: usize) -> Result<usize, ImportError> {
        let found = net.inputs().checked_sub(features);
        match found {
            Some(found) if self.context.is_none_or(|context| context == found) => {
                self.context = Some(found);
                Ok(found)
            }
            _ => {
                let context = self.context.unwrap_or(0);
                let problem = format!(
                    "has {} inputs, expected {features} features and {context} values of context",
                    net.inputs()
                );
                Err(ImportError::contradiction(&net.key, problem))
            }
        }
    }
}

/// A flow of another library as layers of ours, not calibrated yet.
#[derive(Clone, Debug)]
pub struct Import {
    features: usize,
    context: usize,
    names: Vec<String>,
    layers: Layer,
    image: Image,
}

impl Import {
    /// Reads a state dictionary, a safetensors file, and the JSON beside it.
    ///
    /// # Errors
    /// [`ImportError`]: for whatever cannot be read, is missing, is contradictory, or is none of what the module's
    /// documentation lists.
    pub fn new(weights: &[u8], sidecar: &[u8]) -> Result<Self, ImportError> {
        let (weights, sidecar) = (Weights::parse(weights)?, Sidecar::parse(sidecar)?);
        let library = sidecar.word("lib", "the library and its version, such as `zuko 1.6.0`")?;
        let imported = match library.split_whitespace().next().unwrap_or_default() {
            "zuko" => zuko::import(&weights, &sidecar),
            "nflows" => nflows::import(&weights, &sidecar),
            "normflows" => normflows::import(&weights, &sidecar),
            _ => Err(ImportError::unsupported(
                format!("the library `{library}`"),
                "`zuko`, `nflows` and `normflows` can",
            )),
        }?;
        weights.check_all_read()?;
        let (features, context) = (imported.steps.features, imported.context.unwrap_or(0));
        if features > MOST_FEATURES {
            let reason = format!("a model has at most {MOST_FEATURES}");
            return Err(ImportError::unsupported(format!("a flow of {features} features"), reason));
        }
        let names = names(&sidecar, "features", features, 'x')?;
        let names = names.into_iter().chain(self::names(&sidecar, "context", context, 'c')?).collect();
        let (layers, images): (Vec<Layer>, Vec<Vec<u8>>) = imported.steps.pieces().into_iter().unzip();
        if layers.is_empty() {
            return Err(ImportError::unsupported("a flow without layers", "it is its base"));
        }
        Ok(Self { features, context, names, layers: compose(layers), image: Image(images.concat()) })
    }

    /// The names of the features, and behind them those of the context values.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many of the names are those of features.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The model without a calibration: it scores, and raises no alarm.
    ///
    /// # Errors
    /// For values that the device refuses.
    pub fn model(&self) -> Result<Model, ImportError> {
        let base = StandardNormal { features: self.features, elementary: Elementary::Libm };
        let architecture = Architecture {
            features: self.features,
            context: self.context,
            layers: self.layers.clone(),
            base: Base::from(base),
            calibration: Calibration { knots: KNOTS },
            monitor: None,
            arithmetic: Arithmetic::F32SeparateMultiplyAdd,
        };
        let mut image = self.image.clone();
        write_calibration(None, &mut image);
        let feature = |name: &String| Feature { name: name.clone(), unit: String::new() };
        let features = self.names.iter().map(feature).collect();
        let metadata = Metadata { architecture: String::new(), features, training: Training::default() };
        Ok(Model::new(architecture, &image.0, metadata)?)
    }

    /// The model, calibrated by its scores of normal readings, each followed by its context.
    ///
    /// # Errors
    /// As [`Import::model`], for readings without a score, and for fewer than the rate takes.
    pub fn calibrated(&self, readings: &Matrix, false_alarm_rate: f32) -> Result<Model, ImportError> {
        Ok(recalibrate(&self.model()?, readings, false_alarm_rate)?)
    }
}

/// Names of columns: the sidecar's, or the letter and numbers from 0.
fn names(sidecar: &Sidecar, field: &str, count: usize, letter: char) -> Result<Vec<String>, ImportError> {
    match sidecar.names(field)? {
        Some(names) if names.len() != count => Err(sidecar.wrong(field, format!("{count} names"))),
        Some(names) => Ok(names),
        None => Ok((0..count).map(|index| format!("{letter}{index}")).collect()),
    }
}
