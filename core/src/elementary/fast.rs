//! Exponential and logarithm by tables, in integers.

use super::{Elementary, ElementaryName, integer};
use crate::real::Real;

/// Fast with and without an FPU: `exp` and `ln` by a table and a polynomial in integers, and what is made of them. Its bits
/// are the same on every target.
///
/// [`Libm`](super::Libm) computes without an FPU what it computes with one, in thousands of instructions. Here an
/// exponential takes a tenth of that, for an error of a unit or two in the last place. `ln`, `ln_1p`, `exp_m1` and `tanh`
/// have small *absolute* errors: near their zeros only `Libm`'s have small relative ones. Roots and `cos`, which no
/// density of a fitted coupling needs, are `Libm`'s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fast;

impl ElementaryName for Fast {
    const NAME: &'static str = "Fast";
}

/// The exponent of 1 in an f32, and where exponents begin.
const BIAS: i32 = 127;
const EXPONENT: u32 = 23;

/// Bits of a significand.
const SIGNIFICAND: u32 = (1 << EXPONENT) - 1;

/// Arguments of exponentials beyond this give 0 or ∞.
const FAR: f32 = 104.0;

impl Elementary<f32> for Fast {
    #[inline]
    fn exp(x: f32) -> f32 {
        let bits = x.to_bits();
        let size = bits & 0x7FFF_FFFF;
        if size >= FAR.to_bits() {
            return match (size > f32::INFINITY.to_bits(), bits >> 31) {
                (true, _) => x,
                (false, 0) => f32::INFINITY,
                (false, _) => 0.0,
            };
        }
        // In units of 2^-24, rounded.
        let shift = (size >> EXPONENT) as i32 - BIAS + 1;
        let significand = (size & SIGNIFICAND | 1 << EXPONENT) as i32;
        let fixed = match shift {
            0.. => significand << shift,
            -24.. => ((significand >> (-shift - 1)) + 1) >> 1,
            _ => 0,
        };
        let (mantissa, exponent) = integer::exp(if bits >> 31 == 0 { fixed } else { -fixed });
        // To 24 bits, rounded; a carry goes into the exponent, where it belongs.
        let rounded = (mantissa + (1 << 6)) >> 7;
        match exponent + BIAS {
            255.. => f32::INFINITY,
            // What an f32 would hold with fewer bits.
            ..=0 => 0.0,
            biased => f32::from_bits(((biased as u32 - 1) << EXPONENT) + rounded),
        }
    }

    #[inline]
    fn ln(x: f32) -> f32 {
        let bits = x.to_bits();
        match bits {
            0 | 0x8000_0000 => return f32::NEG_INFINITY,
            0x7F80_0000 => return x,
            0x7F80_0001.. => return f32::NAN,
            _ => {}
        }
        let (mut exponent, mut significand) = ((bits >> EXPONENT) as i32, bits & SIGNIFICAND);
        if exponent == 0 {
            // A number with fewer bits: up to where the others have their first one.
            let up = significand.leading_zeros() - 8;
            exponent = 1 - up as i32;
            significand <<= up;
        }
        let ln = integer::ln((significand | 1 << EXPONENT) << 8, exponent - BIAS);
        ln as f32 * (1.0 / (1 << 24) as f32)
    }

    #[inline]
    fn sqrt(x: f32) -> f32 {
        libm::sqrtf(x)
    }

    #[inline]
    fn cbrt(x: f32) -> f32 {
        libm::cbrtf(x)
    }

    #[inline]
    fn tanh(x: f32) -> f32 {
        let small = Self::exp(-2.0 * Real::abs(x));
        let tanh = (1.0 - small) / (1.0 + small);
        if x < 0.0 { -tanh } else { tanh }
    }

    #[inline]
    fn exp_m1(x: f32) -> f32 {
        Self::exp(x) - 1.0
    }

    #[inline]
    fn ln_1p(x: f32) -> f32 {
        Self::ln(1.0 + x)
    }

    #[inline]
    fn cos(x: f32) -> f32 {
        libm::cosf(x)
    }
}
