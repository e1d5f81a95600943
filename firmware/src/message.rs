//! What host and device say to each other; postcard turns it into bytes.
//!
//! The order of the variants and fields *is* the wire format (see `WIRE.md`, and the pinned bytes in the tests below).

use core::fmt;

use flowlet::ReadingError;
use flowlet::monitor::{State, Suspect};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Alarm, Malformed, Measured};

/// Host to device. `V` is a sequence of f32: [`Values`] on the device, and a slice on the host, which need not know the
/// number of features when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request<V> {
    /// A reading to assess.
    Reading {
        /// Returned with the answer.
        sequence: u32,
        /// The features, in the model's order and units.
        values: V,
    },
    /// Send the [`Statistics`].
    Statistics,
    /// End the program. Only an emulated board does; others ignore it.
    Stop,
    /// Read the model in flash, and say whether it is as it was.
    Verify,
}

/// Device to host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Response {
    /// The answer to a reading.
    Assessment {
        /// Of the reading.
        sequence: u32,
        /// Log-density in nats.
        log_prob: f32,
        /// Share of normal readings that are at least as improbable.
        p_value: f32,
        /// The verdict.
        alarm: bool,
    },
    /// A well-formed reading that cannot be assessed.
    Refused {
        /// Of the reading.
        sequence: u32,
        /// Why.
        reason: Refusal,
    },
    /// A frame that could not be read. It has no sequence number, for that could not be read either.
    Malformed(Malformed),
    /// The answer to [`Request::Statistics`].
    Statistics(Statistics),
    /// The answer to [`Request::Verify`].
    Verified {
        /// Every byte of the model is as it was when the compiler checked it.
        sound: bool,
    },
    /// The answer to a sample that completes no reading.
    Taken {
        /// Of the sample.
        sequence: u32,
    },
    /// The answer to a sample that completes a reading of a stream that is watched.
    Watched {
        /// Of the sample.
        sequence: u32,
        /// What the stream says now.
        state: StreamState,
        /// Log-density in nats and p-value; nothing for a reading without a score.
        score: Option<(f32, f32)>,
        /// Readings among the last n whose score is above the threshold.
        count: u32,
        /// The CUSUM, nats.
        cusum: f32,
        /// Logarithm of the martingale, nats.
        martingale: f32,
        /// On entering the alarm, the sensors that explain it best.
        suspects: Option<[Named; SUSPECTS]>,
    },
}

/// Sensors that are named for an alarm.
pub const SUSPECTS: usize = 3;

/// [`State`] in the types of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StreamState {
    /// Nothing speaks against it.
    Normal,
    /// Some evidence of an anomaly.
    Suspect,
    /// An anomaly.
    Alarm,
    /// A sensor is broken.
    SensorFault,
}

impl From<State> for StreamState {
    fn from(state: State) -> Self {
        match state {
            State::Normal => Self::Normal,
            State::Suspect => Self::Suspect,
            State::Alarm => Self::Alarm,
            State::SensorFault => Self::SensorFault,
        }
    }
}

/// [`Suspect`] in the types of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Named {
    /// Position of the feature.
    pub feature: u32,
    /// Logarithm of the likelihood ratio, nats; 0 for none.
    pub ratio: f32,
    /// What was read is above what the others suggest.
    pub above: bool,
}

impl From<Suspect> for Named {
    fn from(suspect: Suspect) -> Self {
        Self { feature: suspect.feature as u32, ratio: suspect.ratio, above: suspect.above }
    }
}

/// Why a reading was refused: [`ReadingError`] in the types of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// The sensor of this feature (from 0) delivered NaN or an infinity.
    NotFinite {
        /// Position of the feature.
        feature: u32,
    },
    /// The reading has not as many features as the model.
    WrongLength {
        /// The model's number of features.
        expected: u32,
        /// The reading's.
        found: u32,
    },
    /// A context value is NaN or infinite.
    ContextNotFinite {
        /// Its position.
        index: u32,
    },
    /// The density is infinite here.
    Singular,
    /// The density is 0 here: a feature is out of its sensor's range.
    OutsideSupport,
    /// The model in flash is damaged: whatever it would say means nothing.
    Damaged,
}

