//! Fixed-point numbers, for cores without an FPU: the scalar of a flow that is scored in integers from the reading to the
//! p-value.

use core::ops::{Add, Div, Mul, Neg, Sub};

use crate::real::{Real, Scalar, sealed};

/// 1, in units of 2^-16.
pub(crate) const ONE: i32 = 1 << 16;

/// A multiple of 2^-16 between -32768 and 32768, in an `i32`.
///
/// What exceeds the range saturates at its largest number: a far-off reading is most anomalous, and nothing wraps around.
/// The two outermost numbers are the infinities, which arithmetic hands on as floating-point arithmetic does; there is
/// no NaN, and what would be one is -∞. Products and quotients are rounded to the nearest, ties up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fixed(i32);

impl Fixed {
    /// +∞.
    pub const INFINITY: Self = Self(i32::MAX);
    /// -∞.
    pub const NEG_INFINITY: Self = Self(-i32::MAX);
    /// The largest number.
    pub const LARGEST: Self = Self(i32::MAX - 1);
    /// The smallest number.
    pub const SMALLEST: Self = Self(1 - i32::MAX);

    /// The number of so many units of 2^-16.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: i32) -> Self {
        // Without the one that has no opposite.
        Self(if bits == i32::MIN { -i32::MAX } else { bits })
    }

    /// In units of 2^-16.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> i32 {
        self.0
    }

    /// What a wide result saturates to.
    #[inline(always)]
    fn saturated(wide: i64) -> Self {
        if wide > i64::from(Self::LARGEST.0) {
            Self::LARGEST
        } else if wide < i64::from(Self::SMALLEST.0) {
            Self::SMALLEST
        } else {
            Self(wide as i32)
        }
    }

    #[inline(always)]
    fn is_infinite(self) -> bool {
        self.0 == i32::MAX || self.0 == -i32::MAX
    }

    /// ±∞, by the sign of a product or a quotient.
    #[cold]
    fn infinity(self, other: Self) -> Self {
        if (self.0 < 0) == (other.0 < 0) && self.0 != 0 && other.0 != 0 { Self::INFINITY } else { Self::NEG_INFINITY }
    }

    /// A sum with an infinity: that of the first, unless it has none.
    #[cold]
    fn infinite_sum(self, other: Self) -> Self {
        if self == Self::NEG_INFINITY || other == Self::NEG_INFINITY { Self::NEG_INFINITY } else { Self::INFINITY }
    }
}

/// A raw reading as a converter gives it. The lowest one is the smallest number, which is a little above it.
impl From<i16> for Fixed {
    #[inline(always)]
    fn from(raw: i16) -> Self {
        Self((i32::from(raw) << 16).max(Self::SMALLEST.0))
    }
}

impl Add for Fixed {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        if self.is_infinite() || other.is_infinite() {
            return self.infinite_sum(other);
        }
        Self(self.0.saturating_add(other.0).clamp(Self::SMALLEST.0, Self::LARGEST.0))
    }
}

impl Sub for Fixed {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Fixed {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        Self(self.0.wrapping_neg())
    }
}

impl Mul for Fixed {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        if self.is_infinite() || other.is_infinite() {
            return self.infinity(other);
        }
        Self::saturated((i64::from(self.0) * i64::from(other.0) + (1 << 15)) >> 16)
    }
}

impl Div for Fixed {
    type Output = Self;

