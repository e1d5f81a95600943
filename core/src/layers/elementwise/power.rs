//! Odd roots: x = z^n, so z = x^(1/n) with the sign of x. Singular at 0, as [`Cube`](crate::Cube), which is n = 3 for all
//! features and has its own file as the smallest layer there is.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Map, highest, positive};
use crate::elementary::Elementary;
use crate::real::Real;
use crate::schema::{Field, Format, Record, Rule};

/// z = x^(1/n), n odd.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Power {
    /// n: 3, 5, .. 15; 0 leaves the feature as it is.
    pub exponent: u32,
}

impl Power {
    /// n and n - 1, whatever is stored.
    #[inline]
    fn numbers<T: Real>(self) -> (u32, T, T) {
        let exponent = self.exponent.clamp(1, 15);
        (exponent, T::from_i32(exponent as i32), T::from_i32(exponent as i32 - 1))
    }
}

/// With the sign of another value.
#[inline]
fn signed<T: Real>(magnitude: T, sign: T) -> T {
    if sign < T::ZERO { -magnitude } else { magnitude }
}

impl Map for Power {
    const RECORD: Record = Record::stored(
        "Power",
        &[],
        &[Field::Data { name: "exponent", format: Format::U32, count: 1, rule: Rule::OddExponent }],
    );

    #[inline]
    fn is_selected(&self) -> bool {
        self.exponent != 0
    }

    #[inline]
    fn inverse<T: Real, E: Elementary<T>>(&self, x: T) -> Option<(T, T)> {
        let x = x.clamp_abs(highest());
        if x == T::ZERO {
            return Some((x, T::from_f32(f32::INFINITY)));
        }
        let (_, n, less) = self.numbers::<T>();
        let log_root = E::ln(x.abs()) / n;
        // dx/dz = n |z|^(n-1).
        let log_slope = E::ln(n) + less * log_root;
        Some((signed(positive(E::exp(log_root)), x), -log_slope))
    }

    #[inline]
    fn forward<T: Real, E: Elementary<T>>(&self, z: T) -> (T, T) {
        let z = z.clamp_abs(highest());
        if z == T::ZERO {
            return (z, T::from_f32(f32::NEG_INFINITY));
        }
        let (mut exponent, n, less) = self.numbers::<T>();
        let log_slope = E::ln(n) + less * E::ln(z.abs());
        // By squaring: the factors are multiplied from the lowest bit of n on.
        let (mut power, mut square) = (T::ONE, z.abs());
        while exponent > 0 {
            if exponent & 1 == 1 {
                power = power * square;
            }
            square = square * square;
            exponent >>= 1;
        }
        (signed(positive(power), z), log_slope)
    }
}
