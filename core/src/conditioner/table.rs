//! Activations of quantized units: tables with linear interpolation, in integers only.
//!
//! | function | argument in units of | result in units of | largest error, in units of the result |
//! |---|---|---|---|
//! | [`tanh`] | 2^-12 | 2^-15 | 3.8 |
//! | [`elu`] | 2^-11 | 2^-11 | 0.75 |
//! | [`sigmoid`] | 2^-12 | 2^-15 | 2.3 |
//!
//! The compiler computes the tables, in f64 with the same bits on every machine. A test sweeps all arguments.

/// The tables' arguments are 2^-5 apart.
const STEPS: usize = 256;

type Table = [u16; STEPS + 1];

/// tanh m in units of 2^-15, for m = 0, 2^-5, .. 8.
static TANH: Table = {
    let mut table = [0; STEPS + 1];
    let mut rest: &mut [u16] = &mut table;
    let mut m = 0.0;
    while let [place, behind @ ..] = rest {
        let power = exp(-2.0 * m);
        *place = fixed((1.0 - power) / (1.0 + power), i16::MAX as u16);
        m += 1.0 / 32.0;
        rest = behind;
    }
    table
};

/// 1 - e^-m in units of 2^-15, for m = 0, 2^-5, .. 8; at 8, and so beyond, it is 1.
static EXPONENTIAL: Table = {
    let mut table = [0; STEPS + 1];
    let mut rest: &mut [u16] = &mut table;
    let mut m = 0.0;
    while let [place, behind @ ..] = rest {
        *place = if behind.is_empty() { 1 << 15 } else { fixed(1.0 - exp(-m), 1 << 15) };
        m += 1.0 / 32.0;
        rest = behind;
    }
    table
};

/// A value from 0 to 1 in units of 2^-15, rounded.
const fn fixed(value: f64, limit: u16) -> u16 {
    let rounded = (value * 32768.0 + 0.5) as u16;
    if rounded < limit { rounded } else { limit }
}

/// e^x for -16 <= x <= 0: by its series at x / 16, squared four times.
const fn exp(x: f64) -> f64 {
    let small = x / 16.0;
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while n < 24.0 {
        term *= small / n;
        sum += term;
        n += 1.0;
    }
    let mut squared = 0;
    while squared < 4 {
        sum *= sum;
        squared += 1;
    }
    sum
}

/// The table's function of `magnitude`, where 2^`bits` are 2^-5, in units of 2^(`coarse` - 15), rounded.
#[inline(always)]
fn interpolate(table: &Table, magnitude: u32, bits: u32, coarse: u32) -> i32 {
    let index = (magnitude >> bits) as usize;
    let part = magnitude & ((1 << bits) - 1);
    let low = u32::from(table.get(index).copied().unwrap_or(1 << 15));
    let high = u32::from(table.get(index + 1).copied().unwrap_or(1 << 15));
    let half = 1 << (bits + coarse) >> 1;
    (((low << bits) + high.saturating_sub(low) * part + half) >> (bits + coarse)) as i32
}

/// tanh: from units of 2^-12 to units of 2^-15.
#[inline(always)]
pub(crate) fn tanh(x: i16) -> i16 {
    let magnitude = interpolate(&TANH, u32::from(x.unsigned_abs()), 7, 0);
    (if x < 0 { -magnitude } else { magnitude }) as i16
}

/// x above zero, e^x - 1 below: in units of 2^-11.
#[inline(always)]
pub(crate) fn elu(x: i16) -> i16 {
    if x >= 0 { x } else { -interpolate(&EXPONENTIAL, u32::from(x.unsigned_abs()), 6, 4) as i16 }
}

/// 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2: from units of 2^-12 to units of 2^-15.
#[inline(always)]
pub(crate) fn sigmoid(x: i16) -> i16 {
    let half = interpolate(&TANH, u32::from(x.unsigned_abs()), 8, 1);
    (16384 + if x < 0 { -half } else { half }) as i16
}

#[cfg(test)]
mod tests {
    use super::{elu, sigmoid, tanh};

    /// The largest error over all arguments, in units of the result.
    fn error(found: fn(i16) -> i16, unit: f64, result: f64, exact: fn(f64) -> f64) -> f64 {
        (-32767..=32767_i16)
            .fold(0.0, |largest: f64, x| largest.max((f64::from(found(x)) - exact(f64::from(x) * unit) / result).abs()))
    }

    #[test]
    fn errors_are_as_stated() {
        let (fine, middle, coarse) = (libm::exp2(-15.0), libm::exp2(-12.0), libm::exp2(-11.0));
        for (name, found, bound) in [
            ("tanh", error(tanh, middle, fine, libm::tanh), 3.8),
            ("elu", error(elu, coarse, coarse, |x| if x > 0.0 { x } else { libm::expm1(x) }), 0.75),
            ("sigmoid", error(sigmoid, middle, fine, |x| 1.0 / (1.0 + libm::exp(-x))), 2.3),
        ] {
            assert!(found <= bound && found > 0.8 * bound, "{name}: {found}, stated {bound}");
        }
    }

    #[test]
    fn tables_ascend_and_keep_their_symmetry() {
        for x in -32767..32767_i16 {
            assert!(tanh(x + 1) >= tanh(x) && elu(x + 1) >= elu(x) && sigmoid(x + 1) >= sigmoid(x), "{x}");
            assert_eq!(tanh(-x), -tanh(x));
            assert_eq!(i32::from(sigmoid(x)) + i32::from(sigmoid(-x)), 32768);
        }
        assert_eq!((tanh(0), elu(0), sigmoid(0)), (0, 0, 16384));
        assert_eq!((elu(-32767), elu(i16::MIN), tanh(32767), tanh(i16::MIN)), (-2048, -2048, 32767, -32767));
    }
}