    /// Digit by digit: without a division in hardware that is no slower, and takes no routine for 64 bits.
    #[inline(never)]
    fn div(self, other: Self) -> Self {
        if self.is_infinite() || other.0 == 0 {
            // 0 / 0 and ∞ / ∞ are no numbers.
            let none = self.0 == 0 || other.is_infinite();
            return if none { Self::NEG_INFINITY } else { self.infinity(Self(other.0 | 1)) };
        }
        if other.is_infinite() {
            return Self(0);
        }
        let (size, divisor) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        let mut quotient = if size < divisor { 0 } else { size.checked_div(divisor).unwrap_or(u32::MAX) };
        let mut rest = size.wrapping_sub(quotient.wrapping_mul(divisor));
        if quotient >= 1 << 15 {
            return if (self.0 < 0) == (other.0 < 0) { Self::LARGEST } else { Self::SMALLEST };
        }
        for _ in 0..16 {
            rest <<= 1;
            quotient <<= 1;
            if rest >= divisor {
                rest -= divisor;
                quotient |= 1;
            }
        }
        let rounded = (quotient + u32::from(rest << 1 >= divisor)).min(Self::LARGEST.0 as u32) as i32;
        Self(if (self.0 < 0) == (other.0 < 0) { rounded } else { -rounded })
    }
}

/// A finite f32 as significand · 2^exponent: an integer of 24 bits with a sign.
#[inline(always)]
fn parts(value: f32) -> (i32, i32) {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23 & 0xFF) as i32, (bits & 0x7F_FFFF) as i32);
    let (size, exponent) = if exponent == 0 { (fraction, -149) } else { (fraction | 1 << 23, exponent - 150) };
    (if bits >> 31 == 0 { size } else { -size }, exponent)
}

/// wide · 2^exponent, rounded and saturated.
#[inline]
fn shifted(wide: i64, exponent: i32) -> Fixed {
    match exponent {
        // A significand of 24 bits so far up is beyond the range, or 0.
        32.. => Fixed::saturated(wide.signum() << 32),
        0..32 => Fixed::saturated(wide.clamp(-(1 << 31), 1 << 31) << exponent),
        -62..0 => Fixed::saturated(((wide >> (-exponent - 1)) + 1) >> 1),
        _ => Fixed(0),
    }
}

/// value · factor · 2^exponent. Not inlined: it is most of what a score computes, and flash is dear where there is no FPU.
#[inline(never)]
fn product(value: i32, factor: f32, exponent: i32) -> Fixed {
    let (significand, own) = parts(factor);
    shifted(i64::from(value) * i64::from(significand), own + exponent)
}

impl sealed::Sealed for Fixed {}

impl Real for Fixed {
    const ZERO: Self = Self(0);
    const ONE: Self = Self(ONE);

    /// Beyond the range: the largest number. NaN gives -∞.
    #[inline]
    fn from_f32(value: f32) -> Self {
        if value.to_bits() & 0x7FFF_FFFF >= 0x7F80_0000 {
            return if value.to_bits() == f32::INFINITY.to_bits() { Self::INFINITY } else { Self::NEG_INFINITY };
        }
        let (significand, exponent) = parts(value);
        shifted(significand.into(), exponent + 16)
    }

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        Self::saturated(i64::from(value) << 16)
    }

    /// Rounded towards 0, in integers.
    #[inline]
    fn to_f32(self) -> f32 {
        let sign = self.0 as u32 & 1 << 31;
        if self.is_infinite() {
            return f32::from_bits(sign | f32::INFINITY.to_bits());
        }
        let size = self.0.unsigned_abs();
        if size == 0 {
            return 0.0;
        }
        let up = size.leading_zeros();
        let significand = (size << up) >> 8;
        // The first bit counts 2^(15 - up).
        f32::from_bits(sign | (((127 + 15 - up - 1) << 23) + significand))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        if self.0 < 0 { -self } else { self }
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        !self.is_infinite()
    }

    #[inline(always)]
    fn next_up(self) -> Self {
        Self::from_bits(self.0.saturating_add(1))
    }

    #[inline(always)]
    fn next_down(self) -> Self {
        if self == Self::INFINITY { self } else { Self::from_bits(self.0.saturating_sub(1)) }
    }

    #[inline(always)]
    fn round_i16(self) -> i16 {
        // The nearest, ties to even.
        let (whole, fraction) = (self.0 >> 16, self.0 & 0xFFFF);
        let up = fraction > 0x8000 || fraction == 0x8000 && whole & 1 == 1;
        (whole + i32::from(up)).clamp(-32767, 32767) as i16
    }

    #[inline(always)]
    fn scale(self, factor: f32) -> Self {
        if self.is_infinite() { self } else { product(self.0, factor, 0) }
    }

    #[inline]
    fn standardized(self, mean: f32, inverse_scale: f32) -> Self {
        if self.is_infinite() {
            return self;
        }
        // A difference of two numbers of one unit may be out of range when its multiple is not.
        let difference = i64::from(self.0) - i64::from(Self::from_f32(mean).0);
        let (significand, exponent) = parts(inverse_scale);
        shifted(difference * i64::from(significand), exponent)
    }

    #[inline(always)]
    fn quantized(self, inverse_unit: f32) -> i16 {
        // From units of 2^-16 to whole ones.
        product(self.0, inverse_unit, -16).0.clamp(-32767, 32767) as i16
    }

    #[inline(always)]
    fn scaled(sum: i32, unit: f32) -> Self {
        product(sum, unit, 16)
    }
}

