//! Reading and writing model files. The format's document is `core/FORMAT.md`.

use flowlet::model_file::{self, LoadError, MAGIC, MOST_FEATURES, PREFIX, Prefix, VERSION};
use flowlet::monitor::SettingsView;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Serialize, Serializer};
use zerocopy::IntoBytes;

use super::architecture::{Calibration, Monitor};
use super::{Architecture, Scorer};
use crate::calibrate::{Calibrated, KNOTS};
use crate::export::{write_calibration, write_settings};
use crate::image::Image;

/// Why a model file cannot be used on the host.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Refused, as the device refuses it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The metadata are no postcard message.
    #[error("the metadata of the model file cannot be read ({0}): it was written by another version of flowlet")]
    Metadata(postcard::Error),
    /// The description is no architecture.
    #[error("the architecture in the model file cannot be read ({0}): it was written by another version of flowlet")]
    Architecture(String),
    /// The metadata do not belong to the body.
    #[error("the model file names {found} features and context values, its architecture has {expected}")]
    Features {
        /// Features and context values of the architecture.
        expected: usize,
        /// Names.
        found: usize,
    },
}

/// What a model file says beside the model, for host tools.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The canonical description, whose hash is the fingerprint.
    pub architecture: String,
    /// The features, in the order of the model's inputs, and behind them the context values in theirs.
    pub features: Vec<Feature>,
    /// How it was fitted.
    pub training: Training,
}

/// A feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// The name of its column.
    pub name: String,
    /// Its unit; empty when it is not known.
    pub unit: String,
}

/// Summary of a fit. No date, duration, path or host name: the same seed gives the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The seed of the fit.
    pub seed: u64,
    /// Rows that the parameters were fitted on.
    pub training_rows: u32,
    /// Rows that chose when to stop.
    pub selection_rows: u32,
    /// Rows that calibrated the scores.
    pub calibration_rows: u32,
    /// Epochs until the best parameters.
    pub epochs: u32,
    /// Mean log-density of the calibration rows, nats, raw units.
    pub calibration_log_prob: f32,
}

/// The image of a model, 4-aligned as the kernels read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body(Vec<u32>);

impl Body {
    /// A copy of `bytes`, whose number is a multiple of four for every image.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_ne_bytes(word)
        };
        Self(bytes.chunks(4).map(word).collect())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A model: its architecture, the image of its values, and what is known about it.
#[derive(Clone, Debug)]
pub struct Model {
    architecture: Architecture,
    core: std::sync::Arc<model_file::Architecture>,
    body: Body,
    metadata: Metadata,
}

/// The whole file, as postcard writes it.
#[derive(Serialize)]
struct File<'a> {
    prefix: Prefix,
    #[serde(serialize_with = "raw")]
    body: &'a [u8],
    metadata: &'a Metadata,
}

/// Bytes as an array: postcard writes no length before it, since the prefix has it.
fn raw<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(bytes.len())?;
    for byte in bytes {
        tuple.serialize_element(byte)?;
    }
    tuple.end()
}

impl Model {
    /// A model from its parts. `metadata.architecture` is filled in.
    ///
    /// # Errors
    /// When `body` is not an image of `architecture` that the device would accept, or the features are not as many.
    pub fn new(architecture: Architecture, body: &[u8], mut metadata: Metadata) -> Result<Self, ModelError> {
        metadata.architecture = architecture.describe();
        let core = architecture.to_core();
        if core.size() != body.len() {
            return Err(LoadError::BodyLength { expected: core.size(), found: body.len() }.into());
        }
        core.check_body::<MOST_FEATURES>(body)?;
        if metadata.features.len() != architecture.features + architecture.context {
            let (expected, found) = (architecture.features + architecture.context, metadata.features.len());
            return Err(ModelError::Features { expected, found });
        }
        Ok(Self { architecture, core: core.into(), body: Body::new(body), metadata })
    }

