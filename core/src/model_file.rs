//! The model file: a checked prefix, the image of the model, and metadata for host tools. `core/FORMAT.md` is its
//! document.
//!
//! ```text
//! magic 8 | version 4 | length 4 | fingerprint 8 | body length 4 | CRC-32 4 | body | metadata
//! ```
//!
//! It is a postcard message, whose byte arrays postcard writes raw. The body is the little-endian image of a
//! [`Detector`](crate::Detector): at an offset of 32 bytes, so 4-aligned where the file is. The fingerprint is the hash of
//! the canonical description of the architecture ([`Architecture::describe`]), which the metadata repeat as text.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

use crate::interaction;
pub use crate::interaction::MOST_FEATURES;
use crate::schema::{Record, Schema};
use crate::text::Text;

/// The first eight bytes of a model file.
pub const MAGIC: [u8; 8] = *b"\x93flowlet";

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 1;

/// Bytes of the prefix, and the offset of the body.
pub const PREFIX: usize = 32;

/// Bit by bit: a table of 1 KiB would be paid in flash on every device, for a check at boot.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The CRC-32 (ISO-HDLC) over all bytes of a file but its own four.
#[must_use]
pub const fn checksum(prefix: &Prefix, rest: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&prefix.magic);
    digest.update(&prefix.version);
    digest.update(&prefix.length);
    digest.update(&prefix.fingerprint);
    digest.update(&prefix.body_length);
    digest.update(rest);
    digest.finalize()
}

/// The first 32 bytes of a model file. Numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: [u8; 4],
    /// Bytes of the whole file.
    pub length: [u8; 4],
    /// [`Architecture::fingerprint`].
    pub fingerprint: [u8; 8],
    /// Bytes of the body.
    pub body_length: [u8; 4],
    /// [`checksum`].
    pub crc: [u8; 4],
}

impl Prefix {
    /// The prefix of `file` and what follows it; `None` when the file is shorter.
    #[must_use]
    pub const fn split_from(file: &[u8]) -> Option<(Self, &[u8])> {
        let Some((magic, rest)) = file.split_first_chunk() else { return None };
        let Some((version, rest)) = rest.split_first_chunk() else { return None };
        let Some((length, rest)) = rest.split_first_chunk() else { return None };
        let Some((fingerprint, rest)) = rest.split_first_chunk() else { return None };
        let Some((body_length, rest)) = rest.split_first_chunk() else { return None };
        let Some((crc, rest)) = rest.split_first_chunk() else { return None };
        let prefix = Self {
            magic: *magic,
            version: *version,
            length: *length,
            fingerprint: *fingerprint,
            body_length: *body_length,
            crc: *crc,
        };
        Some((prefix, rest))
    }
}

/// The length of the model file at the start of a larger region, such as a flash partition.
///
/// # Errors
/// [`LoadError`] when no model file of this version starts there, or it is longer than the region.
pub fn length(region: &[u8]) -> Result<usize, LoadError> {
    let Some((prefix, _)) = Prefix::split_from(region) else {
        return Err(LoadError::TooShort { expected: PREFIX, found: region.len() });
    };
    check_start(&prefix)?;
    let length = u32::from_le_bytes(prefix.length) as usize;
    if length > region.len() {
        return Err(LoadError::Length { expected: length, found: region.len() });
    }
    Ok(length)
}

