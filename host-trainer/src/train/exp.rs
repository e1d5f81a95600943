//! Exponentials and logarithms that vectorize: arithmetic, comparisons and shifts alone, without a branch or a call.
//!
//! Training alone uses them. What is scored goes through the core's, whose bits are part of a model.
//!
//! | | largest relative error of [`Fast::fast_exp`] | of [`Fast::fast_ln`] |
//! |---|---|---|
//! | `f32` | 1e-7 | 1e-7 |
//! | `f64` | 4e-16 | 4e-16 |

/// Elementary functions for row loops.
pub trait Fast: Copy {
    /// e^x, with x clamped to where that is a normal number; NaN of NaN.
    fn fast_exp(self) -> Self;

    /// ln x; smaller numbers than the smallest normal one count as that. NaN of NaN.
    fn fast_ln(self) -> Self;

    /// ln(1 + x) for an x that is not negative, accurate near 0.
    fn fast_ln_1p(self) -> Self;

    /// ln(1 + e^x), without an overflow.
    fn fast_softplus(self) -> Self;

    /// 1 / (1 + e^-x), without an overflow.
    fn fast_sigmoid(self) -> Self;
}

macro_rules! fast {
    ($float:ident, $signed:ident, $unsigned:ident, $module:ident) => {
        impl Fast for $float {
            #[inline(always)]
            fn fast_exp(self) -> Self {
                use $module::*;
                let x = if self < LEAST { LEAST } else { self };
                let x = if x > MOST { MOST } else { x };
                // Adding 1.5 * 2^MANTISSA leaves the nearest integer in the low bits of the significand.
                let shifted = x * std::$float::consts::LOG2_E + SHIFTER;
                let n = shifted - SHIFTER;
                let rest = (x - n * LN_2_HIGH) - n * LN_2_LOW;
                let mut series = LAST;
                for coefficient in SERIES {
                    series = series * rest + coefficient;
                }
                let series = (series * rest * rest + rest) + 1.0;
                let n = (shifted.to_bits() as $signed).wrapping_sub(SHIFTER.to_bits() as $signed);
                series * $float::from_bits((n.wrapping_add(BIAS) << MANTISSA) as $unsigned)
            }

            #[inline(always)]
            fn fast_ln(self) -> Self {
                use $module::*;
                let x = if self < $float::MIN_POSITIVE { $float::MIN_POSITIVE } else { self };
                // x = 2^k * (1 + f) with 1 + f between √½ and √2.
                let bits = x.to_bits().wrapping_add((BIAS as $unsigned).wrapping_shl(MANTISSA) - ROOT_HALF);
                let k = ((bits >> MANTISSA) as $signed - BIAS) as $float;
                let f = $float::from_bits((bits & ((1 << MANTISSA) - 1)) + ROOT_HALF) - 1.0;
                // ln(1 + f) = f - f²/2 + s (f²/2 + R(s²)) with s = f / (2 + f): the C library's way since fdlibm.
                let s = f / (2.0 + f);
                let z = s * s;
                let mut series = LN_LAST;
                for coefficient in LN_SERIES {
                    series = series * z + coefficient;
                }
                let half_square = 0.5 * f * f;
                let ln = k * LN_2_HIGH - ((half_square - (s * (half_square + z * series) + k * LN_2_LOW)) - f);
                if x < $float::INFINITY { ln } else { x }
            }

            #[inline(always)]
            fn fast_ln_1p(self) -> Self {
                let sum = 1.0 + self;
                // What rounding took from the sum, back to first order.
                sum.fast_ln() + (self - (sum - 1.0)) / sum
            }

            #[inline(always)]
            fn fast_softplus(self) -> Self {
                let positive = if self > 0.0 { self } else { 0.0 };
                positive + (-self.abs()).fast_exp().fast_ln_1p()
            }

            #[inline(always)]
            fn fast_sigmoid(self) -> Self {
                let small = (-self.abs()).fast_exp();
                let large = 1.0 / (1.0 + small);
                if self > 0.0 { large } else { small * large }
            }
        }
    };
}

fast!(f32, i32, u32, single);
fast!(f64, i64, u64, double);

mod single {
    pub const MANTISSA: u32 = 23;
    pub const BIAS: i32 = 127;
    pub const SHIFTER: f32 = 12_582_912.0;
    pub const LEAST: f32 = -87.0;
    pub const MOST: f32 = 88.0;
    /// ln 2 in two parts, the first of so few bits that its product with an exponent is exact.
    pub const LN_2_HIGH: f32 = 0.693_359_4;
    pub const LN_2_LOW: f32 = -2.121_944_4e-4;
    /// 1/7!, and down to 1/2!.
    pub const LAST: f32 = 1.0 / 5040.0;
    pub const SERIES: [f32; 5] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5];
    pub const ROOT_HALF: u32 = 0x3F35_04F3;
    pub const LN_LAST: f32 = 0.242_790_79;
    pub const LN_SERIES: [f32; 3] = [0.284_987_87, 0.400_009_72, 0.666_666_6];
}

