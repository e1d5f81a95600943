//! Arithmetic whose bits must be the same everywhere.

/// How many operands there are.
const OPERANDS: usize = 300;

/// Hands out the bits of the results of all operations on all operands. All NaNs count as the same.
pub fn battery(mut result: impl FnMut(u32)) {
    let mut state = 0x2545_f491u32;
    let mut next = || {
        // Xorshift: Marsaglia, *Xorshift RNGs*, 2003. Every third operand has any exponent, the others are near 1.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        if state.is_multiple_of(3) { f32::from_bits(state.rotate_left(9)) } else { state as i32 as f32 / 1e8 }
    };
    for _ in 0..OPERANDS {
        let (a, b, c) = (next(), next(), next());
        for value in [
            a + b,
            a - b,
            a * b,
            a / b,
            // Two roundings: a compiler that fused them would be found out.
            a * b + c,
            a as i32 as f32,
            b as i16 as f32,
            libm::sqrtf(a),
            libm::expf(b),
            libm::logf(c),
            libm::log1pf(a),
            libm::tanhf(b),
        ] {
            result(if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() });
        }
    }
}