const fn check_start(prefix: &Prefix) -> Result<(), LoadError> {
    if u64::from_le_bytes(prefix.magic) != u64::from_le_bytes(MAGIC) {
        return Err(LoadError::Magic { expected: MAGIC, found: prefix.magic });
    }
    let version = u32::from_le_bytes(prefix.version);
    if version != VERSION {
        return Err(LoadError::Version { expected: VERSION, found: version });
    }
    Ok(())
}

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
        /// [`MAGIC`].
        expected: [u8; 8],
        /// The first bytes.
        found: [u8; 8],
    },
    /// Of a version that this crate does not read.
    Version {
        /// [`VERSION`].
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

/// Bytes that a score keeps on the stack beside the reading and the layers' scratch: saved registers, spilled values and
/// the elementary functions. Measured on an emulated Cortex-M4F and rounded up; the tests on the emulated device hold
/// the peak of the painted stack to [`Architecture::ram`].
pub const CALL_OVERHEAD: usize = 384;

/// All that a model's type says, as data.
#[derive(Debug)]
pub struct Architecture {
    /// D.
    pub features: usize,
    /// C.
    pub context: usize,
    /// The layers, data -> base.
    pub layers: &'static Schema,
    /// The base.
    pub base: &'static Record,
    /// The calibration.
    pub calibration: &'static Record,
}

impl Architecture {
    /// Writes the canonical description, a term that RON reads. Whatever changes a score's bits, or the meaning of the
    /// body's bytes, is in it.
    pub const fn describe(&self, text: &mut Text<'_>) {
        text.word("(features:");
        text.number(self.features as u64);
        text.word(",context:");
        text.number(self.context as u64);
        text.word(",layers:");
        self.layers.describe(text);
        text.word(",base:");
        self.base.describe(text);
        text.word(",calibration:");
        self.calibration.describe(text);
        text.word(",arithmetic:F32SeparateMultiplyAdd)");
    }

    /// The hash of the description: 64-bit FNV-1a.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        let mut text = Text::new(&mut []);
        self.describe(&mut text);
        text.hash()
    }

    /// Bytes of stack that one score takes: the reading's copies, the layers' scratch and [`CALL_OVERHEAD`].
    #[must_use]
    pub const fn ram(&self) -> usize {
        2 * size_of::<f32>() * self.features + self.layers.scratch() + CALL_OVERHEAD
    }

    /// Bytes of the body.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.layers.size() + self.base.size() + self.calibration.size()
    }

    /// The body of `file`, with everything checked: the prefix, the checksum, the fingerprint, the rules of all stored
    /// values, and the interaction of all features. `CAPACITY` is the number of features or more.
    ///
    /// # Errors
    /// [`LoadError`], for the first thing that does not fit.
    pub const fn check<'a, const CAPACITY: usize>(&self, file: &'a [u8]) -> Result<&'a [u8], LoadError> {
        let Some((prefix, rest)) = Prefix::split_from(file) else {
            return Err(LoadError::TooShort { expected: PREFIX, found: file.len() });
        };
        self.check_parts::<CAPACITY>(&prefix, rest)
    }

    /// As [`Architecture::check`], on the prefix and what follows it.
    pub(crate) const fn check_parts<'a, const CAPACITY: usize>(
        &self,
        prefix: &Prefix,
        rest: &'a [u8],
    ) -> Result<&'a [u8], LoadError> {
        if let Err(error) = check_start(prefix) {
            return Err(error);
        }
        let (expected, found) = (u32::from_le_bytes(prefix.length) as usize, PREFIX + rest.len());
        if expected != found {
            return Err(LoadError::Length { expected, found });
        }
        let (expected, found) = (self.fingerprint(), u64::from_le_bytes(prefix.fingerprint));
        if expected != found {
            return Err(LoadError::Fingerprint { expected, found });
        }
        let body_length = u32::from_le_bytes(prefix.body_length) as usize;
        let body = match rest.split_at_checked(body_length) {
            Some((body, _)) if body_length == self.size() => body,
            _ => return Err(LoadError::BodyLength { expected: self.size(), found: body_length }),
        };
        let (expected, found) = (u32::from_le_bytes(prefix.crc), checksum(prefix, rest));
        if expected != found {
            return Err(LoadError::Crc { expected, found });
        }
        match self.check_body::<CAPACITY>(body) {
            Ok(()) => Ok(body),
            Err(error) => Err(error),
        }
    }

    /// Checks the rules of all stored values and the interaction of all features.
    ///
    /// # Errors
    /// [`LoadError::Field`], [`LoadError::NeverTransformed`], [`LoadError::NeverInteract`].
    pub const fn check_body<const CAPACITY: usize>(&self, body: &[u8]) -> Result<(), LoadError> {
        let offset = match self.layers.check(body, 0) {
            Ok(offset) => offset,
            Err(error) => return Err(error),
        };
        let offset = match self.base.check(body, offset) {
            Ok(offset) => offset,
            Err(error) => return Err(error),
        };
        match self.calibration.check(body, offset) {
            Ok(_) => interaction::check::<CAPACITY>(self.features, self.layers, Some(body)),
            Err(error) => Err(error),
        }
    }
}