impl From<ReadingError> for Refusal {
    fn from(error: ReadingError) -> Self {
        match error {
            ReadingError::NotFinite { feature } => Self::NotFinite { feature: feature as u32 },
            ReadingError::WrongLength { expected, found } => {
                Self::WrongLength { expected: expected as u32, found: found as u32 }
            }
            ReadingError::ContextNotFinite { index } => Self::ContextNotFinite { index: index as u32 },
            ReadingError::Singular => Self::Singular,
            ReadingError::OutsideSupport => Self::OutsideSupport,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFinite { feature } => write!(f, "sensor fault: feature {feature} is not a finite number"),
            Self::WrongLength { expected, found } => {
                write!(f, "the reading has {found} features, the model {expected}")
            }
            Self::ContextNotFinite { index } => write!(f, "context value {index} is not a finite number"),
            Self::Singular => f.write_str("the density is infinite at this reading"),
            Self::Damaged => f.write_str("the model in flash is damaged"),
            Self::OutsideSupport => f.write_str("a feature is out of its sensor's range: the density is zero there"),
        }
    }
}

impl core::error::Error for Refusal {}

/// What the device counted since it started. Counters wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Statistics {
    /// Readings assessed.
    pub readings: u32,
    /// Readings whose verdict was "anomalous".
    pub alarms: u32,
    /// Readings refused: sensor faults and wrong lengths.
    pub refused: u32,
    /// What the last reading said.
    pub last: Alarm,
    /// Frames that could not be read, by kind.
    pub malformed: MalformedCounts,
    /// Bytes received and lost: the queue was full, or the interrupt came too late.
    pub lost_bytes: u32,
    /// What the board measured while scoring.
    pub measured: Measured,
}

/// Frames that could not be read, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MalformedCounts {
    /// Longer than any request.
    pub too_long: u32,
    /// Not COBS.
    pub cobs: u32,
    /// Checksum wrong.
    pub crc: u32,
    /// Checksum right, but not a request.
    pub content: u32,
}

impl MalformedCounts {
    /// Counts one more.
    pub fn count(&mut self, kind: Malformed) {
        let counter = match kind {
            Malformed::TooLong => &mut self.too_long,
            Malformed::Cobs => &mut self.cobs,
            Malformed::Crc => &mut self.crc,
            Malformed::Content => &mut self.content,
        };
        *counter = counter.wrapping_add(1);
    }

    /// Of all kinds.
    pub fn total(&self) -> u32 {
        [self.too_long, self.cobs, self.crc, self.content].into_iter().fold(0, u32::wrapping_add)
    }
}

/// The values of a received reading: a sequence of any length on the wire, of which the first `D` are kept.
///
/// So a reading of the wrong length is read to its end, and refused with both lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Values<const D: usize> {
    values: [f32; D],
    found: usize,
}

impl<const D: usize> Values<D> {
    /// The `D` values.
    ///
    /// # Errors
    /// [`ReadingError::WrongLength`] if there were not `D`.
    pub fn get(&self) -> Result<&[f32; D], ReadingError> {
        if self.found == D {
            Ok(&self.values)
        } else {
            Err(ReadingError::WrongLength { expected: D, found: self.found })
        }
    }
}

impl<'de, const D: usize> Deserialize<'de> for Values<D> {
    fn deserialize<T: Deserializer<'de>>(deserializer: T) -> Result<Self, T::Error> {
        struct ValuesVisitor<const D: usize>;

        impl<'de, const D: usize> Visitor<'de> for ValuesVisitor<D> {
            type Value = Values<D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a sequence of {D} numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Values<D>, A::Error> {
                let mut read = Values { values: [0.0; D], found: 0 };
                while let Some(value) = sequence.next_element()? {
                    if let Some(slot) = read.values.get_mut(read.found) {
                        *slot = value;
                    }
                    read.found += 1;
                }
                Ok(read)
            }
        }

        deserializer.deserialize_seq(ValuesVisitor)
    }
}
