//! Reversal: the order of the features, turned around. Volume-preserving, and its own inverse.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::real::Real;
use crate::schema::{Mixing, Record, Schema};
use crate::terms::Coordinates;

/// The layer's record.
pub const RECORD: Record = Record { mixing: Mixing::Reverse, ..Record::stored("Reverse", &[], &[]) };

/// z_i = x_(D-1-i). Stores nothing.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Reverse;

impl Layer for Reverse {
    const SCHEMA: Schema = Schema::Layer(&RECORD);
}

impl<const D: usize, const C: usize, T: Real> Inverse<D, C, T> for Reverse {
    #[inline]
    fn inverse(&self, x: &mut [T; D], _: &[T; C]) -> T {
        x.reverse();
        T::ZERO
    }
}

impl<const D: usize, const C: usize, T: Real> Triangular<D, C, T> for Reverse {
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; D], log_slopes: &mut [T; D], _: &[T; C]) {
        x.reverse();
        log_slopes.reverse();
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        coordinates.reverse();
    }
}

impl<const D: usize, const C: usize, T: Real> Forward<D, C, T> for Reverse {
    #[inline]
    fn forward(&self, z: &mut [T; D], _: &[T; C]) -> T {
        z.reverse();
        T::ZERO
    }
}
