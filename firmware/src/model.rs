//! The model that this firmware is built with.
//!
//! It is the file that `flowlet fit` writes beside the model file: the committed `model/rig.rs`, or the one that the
//! environment variable `FLOWLET_MODEL` names when the firmware is built. The compiler reads and checks the model
//! file, and its weights lie in flash.

include!(env!("FLOWLET_MODEL_SOURCE"));

/// Assesses what a host sends as one reading: the features, and behind them the context of a model that takes one.
///
/// # Errors
/// As [`flowlet::Detector::assess`].
#[inline]
pub fn assess(values: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
    // The type says that there are as many.
    let (reading, context) = values.split_at_checked(D).unwrap_or((values, &[]));
    MODEL.assess_slice(reading, context)
}

/// Whether the model in flash is still the one that the compiler has checked: reads every byte of it.
#[must_use]
pub fn is_sound() -> bool {
    MODEL.verify(CHECKSUM).is_ok()
}
