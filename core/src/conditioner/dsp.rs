//! The quantized kernels for cores with the DSP extension (Cortex-M4, M7, and most M33): the only assembly there is.
//!
//! SXTB16 takes two weights out of a word, SMLAD multiplies two by two activations and adds both products: two
//! instructions for two multiply-accumulates, since [`Block`]s store weights in the order in which SXTB16 finds them. Four
//! rows share the activations that are loaded. Two blocks are a turn of the loop; with an odd number of them, it is
//! entered in its middle. The integers are those of the portable code: sums wrap around, and a product with a
//! [`Requantization`]'s multiplier is what SMULWB gives.
//!
//! Loads and stores are of several words at once, which must be aligned by 4: the types of all that is read and written are.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::hidden::{Four, Quad};
use super::int8::{Block, Requantization};

/// What [`relu_kernel`] reads, and where it writes.
#[repr(C)]
struct Rows {
    weights: *const Block,
    input_end: *const Quad<i16>,
    bias: *const [i32; 4],
    input: *const Quad<i16>,
    odd: usize,
    scale: *const [Requantization; 4],
    units: *mut Quad<i16>,
    units_end: *const Quad<i16>,
}

/// One hidden unit for each row: the bias with the products, requantized, with ReLU. Takes `input.len()` blocks of weights
/// for each four `units`; does nothing if a slice is too short.
#[inline(always)]
pub(super) fn relu(
    weights: &[Block],
    bias: &[[i32; 4]],
    scale: &[[Requantization; 4]],
    input: &[Quad<i16>],
    units: &mut [Quad<i16>],
) {
    let needed = input.len().checked_mul(units.len());
    let enough = needed.is_some_and(|needed| weights.len() >= needed);
    if input.is_empty() || units.is_empty() || !enough || bias.len() < units.len() || scale.len() < units.len() {
        return;
    }
    let units = units.as_mut_ptr_range();
    let read = input.as_ptr_range();
    let mut rows = Rows {
        weights: weights.as_ptr(),
        input_end: read.end,
        bias: bias.as_ptr(),
        input: read.start,
        odd: input.len() & 1,
        scale: scale.as_ptr(),
        units: units.start,
        units_end: units.end,
    };
    // SAFETY: for each of the quads of `units`, of which there is one at least, the kernel reads one element of `bias` and
    // of `scale`, the whole of `input`, which is not empty, and as many blocks: no more than there are, as was compared. It
    // writes the quads of `units`, which are borrowed mutably, and `rows`, and nothing else.
    unsafe { relu_kernel(&mut rows) }
}

/// Adds the products of four rows to their sums. Takes `input.len()` blocks of weights; does nothing if there are fewer.
#[inline(always)]
pub(super) fn add(sums: &mut Four<i32>, weights: &[Block], input: &[Quad<i16>]) {
    if input.is_empty() || weights.len() < input.len() {
        return;
    }
    let read = input.as_ptr_range();
    // SAFETY: the kernel reads the whole of `input`, which is not empty, and as many blocks of weights, which there are. It
    // reads and writes the four sums, which are borrowed mutably, and nothing else.
    unsafe { add_kernel(sums, weights.as_ptr(), read.start, read.end) }
}

/// Four rows by four columns: the sums r4 to r7 gain the products of the block at r0 and the activations at r1; both
/// pointers go on. Uses r3, r8 to r12 and lr.
macro_rules! block {
    () => {
        "ldm r0!, {{r8, r9, r10, r11}}
         ldm r1!, {{r3, r12}}
         sxtb16 lr, r8
         smlad r4, lr, r3, r4
         sxtb16 lr, r9
         smlad r5, lr, r3, r5
         sxtb16 lr, r10
         smlad r6, lr, r3, r6
         sxtb16 lr, r11
         smlad r7, lr, r3, r7
         sxtb16 r8, r8, ror #8
         smlad r4, r8, r12, r4
         sxtb16 r9, r9, ror #8
         smlad r5, r9, r12, r5
         sxtb16 r10, r10, ror #8
         smlad r6, r10, r12, r6
         sxtb16 r11, r11, ror #8
         smlad r7, r11, r12, r7"
    };
}

/// A sum becomes a unit: `((sum * multiplier) >> 16)`, shifted with rounding, clamped to 0..=32767. LSRS leaves in the
/// carry bit 15 of the multiplier, which is 0 in every checked model; a shift by 0 leaves it there, any other one
/// replaces it by the last bit that it shifts out, the half to be added.
macro_rules! requantize {
    ($sum:literal, $scale:literal) => {
        concat!(
            "smulwb ", $sum, ", ", $sum, ", ", $scale, "\n", "lsrs ", $scale, ", ", $scale, ", #16\n", "asrs ", $sum,
            ", ", $sum, ", ", $scale, "\n", "adc ", $sum, ", ", $sum, ", #0\n", "usat ", $sum, ", #15, ", $sum
        )
    };
}

#[cfg(not(feature = "dsp"))]
macro_rules! extension {
    () => {
        ""
    };
}

/// Compilers take the extension to be missing there.
#[cfg(feature = "dsp")]
macro_rules! extension {
    () => {
        ".cpu cortex-m33"
    };
}

/// See [`relu`].
///
/// # Safety
///
/// As for `relu`, of what `rows` points to.
#[unsafe(naked)]
unsafe extern "C" fn relu_kernel(rows: *mut Rows) {
    naked_asm!(
        extension!(),
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldrd r0, r2, [r0]", // weights, input_end
        // A turn for every four rows: the sums begin with the bias.
        "1:",
        "ldr lr, [sp]",
        "ldrd r3, r1, [lr, #8]", // bias, input
        "ldm r3!, {{r4, r5, r6, r7}}",
        "str r3, [lr, #8]",
        "ldr r3, [lr, #16]", // odd
        "cmp r3, #0",
        "bne 3f",
        "2:",
        block!(),
        "3:",
        block!(),
        "cmp r1, r2",
        "bne 2b",
        "ldr lr, [sp]",
        "ldrd r1, r3, [lr, #20]", // scale, units
        "ldr r12, [lr, #28]",     // units_end
        "ldm r1!, {{r8, r9, r10, r11}}",
        requantize!("r4", "r8"),
        requantize!("r5", "r9"),
        requantize!("r6", "r10"),
        requantize!("r7", "r11"),
        "orr r4, r4, r5, lsl #16",
        "orr r6, r6, r7, lsl #16",
        "stm r3!, {{r4, r6}}",
        "strd r1, r3, [lr, #20]",
        "cmp r3, r12",
        "bne 1b",
        "pop {{r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// See [`add`].
///
/// # Safety
///
/// As for `add`: `input_end` lies a whole number of quads, and one at least, behind `input`.
#[unsafe(naked)]
unsafe extern "C" fn add_kernel(
    sums: *mut Four<i32>,
    weights: *const Block,
    input: *const Quad<i16>,
    input_end: *const Quad<i16>,
) {
    naked_asm!(
        extension!(),
        "push {{r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r0, {{r4, r5, r6, r7}}",
        "mov r0, r1",
        "mov r1, r2",
        "mov r2, r3",
        "subs r3, r3, r1",
        "lsls r3, r3, #28", // An odd number of quads, of 8 bytes each.
        "bmi 3f",
        "2:",
        block!(),
        "3:",
        block!(),
        "cmp r1, r2",
        "bne 2b",
        "pop {{r0}}",
        "stm r0, {{r4, r5, r6, r7}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}
