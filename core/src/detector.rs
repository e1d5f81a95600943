//! The detector: a flow and its calibration, in one value that lies in flash.

use core::borrow::Borrow;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::base::{Base, BaseRecord, Independent};
use crate::bijector::{Inverse, Layer, Triangular};
use crate::calibration::Calibration;
use crate::flow::{Flow, ReadingError};
use crate::image;
use crate::model_file::{self, Architecture, LoadError, stop};
use crate::monitor::MonitorRecord;
use crate::real::Scalar;
use crate::terms::{Term, TermsError};

/// What a detector says of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Assessment {
    /// The log-density, in nats, in the units of the reading. Finite.
    pub log_prob: f32,
    /// The fraction of normal readings at least as anomalous: low is anomalous.
    pub p_value: f32,
    /// The score is above the model's threshold.
    pub alarm: bool,
}

impl Assessment {
    /// -log_prob: higher is more anomalous.
    #[must_use]
    pub fn score(&self) -> f32 {
        -self.log_prob
    }
}

/// A flow with its calibration of `N` knots, and what a [`monitor`](crate::monitor) needs, if there is one: what a model file holds.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Detector<F, const N: usize, M = ()> {
    /// The density.
    pub flow: F,
    /// From scores to p-values and alarms.
    pub calibration: Calibration<N>,
    /// From a stream of them to states: [`Settings`](crate::monitor::Settings), or nothing.
    pub monitor: M,
}

