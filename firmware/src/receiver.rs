//! Bytes into frames.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::frame::DELIMITER;

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Malformed {
    /// It is longer than any message that the receiver expects.
    TooLong,
    /// Its bytes are not COBS.
    Cobs,
    /// Its checksum is wrong, or there is none.
    Crc,
    /// Its checksum is right, but it is no message that the receiver knows.
    Content,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the frame is too long",
            Self::Cobs => "the frame is not COBS",
            Self::Crc => "the frame's checksum is wrong",
            Self::Content => "the frame holds no known message",
        })
    }
}

impl core::error::Error for Malformed {}

/// Collects bytes until a frame is complete. `N` is the longest frame, its delimiter not counted.
///
/// It may start anywhere in a stream, and after any garbage it is back in step at the next delimiter.
#[derive(Clone, Debug, Default)]
pub struct Receiver<const N: usize> {
    buffer: Vec<u8, N>,
    complete: bool,
    too_long: bool,
}

impl<const N: usize> Receiver<N> {
    /// A receiver that has seen nothing yet.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), complete: false, too_long: false }
    }

    /// Takes one byte. At the end of a frame it returns the frame without its delimiter, for
    /// [`frame::decode`](crate::frame::decode).
    ///
    /// Empty frames say nothing and are skipped, so that a sender may begin with a delimiter to end whatever noise the
    /// line carried before.
    pub fn push(&mut self, byte: u8) -> Option<Result<&mut [u8], Malformed>> {
        if core::mem::take(&mut self.complete) {
            self.buffer.clear();
        }
        if byte != DELIMITER {
            self.too_long |= self.buffer.push(byte).is_err();
            return None;
        }
        self.complete = true;
        if core::mem::take(&mut self.too_long) {
            return Some(Err(Malformed::TooLong));
        }
        if self.buffer.is_empty() { None } else { Some(Ok(&mut self.buffer)) }
    }
}
