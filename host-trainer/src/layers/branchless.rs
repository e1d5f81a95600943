//! [`Libm`]'s functions, its exponential and its logarithm without a branch.

use flowlet::elementary::{Elementary, Libm};

/// The bits of [`Libm`], and loops over its exponential and its logarithm become vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branchless;

/// ln 2 / 2, as bits: above it a power of two is taken out.
const HALF_LN_2: u32 = 0x3eb1_7218;
/// 3/2 ln 2, as bits: above it the power may be more than one.
const THREE_HALVES_LN_2: u32 = 0x3f85_1592;
/// 2^-14, as bits: up to it e^x is 1 + x.
const TINY: u32 = 0x3900_0000;
const INVERSE_LN_2: f32 = f32::from_bits(0x3fb8_aa3b);
/// ln 2 in two parts, the first of so few bits that its product with a power is exact.
const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7200);
const LN_2_LOW: f32 = f32::from_bits(0x35bf_be8e);
/// Of the rational approximation around 0.
const P_1: f32 = f32::from_bits(0x3e2a_aa8f);
const P_2: f32 = f32::from_bits(0xbb35_5215);
/// From here on infinite.
const MOST: f32 = f32::from_bits(0x42b1_7218);
/// Down to here not 0.
const LEAST: f32 = -f32::from_bits(0x42cf_f1b5);

/// The operations of libm's `expf` (after FreeBSD's `e_expf.c`): all cases are computed, and one of them is chosen.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let magnitude = x.to_bits() & 0x7FFF_FFFF;
    let sign = 1.0_f32.copysign(x);
    let several = (INVERSE_LN_2 * x + 0.5 * sign).trunc();
    let power = if magnitude > THREE_HALVES_LN_2 { several } else { sign };
    let power = if magnitude > HALF_LN_2 { power } else { 0.0 };
    let high = x - power * LN_2_HIGH;
    let low = power * LN_2_LOW;
    let rest = high - low;
    let square = rest * rest;
    let c = rest - square * (P_1 + square * P_2);
    let y = 1.0 + (rest * c / (2.0 - c) - low + high);
    // Two factors, of which the first one is exact, so that what is no normal number is rounded once.
    // A conversion that saturates is no vector's; adding 1.5 * 2^23 leaves the integer in the low bits. What is beyond these is
    // not looked at below.
    const SHIFTER: f32 = 12_582_912.0;
    let power = ((power + SHIFTER).to_bits() as i32).wrapping_sub(SHIFTER.to_bits() as i32);
    let first = power.clamp(-100, 100);
    let scaled = y * power_of_2(first) * power_of_2(power.wrapping_sub(first).clamp(-100, 100));
    let result = if magnitude > TINY { scaled } else { 1.0 + x };
    let result = if x >= MOST { f32::INFINITY } else { result };
    let result = if x <= LEAST { 0.0 } else { result };
    if x.is_nan() { x } else { result }
}

#[inline(always)]
fn power_of_2(power: i32) -> f32 {
    f32::from_bits(((power + 127) << 23) as u32)
}

/// sqrt(2) / 2, as bits: significands are taken from here to twice as far.
const ROOT_HALF: u32 = 0x3f35_04f3;
const ONE: u32 = 0x3f80_0000;
const SMALLEST_NORMAL: u32 = 0x0080_0000;
/// ln 2 in two parts, as the logarithm has them.
const LN_2_UPPER: f32 = f32::from_bits(0x3f31_7180);
const LN_2_LOWER: f32 = f32::from_bits(0x3717_f7d1);
/// Of the polynomial for ln(1 + s) - ln(1 - s).
const LG_1: f32 = 0.666_666_6;
const LG_2: f32 = 0.400_009_72;
const LG_3: f32 = 0.284_987_87;
const LG_4: f32 = 0.242_790_79;

/// The operations of libm's `logf` (after FreeBSD's `e_logf.c`), in the same way.
#[inline(always)]
fn ln(x: f32) -> f32 {
    let is_subnormal = x.to_bits() < SMALLEST_NORMAL;
    // Numbers with fewer bits are scaled by 2^25.
    let scaled = if is_subnormal { x * 33_554_432.0 } else { x };
    let bits = scaled.to_bits().wrapping_add(ONE - ROOT_HALF);
    let exponent = (bits >> 23) as i32 - 127 - if is_subnormal { 25 } else { 0 };
    let f = f32::from_bits((bits & 0x007F_FFFF) + ROOT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let rest = z * (LG_1 + w * LG_3) + w * (LG_2 + w * LG_4);
    let half_square = 0.5 * f * f;
    let power = exponent as f32;
    let result = s * (half_square + rest) + power * LN_2_LOWER - half_square + f + power * LN_2_UPPER;
    let result = if x == f32::INFINITY { x } else { result };
    let result = if x == 0.0 { f32::NEG_INFINITY } else { result };
    // Also where x is no number.
    if x >= 0.0 { result } else { f32::NAN }
}

impl Elementary<f32> for Branchless {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp(x)
    }

    #[inline(always)]
    fn ln(x: f32) -> f32 {
        ln(x)
    }

    #[inline(always)]
    fn sqrt(x: f32) -> f32 {
        Libm::sqrt(x)
    }

    fn cbrt(x: f32) -> f32 {
        Libm::cbrt(x)
    }

    fn tanh(x: f32) -> f32 {
        Libm::tanh(x)
    }

    fn exp_m1(x: f32) -> f32 {
        Libm::exp_m1(x)
    }

    fn ln_1p(x: f32) -> f32 {
        Libm::ln_1p(x)
    }

    fn cos(x: f32) -> f32 {
        Libm::cos(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 211th float of either sign, and all within a few units of where a case begins.
    #[test]
    fn has_libms_bits() {
        fn same(x: f32, found: f32, expected: f32) {
            let both_nan = found.is_nan() && expected.is_nan();
            assert!(found.to_bits() == expected.to_bits() || both_nan, "{x:e}: {found:e} {expected:e}");
        }
        let check = |x: f32| {
            same(x, Branchless::exp(x), <Libm as Elementary<f32>>::exp(x));
            same(x, Branchless::ln(x), <Libm as Elementary<f32>>::ln(x));
        };
        (0..=u32::MAX).step_by(211).map(f32::from_bits).for_each(check);
        let largest_normal = 0x42ae_ac50;
        let edges = [HALF_LN_2, THREE_HALVES_LN_2, TINY, MOST.to_bits(), (-LEAST).to_bits(), largest_normal, 0];
        let edges = edges.into_iter().chain([ROOT_HALF, ONE, SMALLEST_NORMAL]);
        for edge in edges {
            for near in edge.saturating_sub(9)..edge + 9 {
                check(f32::from_bits(near));
                check(-f32::from_bits(near));
            }
        }
        [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN].into_iter().for_each(check);
    }
}
