//! The inverse of softplus: x = s ln(1 + e^(z/s)), so z = x + s ln(1 - e^(-x/s)).
//!
//! Far above the scale s it changes nothing, far below it is a logarithm.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Map, highest, positive};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Record, Rule};

/// z = s ln(e^(x/s) - 1) for a feature that is positive.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct InverseSoftplus {
    /// s, in the units of the feature; 0 leaves it as it is.
    pub scale: f32,
}

impl Map for InverseSoftplus {
    const RECORD: Record = Record::stored(
        "InverseSoftplus",
        &[],
        &[Field::Data { name: "scale", format: Format::F32, count: 1, rule: Rule::NotNegative }],
    );

    #[inline]
    fn is_selected(&self) -> bool {
        self.scale > 0.0
    }

    #[inline]
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)> {
        // Not for a NaN either.
        (x > T::ZERO).then(|| {
            let (x, scale) = (positive(x), T::from_f32(self.scale));
            // dz/dx = 1 / (1 - e^(-x/s)).
            let log = E::ln(-E::exp_m1(-positive(x / scale)));
            ((x + scale * log).clamp_abs(highest()), -log)
        })
    }

    #[inline]
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T) {
        let scale = T::from_f32(self.scale);
        let z = (z / scale).clamp_abs(highest());
        // dx/dz = 1 / (1 + e^(-z/s)).
        (positive(scale * E::softplus(z)), -E::softplus(-z))
    }
}
