//! A model's type as data: its description and fingerprint, its size and cost, and the check of a file against it.

use super::{LoadError, PREFIX, Prefix, check_start, checksum};
use crate::interaction;
use crate::schema::{Record, Schema};
use crate::terms::{NoOrder, Order};
use crate::text::Text;

/// Bytes that a score keeps on the stack beside the reading and the layers' scratch: saved registers, spilled values and
/// the elementary functions. Measured on emulated cores and rounded up: a Cortex-M0, which computes in software, takes most of
/// it, in an autoregressive spline flow. The tests on emulated devices hold the peak of the painted stack to
/// [`Architecture::ram`], and `cargo xtask bench costs` that of many shapes.
pub const CALL_OVERHEAD: usize = 512;

/// All that a model's type says, as data.
#[derive(Clone, Copy, Debug)]
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
    /// What the monitor stores: nothing, without one.
    pub monitor: &'static Record,
    /// What a score is computed in: [`Scalar::ARITHMETIC`](crate::real::Scalar::ARITHMETIC).
    pub arithmetic: &'static str,
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
        if self.has_monitor() {
            text.word(",monitor:");
            self.monitor.describe(text);
        }
        text.word(",arithmetic:");
        text.word(self.arithmetic);
        text.word(")");
    }

    /// Whether the model stores anything for a monitor. A model without one is described as if there were none.
    #[must_use]
    pub const fn has_monitor(&self) -> bool {
        !self.monitor.fields.is_empty()
    }

    /// The hash of the description: 64-bit FNV-1a.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        let mut text = Text::new(&mut []);
        self.describe(&mut text);
        text.hash()
    }

    /// The order in which each feature depends on those before it alone, by what the layers mix, and by the
    /// permutations in the `body` that has been checked; `None` if these are needed, and there is no body. `CAPACITY`
    /// is the number of features or more.
    ///
    /// # Errors
    /// [`NoOrder`], naming two features that depend on each other.
    pub const fn order<const CAPACITY: usize>(&self, body: Option<&[u8]>) -> Result<Option<Order<CAPACITY>>, NoOrder> {
        interaction::order(self.features, self.layers, body)
    }

    /// Bytes of stack that one score takes: the reading's copies, the scratch of the layers or the base, and [`CALL_OVERHEAD`].
    #[must_use]
    pub const fn ram(&self) -> usize {
        let (of_layers, of_base) = (self.layers.scratch(), self.base.scratch);
        let scratch = if of_layers > of_base { of_layers } else { of_base };
        2 * size_of::<f32>() * self.features + scratch + CALL_OVERHEAD
    }

    /// Multiply-accumulates of one score, padding included.
    #[must_use]
    pub const fn macs(&self) -> usize {
        self.layers.macs() + self.base.macs
    }

    /// Bytes of the body.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.layers.size() + self.base.size() + self.calibration.size() + self.monitor.size()
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
        let offset = match self.calibration.check(body, offset) {
            Ok(offset) => offset,
            Err(error) => return Err(error),
        };
        match self.monitor.check(body, offset) {
            Ok(_) => interaction::check::<CAPACITY>(self.features, self.layers, self.base, Some(body)),
            Err(error) => Err(error),
        }
    }
}
