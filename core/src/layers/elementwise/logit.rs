//! The logit: z = ln((x - low) / (high - x)), so x = low + (high - low) / (1 + e^-z).

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Map, highest, positive};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Record, Rule};

/// z = ln((x - low) / (high - x)) for a feature that is bounded.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Logit {
    /// 1; 0 leaves the feature as it is.
    pub selected: u32,
    /// low and high, in the units of the feature. Readings are between them, and none is at one.
    pub bounds: [f32; 2],
}

/// What a map of a bounded feature stores.
pub(super) const FIELDS: [Field; 2] = [
    Field::Data { name: "selected", format: Format::U32, count: 1, rule: Rule::Flag },
    Field::Data { name: "bounds", format: Format::F32, count: 2, rule: Rule::Increasing },
];

/// The logit of x, and the logarithm of its slope (high - low) / ((x - low) (high - x)).
#[inline]
pub(super) fn logit<T: Real, E: Elementary<T>>(bounds: [f32; 2], x: T) -> Option<(T, T)> {
    let [low, high] = bounds.map(T::from_f32);
    // Not for a NaN either. Two floats that differ have a difference that is not 0.
    (x > low && x < high).then(|| {
        let (above, below) = (E::ln(positive(x - low)), E::ln(positive(high - x)));
        (above - below, E::ln(positive(high - low)) - above - below)
    })
}

/// The inverse of the logit, and the logarithm of its slope.
#[inline]
pub(super) fn expit<T: Real, E: Elementary<T>>(bounds: [f32; 2], z: T) -> (T, T) {
    let [low, high] = bounds.map(T::from_f32);
    let (z, width) = (z.clamp_abs(highest()), positive(high - low));
    let small = E::exp(-z.abs());
    let share = width * (small / (T::ONE + small));
    // From the nearer bound, and never as far as to it: there the density is 0.
    let x = if z > T::ZERO { high - share } else { low + share };
    let (first, last) = (low.next_up(), high.next_down());
    let x = if x < first {
        first
    } else if x > last {
        last
    } else {
        x
    };
    (x, E::ln(width) - z.abs() - T::from_f32(2.0) * E::ln_1p(small))
}

impl Map for Logit {
    const RECORD: Record = Record::stored("Logit", &[], &FIELDS);

    #[inline]
    fn is_selected(&self) -> bool {
        self.selected != 0
    }

    #[inline]
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)> {
        logit::<T, E>(self.bounds, x)
    }

    #[inline]
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T) {
        expit::<T, E>(self.bounds, z)
    }
}
