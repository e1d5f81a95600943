//! A shift: x = z + t. Dinh, Krueger, Bengio, "NICE: non-linear independent components estimation", 2014, section 3.2.
//!
//! Volume-preserving: no logarithm and no exponential anywhere.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Monotone, Univariate};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::Record;

/// x = z + t, with the one output t of the net. Stores nothing.
#[derive(Clone, Copy, Debug, Default, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Additive;

/// The map's record.
pub const RECORD: Record = Record::stored("Additive", &[], &[]);

impl Univariate for Additive {
    const RECORD: Record = RECORD;
    const OUTPUTS: usize = 1;

    #[inline(always)]
    fn lend<T: Real, R>(run: impl FnOnce(&mut [T]) -> R) -> R {
        run(&mut [T::ZERO; 1])
    }
}

impl<T: Real, E: Elementary<T>> Monotone<T, E> for Additive {
    #[inline(always)]
    fn inverse(&self, parameters: &[T], x: T) -> (T, T) {
        (parameters.first().map_or(x, |shift| x - *shift), T::ZERO)
    }

    #[inline(always)]
    fn forward(&self, parameters: &[T], z: T) -> (T, T) {
        (parameters.first().map_or(z, |shift| z + *shift), T::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::Additive;
    use crate::univariate::tests::{check, check_hostile, check_layout};

    #[test]
    fn obeys_the_laws() {
        check(&Additive, 3.0, 5.0);
        check_hostile(&Additive, 10.0);
        check_layout::<Additive>();
    }
}
