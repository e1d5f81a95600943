//! Model files from bodies.

use flowlet::model_file::{self, PREFIX, Prefix};
use flowlet::text::Text;
use flowlet_trainer::model::{Architecture, Feature, Metadata, Model, Training};

/// Bytes at a multiple of four, as a model lies in flash.
#[derive(Clone, Debug)]
pub struct Aligned {
    words: Vec<u32>,
    length: usize,
}

impl Aligned {
    /// A copy.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u32; bytes.len().div_ceil(4)];
        zerocopy::IntoBytes::as_mut_bytes(&mut words[..])[..bytes.len()].copy_from_slice(bytes);
        Self { words, length: bytes.len() }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &zerocopy::IntoBytes::as_bytes(&self.words[..])[..self.length]
    }

    /// The bytes, for change in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut zerocopy::IntoBytes::as_mut_bytes(&mut self.words[..])[..self.length]
    }
}

/// The host's model with this body.
///
/// # Panics
/// If the host does not read the architecture as the core describes it, or refuses the body.
#[must_use]
pub fn host_model(architecture: &model_file::Architecture, body: &[u8]) -> Model {
    let mut buffer = [0; 4096];
    let mut text = Text::new(&mut buffer);
    architecture.describe(&mut text);
    let read = Architecture::parse(text.as_str()).expect("the description is RON");
    let feature = |index| Feature { name: format!("feature {index}"), unit: String::new() };
    let metadata = Metadata {
        architecture: String::new(),
        features: (0..architecture.features + architecture.context).map(feature).collect(),
        training: Training::default(),
    };
    Model::new(read, body, metadata).expect("the body keeps the rules")
}

/// The file with the checksum that its other bytes have.
///
/// # Panics
/// If it is shorter than a prefix.
pub fn with_checksum(file: &mut [u8]) {
    let (prefix, rest) = Prefix::split_from(file).expect("a prefix");
    let checksum = model_file::checksum(&prefix, rest);
    file[PREFIX - 4..PREFIX].copy_from_slice(&checksum.to_le_bytes());
}
