//! [`Libm`]'s functions, and its exponential without a branch.

use flowlet::elementary::{Elementary, Libm};

/// The bits of [`Libm`], and loops over its exponential become vectors.
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
    let power = power as i32;
    let first = power.clamp(-100, 100);
    let scaled = y * power_of_2(first) * power_of_2((power - first).clamp(-100, 100));
    let result = if magnitude > TINY { scaled } else { 1.0 + x };
    let result = if x >= MOST { f32::INFINITY } else { result };
    let result = if x <= LEAST { 0.0 } else { result };
    if x.is_nan() { x } else { result }
}

#[inline(always)]
fn power_of_2(power: i32) -> f32 {
    f32::from_bits(((power + 127) << 23) as u32)
}

impl Elementary<f32> for Branchless {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp(x)
    }

    fn ln(x: f32) -> f32 {
        Libm::ln(x)
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
        let check = |x: f32| {
            let (found, expected) = (Branchless::exp(x), <Libm as Elementary<f32>>::exp(x));
            assert!(
                found.to_bits() == expected.to_bits() || x.is_nan() && found.is_nan(),
                "{x:e}: {found:e} {expected:e}"
            );
        };
        (0..=u32::MAX).step_by(211).map(f32::from_bits).for_each(check);
        let largest_normal = 0x42ae_ac50;
        let edges = [HALF_LN_2, THREE_HALVES_LN_2, TINY, MOST.to_bits(), (-LEAST).to_bits(), largest_normal, 0];
        for edge in edges {
            for near in edge.saturating_sub(9)..edge + 9 {
                check(f32::from_bits(near));
                check(-f32::from_bits(near));
            }
        }
        [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN].into_iter().for_each(check);
    }
}
