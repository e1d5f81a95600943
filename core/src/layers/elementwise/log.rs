//! The logarithm: z = ln x. With z ~ N(0, 1) this is the log-normal distribution.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Map, highest, positive};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Record, Rule};

/// z = ln x for a feature that is positive.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Log {
    /// 1; 0 leaves the feature as it is.
    pub selected: u32,
}

impl Map for Log {
    const RECORD: Record = Record::stored(
        "Log",
        &[],
        &[Field::Data { name: "selected", format: Format::U32, count: 1, rule: Rule::Flag }],
    );

    #[inline]
    fn is_selected(&self) -> bool {
        self.selected != 0
    }

    #[inline]
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)> {
        // Not for a NaN either.
        (x > T::ZERO).then(|| {
            let z = E::ln(positive(x));
            (z, -z)
        })
    }

    #[inline]
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T) {
        let z = z.clamp_abs(highest());
        (positive(E::exp(z)), z)
    }
}