impl Scalar for Fixed {
    const ARITHMETIC: &'static str = "Fixed16Saturating";

    type Reading<'a, const D: usize> = [Self; D];

    #[inline]
    fn read<const D: usize>(values: &[f32; D]) -> [Self; D] {
        values.map(Self::from_f32)
    }

    /// The same bits as those of a division in f32, as long as both numbers have no more than 24.
    fn fraction(part: u32, whole: u32) -> f32 {
        // A rest has room to be doubled.
        let (part, whole) = if whole >> 31 == 0 { (part, whole) } else { (part >> 1, whole >> 1) };
        if part == 0 {
            return 0.0;
        }
        let (mut rest, mut exponent) = (part.min(whole), 127);
        while rest < whole {
            rest <<= 1;
            exponent -= 1;
        }
        // Digit by digit, as a division is: those of a significand, and one to round by.
        let mut digits = 0_u32;
        for _ in 0..25 {
            digits <<= 1;
            if rest >= whole {
                rest -= whole;
                digits |= 1;
            }
            rest <<= 1;
        }
        let significand = digits >> 1;
        let up = digits & 1 == 1 && (rest != 0 || significand & 1 == 1);
        // The first digit goes into the exponent, and so does a carry.
        f32::from_bits(((exponent - 1) << 23) + significand + u32::from(up))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{Fixed, ONE};
    use crate::real::{Real, Scalar};

    /// Numbers of all sizes and both signs, and the infinities.
    fn numbers() -> impl Iterator<Item = Fixed> {
        let sizes =
            (0..31).flat_map(|shift| [1_i32 << shift, (1 << shift) + 1, (1 << shift) - 1, 0x5555_5555 >> shift]);
        sizes.flat_map(|bits| [bits, -bits]).chain([i32::MAX - 1, i32::MAX, -i32::MAX, 1 - i32::MAX]).map(Fixed)
    }

    fn double(x: Fixed) -> f64 {
        match x {
            Fixed::INFINITY => f64::INFINITY,
            Fixed::NEG_INFINITY => f64::NEG_INFINITY,
            Fixed(bits) => f64::from(bits) / f64::from(ONE),
        }
    }

    /// What an exact result rounds or saturates to, give or take a tie.
    fn check(found: Fixed, exact: f64, what: &str) {
        if exact.is_nan() {
            assert_eq!(found, Fixed::NEG_INFINITY, "{what}");
        } else if exact.is_infinite() {
            assert_eq!(double(found), exact, "{what}");
        } else {
            let nearest = exact.clamp(double(Fixed::SMALLEST), double(Fixed::LARGEST));
            assert!((double(found) - nearest).abs() <= 0.5 / f64::from(ONE), "{what}: {found:?}, exactly {exact}");
        }
    }

    #[test]
    fn operations_are_rounded_exact_ones_and_saturate() {
        for a in numbers() {
            check(-a, -double(a), "-a");
            check(a.abs(), double(a).abs(), "|a|");
            for b in numbers() {
                let what = std::format!("{a:?} and {b:?}");
                check(a + b, double(a) + double(b), &what);
                check(a * b, double(a) * double(b), &what);
                // Two zeros have one sign here: x / 0 is of the sign of x.
                check(a / b, double(a) / double(b), &what);
                if double(a).is_finite() || double(b).is_finite() {
                    check(a - b, double(a) - double(b), &what);
                }
                assert_eq!(a < b, double(a) < double(b));
            }
        }
    }

    #[test]
    fn floats_convert_both_ways() {
        for x in numbers() {
            let back = f64::from(x.to_f32());
            assert!(back == double(x) || (back - double(x)).abs() <= double(x).abs() * 1.2e-7, "{x:?}: {back}");
            if x.0.unsigned_abs() < 1 << 24 {
                assert_eq!(Fixed::from_f32(x.to_f32()), x);
            }
        }
        for value in [0.0, -0.0, 1e-45, 7.6e-6, 7.7e-6, -7.7e-6, 0.1, 1.0, -1.5, 32767.9, 32768.0, -1e9, f32::MAX] {
            check(Fixed::from_f32(value), value.into(), "from_f32");
        }
        assert_eq!(Fixed::from_f32(f32::INFINITY), Fixed::INFINITY);
        assert_eq!(Fixed::from_f32(f32::NEG_INFINITY), Fixed::NEG_INFINITY);
        assert_eq!(Fixed::from_f32(f32::NAN), Fixed::NEG_INFINITY);
        assert!(!Fixed::from_f32(f32::NAN).is_finite() && Fixed::from_f32(f32::MAX).is_finite());
        for raw in [i16::MIN + 1, -1, 0, 1, 255, i16::MAX] {
            assert_eq!(double(Fixed::from(raw)), f64::from(raw));
        }
        assert!(Fixed::from(i16::MIN).is_finite());
    }

    #[test]
    fn products_with_parameters_keep_the_parameters_digits() {
        for factor in [1e-38_f32, 1e-9, 3.3e-5, 0.1, 1.0, 1234.5, 1e6, 1e30] {
            for x in numbers().filter(|x| x.is_finite()) {
                check(x.scale(factor), double(x) * f64::from(factor), "scale");
                check(x.standardized(-30_000.5, factor), (double(x) + 30_000.5) * f64::from(factor), "standardized");
                check(Fixed::scaled(x.0, factor), f64::from(x.0) * f64::from(factor), "scaled");
                let exact = (double(x) * f64::from(factor)).clamp(-32767.0, 32767.0);
                assert!((f64::from(x.quantized(factor)) - exact).abs() <= 0.5, "quantized: {x:?} {factor}");
            }
        }
    }

    #[test]
    fn fractions_are_those_of_floats() {
        for whole in [1, 2, 3, 7, 130, 1000, 65_537, 16_777_215, 16_777_216] {
            for part in [0, 1, 2, 5, whole / 3, whole / 2, whole - 1, whole].into_iter().filter(|part| *part <= whole) {
                let (found, exact) = (Fixed::fraction(part, whole), part as f32 / whole as f32);
                assert_eq!(found.to_bits(), exact.to_bits(), "{part} / {whole}: {found}, but {exact}");
            }
        }
        for part in [0, 1, 12_345, u32::MAX / 3, u32::MAX - 1, u32::MAX] {
            let (found, exact) = (Fixed::fraction(part, u32::MAX), f64::from(part) / f64::from(u32::MAX));
            assert!((f64::from(found) - exact).abs() < 3e-10 + 6e-8 * exact && found <= 1.0, "{part}: {found}");
        }
    }

    #[test]
    fn rounding_is_that_of_floats() {
        for x in [0.5_f32, 1.5, -0.5, -1.5, 2.25, -2.75, 32_766.5, 32_767.0, -32_768.0] {
            assert_eq!(Fixed::from_f32(x).round_i16(), x.round_i16(), "{x}");
        }
    }
}