    /// The same layers and base with another calibration, and what is then known about the fit.
    ///
    /// # Errors
    /// [`ModelError`] when the calibration is not one that the device would accept.
    pub fn with_calibration(&self, calibrated: &Calibrated, training: Training) -> Result<Self, ModelError> {
        let architecture = Architecture { calibration: Calibration { knots: KNOTS }, ..self.architecture.clone() };
        let monitor = self.body().len() - self.core.monitor.size();
        let before = monitor - self.core.calibration.size();
        let mut image = Image(self.body()[..before].to_vec());
        write_calibration(Some(calibrated), &mut image);
        image.0.extend(&self.body()[monitor..]);
        Self::new(architecture, &image.0, Metadata { training, ..self.metadata.clone() })
    }

    /// The same with the settings of a monitor, instead of those that it had if it did.
    ///
    /// # Errors
    /// [`ModelError`] when the settings are not ones that the device would accept.
    pub fn with_monitor(&self, monitor: Monitor, settings: &SettingsView<'_>) -> Result<Self, ModelError> {
        let architecture = Architecture { monitor: Some(monitor), ..self.architecture.clone() };
        let before = self.body().len() - self.core.monitor.size();
        let mut image = Image(self.body()[..before].to_vec());
        write_settings(settings, &mut image);
        Self::new(architecture, &image.0, self.metadata.clone())
    }

    /// The model in the bytes of a file.
    ///
    /// # Errors
    /// [`ModelError`], by the same rules as on the device, and for metadata that do not fit.
    pub fn from_bytes(file: &[u8]) -> Result<Self, ModelError> {
        let Some((prefix, rest)) = Prefix::split_from(file) else {
            return Err(LoadError::TooShort { expected: PREFIX, found: file.len() }.into());
        };
        // The architecture is in the metadata, so the integrity of the whole comes first.
        let length = model_file::length(file)?;
        if length != file.len() {
            return Err(LoadError::Length { expected: length, found: file.len() }.into());
        }
        let (expected, found) = (u32::from_le_bytes(prefix.crc), model_file::checksum(&prefix, rest));
        if expected != found {
            return Err(LoadError::Crc { expected, found }.into());
        }
        let body_length = u32::from_le_bytes(prefix.body_length) as usize;
        let Some((body, metadata)) = rest.split_at_checked(body_length) else {
            return Err(LoadError::BodyLength { expected: rest.len(), found: body_length }.into());
        };
        let metadata: Metadata = postcard::from_bytes(metadata).map_err(ModelError::Metadata)?;
        let architecture = Architecture::parse(&metadata.architecture).map_err(ModelError::Architecture)?;
        if !architecture.is_consistent() {
            return Err(ModelError::Architecture("its shapes do not fit together".to_owned()));
        }
        architecture.to_core().check::<MOST_FEATURES>(file)?;
        Self::new(architecture, body, metadata)
    }

    /// The bytes of its file: the same for the same model.
    ///
    /// # Panics
    /// Never: these types always serialize.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut prefix = Prefix {
            magic: MAGIC,
            version: VERSION.to_le_bytes(),
            length: [0; 4],
            fingerprint: self.core.fingerprint().to_le_bytes(),
            body_length: (self.body.as_bytes().len() as u32).to_le_bytes(),
            crc: [0; 4],
        };
        let write = |prefix| {
            let file = File { prefix, body: self.body.as_bytes(), metadata: &self.metadata };
            postcard::to_allocvec(&file).expect("a model is a postcard message")
        };
        let draft = write(prefix);
        prefix.length = (draft.len() as u32).to_le_bytes();
        prefix.crc = model_file::checksum(&prefix, &draft[PREFIX..]).to_le_bytes();
        write(prefix)
    }

    /// Its type, as a value.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its type, as the core sees it: sizes, cost, fingerprint.
    #[must_use]
    pub fn core(&self) -> &model_file::Architecture {
        &self.core
    }

    /// What is known about it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The image of its values: what lies in flash.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_bytes()
    }

    /// Its mathematics, by the device's kernels.
    ///
    /// # Panics
    /// Never: [`Model::new`] has checked that the body fits the architecture.
    #[must_use]
    pub fn scorer(&self) -> Scorer<'_> {
        Scorer::new(&self.architecture, self.body.as_bytes()).expect("the body fits the architecture")
    }
}
