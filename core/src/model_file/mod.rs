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

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use serde::{Deserialize, Serialize};

mod architecture;
mod error;

pub use self::architecture::{Architecture, CALL_OVERHEAD};
pub use self::error::LoadError;
pub(crate) use self::error::stop;
pub use crate::interaction::MOST_FEATURES;

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

/// The CRC-32 (ISO-HDLC) of a body.
#[must_use]
pub(crate) const fn body_checksum(body: &[u8]) -> u32 {
    CRC.checksum(body)
}

/// The same of a body's words.
pub(crate) fn words_checksum(words: impl Iterator<Item = u32>) -> u32 {
    let mut digest = CRC.digest();
    words.for_each(|word| digest.update(&word.to_le_bytes()));
    digest.finalize()
}

/// The first 32 bytes of a model file. Numbers are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
