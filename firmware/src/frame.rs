//! Messages in frames: postcard, CRC-32, COBS, and a zero byte at the end.
//!
//! COBS leaves no zero inside a frame, so a receiver that lost its place is back in step at the next zero, and the
//! checksum tells it whether what came before was whole.

use core::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};
use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::Malformed;

/// Ends a frame, and occurs nowhere else.
pub const DELIMITER: u8 = 0;

/// The largest frame of a [`Response`](crate::message::Response), in bytes.
pub const MAX_RESPONSE: usize = 96;

/// Bytes of the checksum, sent least significant first.
const CRC_BYTES: usize = 4;

/// The checksum of Ethernet and zip, over the message before COBS.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// The largest frame of a [`Request`](crate::message::Request) about `features` features, in bytes.
pub const fn max_request(features: usize) -> usize {
    // The variant, the sequence number and the length as varints, the values.
    let body = 1 + 5 + 5 + 4 * features;
    encoded(body)
}

/// Bytes of a frame whose message has `body` bytes.
const fn encoded(body: usize) -> usize {
    let checked = body + CRC_BYTES;
    checked + checked.div_ceil(254) + 1
}

/// A message does not fit the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TooLong {
    /// Bytes of the buffer.
    pub capacity: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message does not fit a frame of {} bytes: take a larger buffer", self.capacity)
    }
}

impl core::error::Error for TooLong {}

/// A message as a frame of at most `N` bytes, the delimiter included.
///
/// # Errors
/// [`TooLong`] if `N` is too small: [`max_request`] and [`MAX_RESPONSE`] are always enough.
pub fn encode<T: Serialize, const N: usize>(message: &T) -> Result<Vec<u8, N>, TooLong> {
    let too_long = TooLong { capacity: N };
    let mut body = [0; N];
    let length = postcard::to_slice(message, &mut body).map_err(|_| too_long)?.len();
    let checksum = CRC.checksum(&body[..length]).to_le_bytes();
    let checked = length + CRC_BYTES;
    body.get_mut(length..checked).ok_or(too_long)?.copy_from_slice(&checksum);

    let mut frame = Vec::new();
    frame.resize_default(N).map_err(|_| too_long)?;
    let used = cobs::try_encode(&body[..checked], &mut frame).map_err(|_| too_long)?;
    frame.truncate(used);
    frame.push(DELIMITER).map_err(|_| too_long)?;
    Ok(frame)
}

/// The message in a frame, given without its delimiter; `frame` is decoded in place.
///
/// # Errors
/// What is wrong with the frame.
pub fn decode<'a, T: Deserialize<'a>>(frame: &'a mut [u8]) -> Result<T, Malformed> {
    let length = cobs::decode_in_place(frame).map_err(|_| Malformed::Cobs)?;
    let (body, checksum) =
        frame.get(..length).and_then(|checked| checked.split_last_chunk::<CRC_BYTES>()).ok_or(Malformed::Crc)?;
    if CRC.checksum(body) != u32::from_le_bytes(*checksum) {
        return Err(Malformed::Crc);
    }
    match postcard::take_from_bytes(body) {
        // Postcard ignores what follows a message; a message with a tail is not one of ours.
        Ok((message, [])) => Ok(message),
        _ => Err(Malformed::Content),
    }
}
