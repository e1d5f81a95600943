//! The scalar of the flow's arithmetic: `f32` on the device, `f64` for the laws, and [`Dual`](crate::Dual) numbers of
//! either for derivatives.
//!
//! Layers store their parameters in one format and compute in any [`Real`], so that the same generic code runs in
//! double precision where a test compares it with numerical derivatives.

use core::borrow::Borrow;
use core::ops::{Add, Div, Mul, Neg, Sub};

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point number: `f32` or `f64`, or one with derivatives, [`Dual`](crate::Dual).
///
/// Multiplications and additions are separate operations, never fused: a fused one rounds once, and a host with it
/// would disagree in the last bit with a device without it.
pub trait Real:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + sealed::Sealed
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The value of a stored parameter.
    fn from_f32(value: f32) -> Self;
    /// The value of an accumulator, rounded to the nearest.
    fn from_i32(value: i32) -> Self;
    /// The value, rounded to the nearest `f32`.
    fn to_f32(self) -> f32;
    /// |self|.
    fn abs(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The next number above; itself for +∞ and NaN.
    fn next_up(self) -> Self;
    /// The next number below; itself for -∞ and NaN.
    fn next_down(self) -> Self;
    /// The nearest integer (ties to even) of a value clamped to ±32767. NaN gives -32767.
    fn round_i16(self) -> i16;
    /// The product with a stored parameter. One multiplication; a number with derivatives would have more for them than
    /// a constant needs.
    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        Self::from_f32(factor) * self
    }
    /// The value in other units, from a stored mean and a factor: (self - mean) · inverse_scale.
    #[inline(always)]
    fn standardized(self, mean: f32, inverse_scale: f32) -> Self {
        (self - Self::from_f32(mean)) * Self::from_f32(inverse_scale)
    }
    /// The value in units whose inverse is stored, rounded as by [`Real::round_i16`].
    #[inline(always)]
    fn quantized(self, inverse_unit: f32) -> i16 {
        (self * Self::from_f32(inverse_unit)).round_i16()
    }
    /// The value of an accumulator in a stored unit.
    #[inline(always)]
    fn scaled(sum: i32, unit: f32) -> Self {
        Self::from_i32(sum) * Self::from_f32(unit)
    }
    /// The value clamped to ±`limit`. NaN gives -`limit`.
    fn clamp_abs(self, limit: Self) -> Self {
        if self > limit {
            limit
        } else if self >= -limit {
            self
        } else {
            -limit
        }
    }
}

/// A scalar in which flows are scored on devices: `f32`, or [`Fixed`](crate::Fixed) without floating-point operations.
pub trait Scalar: Real {
    /// What descriptions call its arithmetic, which is part of a model's fingerprint.
    const ARITHMETIC: &'static str;

    /// A reading in this scalar: numbers of its own, or the f32 that they are.
    type Reading<'a, const D: usize>: Borrow<[Self; D]>;

    /// A reading that comes in f32.
    fn read<const D: usize>(values: &[f32; D]) -> Self::Reading<'_, D>;

    /// part / whole, for a whole above 0 and a part that is no larger.
    fn fraction(part: u32, whole: u32) -> f32;
}

impl Scalar for f32 {
    const ARITHMETIC: &'static str = "F32SeparateMultiplyAdd";

    type Reading<'a, const D: usize> = &'a [f32; D];

    #[inline(always)]
    fn read<const D: usize>(values: &[f32; D]) -> &[f32; D] {
        values
    }

    #[inline(always)]
    fn fraction(part: u32, whole: u32) -> f32 {
        part as f32 / whole as f32
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value as f32
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self::from_bits(self.to_bits() & 0x7FFF_FFFF)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline(always)]
    fn next_up(self) -> Self {
        f32::next_up(self)
    }

    #[inline(always)]
    fn next_down(self) -> Self {
        f32::next_down(self)
    }

    #[inline(always)]
    fn round_i16(self) -> i16 {
        // Adding 1.5 * 2^23 leaves the integer in the low bits of the significand, rounded by the adder: one addition
        // with or without an FPU, and the same ties everywhere.
        const SHIFTER: f32 = 12_582_912.0;
        ((self.clamp_abs(32767.0) + SHIFTER).to_bits() as i32).wrapping_sub(SHIFTER.to_bits() as i32) as i16
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline(always)]
    fn from_f32(value: f32) -> Self {
        f64::from(value)
    }

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        f64::from(value)
    }

    #[inline(always)]
    fn to_f32(self) -> f32 {
        self as f32
    }

    #[inline(always)]
    fn abs(self) -> Self {
        Self::from_bits(self.to_bits() & 0x7FFF_FFFF_FFFF_FFFF)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    #[inline(always)]
    fn next_up(self) -> Self {
        f64::next_up(self)
    }

    #[inline(always)]
    fn next_down(self) -> Self {
        f64::next_down(self)
    }

    #[inline(always)]
    fn round_i16(self) -> i16 {
        const SHIFTER: f64 = 6_755_399_441_055_744.0;
        ((self.clamp_abs(32767.0) + SHIFTER).to_bits() as i64).wrapping_sub(SHIFTER.to_bits() as i64) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn rounds_to_nearest_even_and_saturates() {
        for (value, expected) in [
            (0.5_f32, 0),
            (1.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (2.499_999, 2),
            (32766.5, 32766),
            (1e30, 32767),
            (f32::INFINITY, 32767),
            (f32::NEG_INFINITY, -32767),
            (f32::NAN, -32767),
        ] {
            assert_eq!(value.round_i16(), expected, "{value}");
            assert_eq!(f64::from(value).round_i16(), expected, "{value}");
        }
        for n in -32767_i16..=32767 {
            assert_eq!(f32::from(n).round_i16(), n);
            assert_eq!((f32::from(n) + 0.25).round_i16(), n);
        }
    }
}
