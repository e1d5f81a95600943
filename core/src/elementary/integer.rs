//! Exponential and logarithm in integers: a table of 32 steps for an octave, and a polynomial between them.
//!
//! Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS 15, 1989,
//! has the method. No operation rounds otherwise on another target.

/// 2^(i / 32), in units of 2^-30.
const EXP: [u32; 33] = [
    0x40000000, 0x4166c34c, 0x42d561b4, 0x444c0740, 0x45cae0f2, 0x47521cc6, 0x48e1e9ba, 0x4a7a77d4, 0x4c1bf829,
    0x4dc69cdd, 0x4f7a9930, 0x51382182, 0x52ff6b55, 0x54d0ad5a, 0x56ac1f75, 0x5891fac1, 0x5a82799a, 0x5c7dd7a4,
    0x5e8451d0, 0x60962665, 0x62b39509, 0x64dcdec3, 0x6712460b, 0x69540ec9, 0x6ba27e65, 0x6dfddbcc, 0x70666f76,
    0x72dc8374, 0x75606374, 0x77f25cce, 0x7a92be8b, 0x7d41d96e, 0x80000000,
];

/// 1 / (1 + (i + 1/2) / 32), in units of 2^-16.
const RECIPROCAL: [u32; 32] = [
    0x0fc10, 0x0f48a, 0x0ed73, 0x0e6c3, 0x0e070, 0x0da74, 0x0d4c7, 0x0cf64, 0x0ca46, 0x0c566, 0x0c0c1, 0x0bc52,
    0x0b817, 0x0b40b, 0x0b02c, 0x0ac77, 0x0a8e8, 0x0a57f, 0x0a238, 0x09f11, 0x09c0a, 0x0991f, 0x09650, 0x0939b,
    0x090fe, 0x08e78, 0x08c09, 0x089ae, 0x08768, 0x08534, 0x08312, 0x08102,
];

/// -ln of [`RECIPROCAL`], in units of 2^-31.
const LN: [u32; 32] = [
    0x01fbea8b, 0x05dcda3e, 0x09a0edcb, 0x0d490c9d, 0x10d79e7d, 0x144d336d, 0x17abd302, 0x1af4114f, 0x1e26bb6e,
    0x214625c5, 0x245259f8, 0x274cdcab, 0x2a355d0e, 0x2d0dbe3d, 0x2fd5f877, 0x328ed638, 0x353a0935, 0x37d6613b,
    0x3a65ccfc, 0x3ce8d6c4, 0x3f5e7d1f, 0x41c90f70, 0x4427ae79, 0x467b30d2, 0x48c4875f, 0x4b03d7b5, 0x4d386877,
    0x4f6445aa, 0x5185df09, 0x539f6847, 0x55b05357, 0x57b80ea5,
];

/// log2 e, in units of 2^-30.
const LOG2_E: i64 = 1549082005;

/// ln 2, in units of 2^-15.
const LN_2_SHORT: i32 = 22713;

/// ln 2, in units of 2^-24.
const LN_2: i32 = 11629080;

/// e^x = mantissa · 2^exponent, for x within ±127 in units of 2^-24; the mantissa between 1 and 2, in units of 2^-30. The
/// relative error is below 1e-7, and what x was rounded to comes on top.
#[inline]
pub(super) fn exp(x: i32) -> (u32, i32) {
    // In units of 2^-23: the exponent above, 23 bits of its fraction below.
    let octaves = ((i64::from(x) * LOG2_E + (1 << 30)) >> 31) as i32;
    let (exponent, fraction) = (octaves >> 23, octaves & 0x7F_FFFF);
    // The nearest of the table's steps, and what is left, within ±1/64 octave.
    let step = (fraction + (1 << 17)) >> 18;
    let rest = fraction - (step << 18);
    // y = rest · ln 2, its square / 2 and its cube / 6, in units of 2^-37.
    let y = (rest >> 1) * LN_2_SHORT + (rest & 1) * (LN_2_SHORT >> 1);
    let short = y >> 16;
    let square = (short * short) >> 6;
    let cube = ((((square >> 8) * short) >> 13) * 21_845) >> 16;
    let polynomial = y + square + cube;
    let table = EXP.get(step as usize).copied().unwrap_or(1 << 30);
    let mantissa = i64::from(table) + ((i64::from(table) * i64::from(polynomial)) >> 37);
    (mantissa as u32, exponent)
}

/// ln of a mantissa · 2^exponent, in units of 2^-24; the mantissa between 1 and 2, in units of 2^-31. The absolute error is
/// below 1e-7 + 3e-8 · |exponent|.
#[inline]
pub(super) fn ln(mantissa: u32, exponent: i32) -> i32 {
    let step = (mantissa >> 26) as usize & 31;
    // mantissa · reciprocal - 1, within ±1/64, in units of 2^-31.
    let product = (u64::from(mantissa) * u64::from(RECIPROCAL[step])) >> 16;
    let r = (product as u32).wrapping_sub(1 << 31) as i32;
    let short = r >> 10;
    // r² / 2, r³ / 2 and r⁴ / 4.
    let square = (short * short) >> 12;
    let cube = ((square >> 6) * short) >> 15;
    let fourth = ((square >> 3) * (square >> 3)) >> 25;
    let polynomial = r - square + ((cube * 43_691) >> 16) - fourth;
    let fraction = LN[step] as i32 + polynomial;
    exponent * LN_2 + ((fraction + (1 << 6)) >> 7)
}
