//! For cores with the DSP extension (Cortex-M4, M7, and most M33).
//!
//! SXTB16 takes two weights out of a word, SMLAD multiplies two by two activations and adds both products: two
//! instructions for two multiply-accumulates, since [`Block`]s store weights in the order in which SXTB16 finds them. Four
//! rows share the activations that are loaded. Two blocks are a turn of the loop; with an odd number of them, it is
//! entered in its middle. The integers are those of the portable code: sums wrap around, and a product with a
//! requantization's multiplier is what SMULWB gives.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::assembly::Rows;
use crate::conditioner::hidden::{Four, Quad};
use crate::conditioner::int8::Block;

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

#[cfg(not(flowlet_dsp_by_choice))]
macro_rules! extension {
    () => {
        ""
    };
}

/// Where the extension is an option, assemblers take it to be missing unless told of a core that has it.
#[cfg(flowlet_dsp_by_choice)]
macro_rules! extension {
    () => {
        ".cpu cortex-m33"
    };
}

/// See [`relu`](super::relu).
///
/// # Safety
///
/// As for `relu`, of what `rows` points to.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn relu_kernel(rows: *mut Rows) {
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

/// See [`add`](super::add).
///
/// # Safety
///
/// As for `add`: `input_end` lies a whole number of quads, and one at least, behind `input`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn add_kernel(
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
