//! The inverse of the hyperbolic tangent: with u = (x - (low + high)/2) / ((high - low)/2), which is between -1 and 1,
//! z = atanh u. It is half the logit of x, and computed as that.

use core::f32::consts::LN_2;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Map, logit};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::Record;

/// x = tanh z, scaled to the range between two bounds.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Atanh {
    /// 1; 0 leaves the feature as it is.
    pub selected: u32,
    /// low and high, in the units of the feature. Readings are between them, and none is at one.
    pub bounds: [f32; 2],
}

impl Map for Atanh {
    const RECORD: Record = Record::stored("Atanh", &[], &logit::FIELDS);

    #[inline]
    fn is_selected(&self) -> bool {
        self.selected != 0
    }

    #[inline]
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)> {
        let (z, log_slope) = logit::logit::<T, E>(self.bounds, x)?;
        Some((T::from_f32(0.5) * z, log_slope - T::from_f32(LN_2)))
    }

    #[inline]
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T) {
        let (x, log_slope) = logit::expit::<T, E>(self.bounds, T::from_f32(2.0) * z);
        (x, log_slope + T::from_f32(LN_2))
    }
}