mod double {
    pub const MANTISSA: u32 = 52;
    pub const BIAS: i64 = 1023;
    pub const SHIFTER: f64 = 6_755_399_441_055_744.0;
    pub const LEAST: f64 = -708.0;
    pub const MOST: f64 = 709.0;
    pub const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    pub const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// 1/13!, and down to 1/2!.
    pub const LAST: f64 = 1.0 / 6_227_020_800.0;
    pub const SERIES: [f64; 11] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ];
    pub const ROOT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    pub const LN_LAST: f64 = 1.479_819_860_511_658_6e-1;
    pub const LN_SERIES: [f64; 6] = [
        1.531_383_769_920_937_3e-1,
        1.818_357_216_161_805e-1,
        2.222_219_843_214_978_4e-1,
        2.857_142_874_366_239e-1,
        3.999_999_999_940_942e-1,
        6.666_666_666_666_735e-1,
    ];
}

#[cfg(test)]
mod tests {
    use super::Fast;

    /// Numbers of both ends of the range, of its middle and close to 0.
    fn sweep(least: f64, most: f64) -> impl Iterator<Item = f64> {
        let wide = (0..200_000).map(move |i| least + (most - least) * f64::from(i) / 199_999.0);
        let near = (1..200).flat_map(|i| [1.7_f64.powi(-i), -(1.7_f64.powi(-i))]);
        wide.chain(near)
    }

    #[test]
    fn keep_their_error_bounds() {
        let [mut exp_32, mut exp_64, mut ln_32, mut ln_64, mut ln_1p_32, mut ln_1p_64] = [0.0_f64; 6];
        let error = |value: f64, exact: f64| ((value - exact) / exact).abs();
        for x in sweep(-87.0, 88.0) {
            let single = x as f32;
            exp_32 = exp_32.max(error(single.fast_exp().into(), f64::from(single).exp()));
            exp_64 = exp_64.max(error(x.fast_exp(), x.exp())).max(error((8.0 * x).fast_exp(), (8.0 * x).exp()));
            let (y, x) = (f64::from(single.exp()), x.exp());
            if y.is_normal() && y != 1.0 {
                ln_32 = ln_32.max(error((y as f32).fast_ln().into(), y.ln()));
            }
            if x != 1.0 {
                ln_64 = ln_64.max(error(x.fast_ln(), x.ln()));
            }
            if y < 1.0 {
                ln_1p_32 = ln_1p_32.max(error((y as f32).fast_ln_1p().into(), y.ln_1p()));
                ln_1p_64 = ln_1p_64.max(error(x.fast_ln_1p(), x.ln_1p()));
            }
        }
        assert!(exp_32 < 1e-7 && exp_64 < 4e-16, "{exp_32:e} {exp_64:e}");
        assert!(ln_32 < 1e-7 && ln_64 < 4e-16, "{ln_32:e} {ln_64:e}");
        assert!(ln_1p_32 < 2e-7 && ln_1p_64 < 5e-16, "{ln_1p_32:e} {ln_1p_64:e}");
    }

    #[test]
    fn end_as_the_type_ends() {
        for x in [1e3, 1e30, f32::INFINITY] {
            assert_eq!((x.fast_exp(), (-x).fast_exp()), (88.0_f32.fast_exp(), (-87.0_f32).fast_exp()));
            let x = f64::from(x);
            assert_eq!((x.fast_exp(), (-x).fast_exp()), (709.0_f64.fast_exp(), (-708.0_f64).fast_exp()));
        }
        assert_eq!((f32::INFINITY.fast_ln(), f64::INFINITY.fast_ln()), (f32::INFINITY, f64::INFINITY));
        assert_eq!((0.0_f32.fast_ln(), 0.0_f64.fast_ln()), (f32::MIN_POSITIVE.ln(), f64::MIN_POSITIVE.ln()));
        assert!(f32::NAN.fast_exp().is_nan() && f64::NAN.fast_exp().is_nan());
        assert!(f32::NAN.fast_ln().is_nan() && f64::NAN.fast_ln().is_nan());
    }

    #[test]
    fn logistic_functions_neither_overflow_nor_lose_their_tails() {
        for x in sweep(-700.0, 700.0) {
            let (softplus, sigmoid) = (x.exp().ln_1p(), 1.0 / (1.0 + (-x).exp()));
            assert!((x.fast_softplus() - softplus).abs() <= 1e-14 * softplus, "{x}");
            assert!((x.fast_sigmoid() - sigmoid).abs() <= 1e-14 * sigmoid, "{x}");
        }
        assert_eq!((1e6.fast_softplus(), 1e6_f32.fast_sigmoid()), (1e6, 1.0));
        assert!((-1e6).fast_softplus() < 1e-300 && (-1e6_f32).fast_sigmoid() < 1e-37);
    }
}
