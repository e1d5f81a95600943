//! From a signal to readings: windows over sampled channels, and what is computed of each.
//!
//! ```text
//! samples (one for each channel) -> Windows: every `hop` samples, features of the last `window` samples -> reading
//! ```
//!
//! A recipe is a type on the device, [`Windows`], and a value on the host, [`Recipe`], with one set of kernels on slices, so both
//! compute the same bits. It is part of the model's type and of its fingerprint: a model cannot be fed with other features than those
//! that it was fitted on, because that does not compile.

use crate::schema::Record;

mod recipe;
mod spectrum;
mod statistics;
mod windows;

pub use recipe::{Feature, Recipe, STATISTICS, Statistic};
pub use windows::{Cursor, Windows};

/// What a model's readings are made of.
pub trait Signal {
    /// As a part of the canonical description.
    const RECORD: Record;
}

/// A signal of `M` values a sample that makes readings of `D` features, and the state that it needs for it.
pub trait Stream<const M: usize, const D: usize>: Signal {
    /// Takes a sample; the reading that it completes, if it does.
    fn push(&mut self, sample: &[f32; M]) -> Option<[f32; D]>;
}

/// Readings as they come, not computed from anything.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

impl Signal for Raw {
    const RECORD: Record = Record::stored("Raw", &[], &[]);
}

impl<const D: usize> Stream<D, D> for Raw {
    #[inline]
    fn push(&mut self, sample: &[f32; D]) -> Option<[f32; D]> {
        Some(*sample)
    }
}

#[cfg(test)]
mod tests;
