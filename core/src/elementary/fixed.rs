//! The functions of fixed-point numbers. There is one set of them, the integers', under the name of the default.

use super::{Elementary, Fast, Libm, Micromath, integer};
use crate::fixed::{Fixed, ONE};

/// e^x for |x| beyond this is 0 or saturates, in units of 2^-16.
const FAR: i32 = 12 << 16;

impl Elementary<Fixed> for Libm {
    #[inline]
    fn exp(x: Fixed) -> Fixed {
        let (mantissa, exponent) = integer::exp(x.bits().clamp(-FAR, FAR) << 8);
        // From units of 2^-30 to units of 2^-16, rounded.
        match 13 - exponent {
            shift @ 0..=30 => Fixed::from_bits((((mantissa >> shift) + 1) >> 1) as i32),
            31.. => Fixed::from_bits(0),
            -1 => Fixed::from_bits(mantissa.min(Fixed::LARGEST.bits() as u32) as i32),
            _ => Fixed::LARGEST,
        }
    }

    #[inline]
    fn ln(x: Fixed) -> Fixed {
        let bits = x.bits();
        if bits <= 0 {
            return Fixed::NEG_INFINITY;
        }
        let up = bits.leading_zeros();
        let ln = integer::ln((bits as u32) << up, 15 - up as i32);
        // From units of 2^-24, rounded.
        Fixed::from_bits((ln + (1 << 7)) >> 8)
    }

    #[inline]
    fn sqrt(x: Fixed) -> Fixed {
        // Digit by digit: the largest root of what is x · 2^16 in units of 2^-32.
        let mut rest = u64::from(x.bits().max(0) as u32) << 16;
        let (mut root, mut digit) = (0_u64, 1_u64 << 46);
        while digit != 0 {
            let trial = root + digit;
            root >>= 1;
            if rest >= trial {
                rest -= trial;
                root += digit;
            }
            digit >>= 2;
        }
        Fixed::from_bits((root + u64::from(rest > root)) as i32)
    }

    #[inline]
    fn cbrt(x: Fixed) -> Fixed {
        // Digit by digit as well, of the 21 that there are.
        let cube = u64::from(x.bits().unsigned_abs()) << 32;
        let mut root = 0_u64;
        for digit in (0..21).rev() {
            let trial = root | 1 << digit;
            if trial * trial * trial <= cube {
                root = trial;
            }
        }
        Fixed::from_bits(if x.bits() < 0 { -(root as i32) } else { root as i32 })
    }

    #[inline]
    fn tanh(x: Fixed) -> Fixed {
        let size = x.bits().unsigned_abs().min(FAR as u32) as i32;
        let small = Self::exp(Fixed::from_bits(-2 * size)).bits();
        let tanh = Fixed::from_bits(ONE - small) / Fixed::from_bits(ONE + small);
        if x.bits() < 0 { -tanh } else { tanh }
    }

    #[inline]
    fn exp_m1(x: Fixed) -> Fixed {
        Self::exp(x) - Fixed::from_bits(ONE)
    }

    #[inline]
    fn ln_1p(x: Fixed) -> Fixed {
        Self::ln(Fixed::from_bits(ONE) + x)
    }

    #[inline]
    fn cos(x: Fixed) -> Fixed {
        /// 2π.
        const TURN: i64 = 411_775;
        // Turns in units of 2^-16, folded to a quarter: cos 2πt = ±sin(2π · quarter).
        let turns = ((i64::from(x.bits()) << 16) / TURN) as i32 & (ONE - 1);
        let half = if turns > ONE / 2 { ONE - turns } else { turns };
        let quarter = i64::from(ONE / 4 - half);
        // The series of sin 2πq, odd up to q^9, in units of 2^-16.
        let square = (quarter * quarter) >> 16;
        let mut sum = 2_756_356_i64;
        for coefficient in [-5_026_995_i64, 5_348_082, -2_709_370, 411_775] {
            sum = coefficient + ((sum * square) >> 16);
        }
        Fixed::from_bits((((sum * quarter) >> 16) as i32).clamp(-ONE, ONE))
    }
}

/// The same under another name.
macro_rules! as_the_default {
    ($($name:ty),*) => {$(
        impl Elementary<Fixed> for $name {
            #[inline]
            fn exp(x: Fixed) -> Fixed {
                Libm::exp(x)
            }

            #[inline]
            fn ln(x: Fixed) -> Fixed {
                Libm::ln(x)
            }

            #[inline]
            fn sqrt(x: Fixed) -> Fixed {
                Libm::sqrt(x)
            }

            #[inline]
            fn cbrt(x: Fixed) -> Fixed {
                Libm::cbrt(x)
            }

            #[inline]
            fn tanh(x: Fixed) -> Fixed {
                Libm::tanh(x)
            }

            #[inline]
            fn exp_m1(x: Fixed) -> Fixed {
                Libm::exp_m1(x)
            }

            #[inline]
            fn ln_1p(x: Fixed) -> Fixed {
                Libm::ln_1p(x)
            }

            #[inline]
            fn cos(x: Fixed) -> Fixed {
                Libm::cos(x)
            }
        }
    )*};
}

as_the_default!(Fast, Micromath);
