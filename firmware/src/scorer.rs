//! What the application asks of a detector, and of the board it runs on.

use flowlet::{Assessment, ReadingError};

use crate::model;

/// Scores one reading of `D` features.
///
/// Any `FnMut(&[f32; D]) -> Result<Assessment, ReadingError>` is a scorer. A board implements the trait itself when it
/// measures what scoring costs.
pub trait Scorer<const D: usize> {
    /// Assesses one reading, in the units that the model was fitted in.
    ///
    /// # Errors
    /// A reading that has no density, such as one with a NaN: a sensor fault, and never "normal".
    fn score(&mut self, reading: &[f32; D]) -> Result<Assessment, ReadingError>;

    /// Whether the model is as it was when it was checked: asked at the start, and whenever the host asks. A scorer without a
    /// model has nothing that could be damaged.
    fn is_sound(&self) -> bool {
        true
    }

    /// What the board measured while scoring; nothing, unless it says otherwise.
    fn measured(&self) -> Measured {
        Measured::default()
    }
}

impl<const D: usize, F: FnMut(&[f32; D]) -> Result<Assessment, ReadingError>> Scorer<D> for F {
    fn score(&mut self, reading: &[f32; D]) -> Result<Assessment, ReadingError> {
        self(reading)
    }
}

/// The linked model: the scorer of a board that measures nothing.
#[derive(Clone, Copy, Debug)]
pub struct Linked;

impl Scorer<{ model::VALUES }> for Linked {
    fn score(&mut self, reading: &[f32; model::VALUES]) -> Result<Assessment, ReadingError> {
        model::assess(reading)
    }

    fn is_sound(&self) -> bool {
        model::is_sound()
    }
}

/// What a board measured while scoring. `None` where it does not measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Measured {
    /// Deepest stack of a scoring call, in bytes, its own frame included.
    pub stack: Option<u32>,
    /// Time spent in scoring calls.
    pub ticks: Option<Ticks>,
}

/// Time spent in scoring calls, in ticks of the board's timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticks {
    /// Calls that were timed.
    pub calls: u32,
    /// Over all of them.
    pub total: u64,
    /// The longest call.
    pub max: u32,
}
