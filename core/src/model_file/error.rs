//! Why a model file is refused: one wording for the compiler, the host and logs.

use core::fmt;

use crate::text::Text;

/// Why a model file was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LoadError {
    /// Shorter than the prefix.
    TooShort {
        /// Bytes of the prefix.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Not a model file.
    Magic {
        /// [`MAGIC`](super::MAGIC).
        expected: [u8; 8],
        /// The first bytes.
        found: [u8; 8],
    },
    /// Of a version that this crate does not read.
    Version {
        /// [`VERSION`](super::VERSION).
        expected: u32,
        /// The file's.
        found: u32,
    },
    /// Cut off, or something was appended.
    Length {
        /// What the prefix says.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// Another architecture.
    Fingerprint {
        /// The type's.
        expected: u64,
        /// The file's.
        found: u64,
    },
    /// The fingerprint fits but the body does not.
    BodyLength {
        /// The type's size.
        expected: usize,
        /// The file's.
        found: usize,
    },
    /// Damaged.
    Crc {
        /// What the prefix says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// Not where the processor can read it in place.
    Misaligned {
        /// Alignment of the type, in bytes.
        required: usize,
    },
    /// A stored value that the layer does not allow, in an otherwise intact file.
    Field {
        /// Name of the field.
        name: &'static str,
        /// Offset of the field in the body.
        offset: usize,
    },
    /// No layer transforms a feature, with the permutations that the file holds.
    NeverTransformed {
        /// Its index.
        feature: usize,
    },
    /// No base coordinate depends on both features, with the permutations that the file holds.
    NeverInteract {
        /// Index of one.
        first: usize,
        /// Index of the other.
        second: usize,
    },
}

impl LoadError {
    /// Writes the message; one wording for the compiler, the host and logs.
    pub const fn describe(&self, text: &mut Text<'_>) {
        match *self {
            Self::TooShort { expected, found } => {
                text.word("the model file has ");
                text.number(found as u64);
                text.word(" bytes, its prefix alone takes ");
                text.number(expected as u64);
                text.word(": it is cut off");
            }
            Self::Magic { expected, found } => {
                text.word("this is no model file: it starts with 0x");
                text.hex(u64::from_be_bytes(found), 16);
                text.word(" instead of 0x");
                text.hex(u64::from_be_bytes(expected), 16);
            }
            Self::Version { expected, found } => {
                text.word("the model file has format version ");
                text.number(found as u64);
                text.word(", this build reads version ");
                text.number(expected as u64);
                text.word(": fit the model again, or use the other version of flowlet");
            }
            Self::Length { expected, found } => {
                text.word("the model file should have ");
                text.number(expected as u64);
                text.word(" bytes and has ");
                text.number(found as u64);
                text.word(": it is cut off, or something was appended");
            }
            Self::Fingerprint { expected, found } => {
                text.word("the model file is of another type: fingerprint 0x");
                text.hex(found, 16);
                text.word(", the type in the program has 0x");
                text.hex(expected, 16);
                text.word(": use the .rs file that was written with it");
            }
            Self::BodyLength { expected, found } => {
                text.word("the body of the model file should have ");
                text.number(expected as u64);
                text.word(" bytes and has ");
                text.number(found as u64);
            }
            Self::Crc { expected, found } => {
                text.word("the model file is damaged: its CRC-32 should be 0x");
                text.hex(expected as u64, 8);
                text.word(" and is 0x");
                text.hex(found as u64, 8);
            }
            Self::Misaligned { required } => {
                text.word("the model file does not lie on a multiple of ");
                text.number(required as u64);
                text.word(" bytes, so it cannot be used in place");
            }
            Self::Field { name, offset } => {
                text.word("field `");
                text.word(name);
                text.word("` at byte ");
                text.number(offset as u64);
                text.word(" of the model's body holds a value that its layer does not allow");
            }
            Self::NeverTransformed { feature } => {
                text.word("feature ");
                text.number(feature as u64);
                text.word(" is never transformed by any layer: add a layer, or permute between couplings");
            }
            Self::NeverInteract { first, second } => {
                text.word("features ");
                text.number(first as u64);
                text.word(" and ");
                text.number(second as u64);
                text.word(
                    " never interact: no base coordinate depends on both: add a layer, or permute between couplings",
                );
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        self.describe(&mut text);
        f.write_str(text.as_str())
    }
}

impl core::error::Error for LoadError {}

/// Stops the build, or, outside of const evaluation, the program.
pub(crate) const fn stop(error: &LoadError) -> ! {
    let mut buffer = [0; 256];
    let mut text = Text::new(&mut buffer);
    text.word("flowlet: ");
    error.describe(&mut text);
    panic!("{}", text.as_str())
}