impl<const D: usize, L: Layer, B: BaseRecord, const C: usize, T: Scalar, const N: usize, M: MonitorRecord>
    Detector<Flow<D, L, B, C, T>, N, M>
{
    /// The architecture: all that the type says, as data. Its description's hash is the fingerprint of model files.
    pub const ARCHITECTURE: Architecture = Architecture {
        features: D,
        context: C,
        layers: &L::SCHEMA,
        base: &B::RECORD,
        calibration: &Calibration::<N>::RECORD,
        monitor: &M::RECORD,
        arithmetic: T::ARITHMETIC,
    };

    /// Bytes of flash (or RAM, where it is loaded by [`Detector::from_postcard`]) that the model takes.
    pub const FLASH: usize = size_of::<Self>();

    /// Bytes of stack that one [`Detector::assess`] takes: the reading's copy, the layers' scratch and a stated overhead
    /// for calls. No other RAM is used.
    pub const RAM: usize = Self::ARCHITECTURE.ram();

    /// Multiply-accumulates of one score, padding included.
    pub const MACS: usize = Self::ARCHITECTURE.macs();

    /// The image of the type has no padding and no surprises.
    const CHECKED: () = {
        let () = Flow::<D, L, B, C, T>::CHECKED;
        if let Some(features) = M::FEATURES {
            assert!(features == D, "flowlet: the monitor is made for another number of features than the flow");
        }
        assert!(
            size_of::<Self>() == Self::ARCHITECTURE.size(),
            "flowlet: a type's fields do not add up to its size: a layer's SCHEMA disagrees with its struct"
        );
    };

    /// The model in `file`, read and checked by the compiler:
    ///
    /// ```ignore
    /// static PUMP: Pump = Pump::from_file(include_bytes!("pump.flow"));
    /// ```
    ///
    /// The weights then lie in flash, and nothing is parsed or copied at run time. Above a few kilobytes the static needs
    /// `#[allow(long_running_const_eval)]`.
    ///
    /// # Panics
    /// In the compiler: a damaged file, or one that does not fit the type, stops the build with a message that says which.
    #[must_use]
    pub const fn from_file(file: &[u8]) -> Self
    where
        L: FromBytes,
        B: FromBytes,
        M: FromBytes,
    {
        match Self::check(file) {
            Ok(body) => image::read(body),
            Err(error) => stop(&error),
        }
    }

    /// The model in `file`, used where it lies: a model file in flash that is not linked in, 4-aligned, and cut to its
    /// length (see [`model_file::length`]). No copy and no RAM.
    ///
    /// # Errors
    /// [`LoadError`]: damaged, not of this type, or misaligned. Every single flipped bit and missing byte is found.
    pub fn from_flash(file: &[u8]) -> Result<&Self, LoadError>
    where
        L: FromBytes + KnownLayout + Immutable,
        B: FromBytes + KnownLayout + Immutable,
        M: FromBytes + KnownLayout + Immutable,
    {
        let body = Self::check(file)?;
        Self::ref_from_bytes(body).map_err(|_| LoadError::Misaligned { required: align_of::<Self>() })
    }

    /// The model in `file`, decoded by postcard and copied: for files that arrive over the air, at any alignment.
    ///
    /// # Errors
    /// [`LoadError`]: damaged, or not of this type. Every single flipped bit and missing byte is found.
    pub fn from_postcard(file: &[u8]) -> Result<Self, LoadError>
    where
        L: FromBytes,
        B: FromBytes,
        M: FromBytes,
    {
        let (prefix, rest) = postcard::take_from_bytes::<model_file::Prefix>(file)
            .map_err(|_| LoadError::TooShort { expected: model_file::PREFIX, found: file.len() })?;
        let () = Self::CHECKED;
        let body = Self::ARCHITECTURE.check_parts::<D>(&prefix, rest)?;
        Self::read_from_bytes(body)
            .map_err(|_| LoadError::BodyLength { expected: size_of::<Self>(), found: body.len() })
    }

    /// What [`Detector::verify`] holds the model to: a checksum of its bytes, computed by the compiler.
    ///
    /// ```ignore
    /// const CHECKSUM: u32 = Pump::checksum(include_bytes!("pump.flow"));
    /// ```
    ///
    /// # Panics
    /// In the compiler, as [`Detector::from_file`].
    #[must_use]
    pub const fn checksum(file: &[u8]) -> u32 {
        match Self::check(file) {
            Ok(body) => model_file::body_checksum(body),
            Err(error) => stop(&error),
        }
    }

    /// Whether the model in memory is still the one that was checked: reads every byte, at boot or whenever there is time.
    /// Every single flipped bit is found.
    ///
    /// # Errors
    /// [`LoadError::Crc`]: the memory is damaged, and nothing that the model says means anything.
    pub fn verify(&self, checksum: u32) -> Result<(), LoadError>
    where
        L: FromBytes + Immutable,
        B: FromBytes + Immutable,
        M: FromBytes + Immutable,
    {
        let () = Self::CHECKED;
        match model_file::words_checksum(image::words(self)) {
            found if found == checksum => Ok(()),
            found => Err(LoadError::Crc { expected: checksum, found }),
        }
    }

    /// The body of `file`, all checks passed.
    const fn check(file: &[u8]) -> Result<&[u8], LoadError> {
        let () = Self::CHECKED;
        Self::ARCHITECTURE.check::<D>(file)
    }

    /// Scores a reading: log-density, p-value and alarm.
    ///
    /// However far off the reading, the score is finite or saturates at `f32::MAX`, most anomalous.
    ///
    /// # Errors
    /// [`ReadingError`] for infinite or NaN values: a fault of a sensor, never "normal".
    #[inline]
    pub fn assess(&self, reading: &[T; D], context: &[T; C]) -> Result<Assessment, ReadingError>
    where
        L: Inverse<D, C, T>,
        B: Base<D, T>,
    {
        let log_prob = self.flow.log_prob(reading, context)?.to_f32();
        let calibration = self.calibration.view();
        let (p_value, alarm) = (calibration.p_value::<T>(-log_prob), calibration.alarm(-log_prob));
        Ok(Assessment { log_prob, p_value, alarm })
    }

    /// What each feature contributes to a reading's log-density, given those before it, in the order of conditioning:
    /// an exact account of [`Assessment::log_prob`], for flows whose layers keep one order of the features (see
    /// [`terms`](crate::terms)). For others it does not compile.
    ///
    /// # Errors
    /// [`TermsError::Reading`] as [`Detector::assess`]; [`TermsError::NoOrder`] for a flow whose permutations, which
    /// are data, disagree on the order.
    #[inline]
    pub fn conditional_terms(&self, reading: &[T; D], context: &[T; C]) -> Result<[Term; D], TermsError>
    where
        L: Triangular<D, C, T>,
        B: Independent<D, T>,
    {
        self.flow.conditional_terms(reading, context)
    }

    /// [`Detector::assess`] for slices, in f32 whatever the flow is scored in.
    ///
    /// # Errors
    /// Also [`ReadingError::WrongLength`].
    #[inline]
    pub fn assess_slice(&self, reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError>
    where
        L: Inverse<D, C, T>,
        B: Base<D, T>,
    {
        let reading: &[f32; D] =
            reading.try_into().map_err(|_| ReadingError::WrongLength { expected: D, found: reading.len() })?;
        let context: &[f32; C] =
            context.try_into().map_err(|_| ReadingError::WrongLength { expected: C, found: context.len() })?;
        self.assess(T::read(reading).borrow(), T::read(context).borrow())
    }
}
