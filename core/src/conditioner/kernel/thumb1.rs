//! For cores with the first Thumb instructions only (Cortex-M0, M0+, M1 and M23).
//!
//! Of eight registers that these instructions know, four hold the activations of a quad, which four rows share; the rows'
//! sums wait in the others, which can only be moved. A word of four weights [w0, w2, w1, w3] is shifted down byte by
//! byte, so that each is extended by one instruction and the last by none: 77 instructions for 16 multiply-accumulates.

#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::assembly::Rows;
use crate::conditioner::hidden::{Four, Quad};
use crate::conditioner::int8::Block;

/// A row: the sum gains the products of the word at r1 and the activations r0, r2, r3, r4. Uses r5 to r7.
macro_rules! row {
    ($sum:literal) => {
        concat!(
            "ldm r1!, {{r5}}\n",
            "mov r7, ",
            $sum,
            "\n",
            "sxtb r6, r5\n",
            "muls r6, r0, r6\n",
            "adds r7, r7, r6\n",
            "asrs r5, r5, #8\n",
            "sxtb r6, r5\n",
            "muls r6, r3, r6\n",
            "adds r7, r7, r6\n",
            "asrs r5, r5, #8\n",
            "sxtb r6, r5\n",
            "muls r6, r2, r6\n",
            "adds r7, r7, r6\n",
            "asrs r5, r5, #8\n",
            "muls r5, r4, r5\n",
            "adds r7, r7, r5\n",
            "mov ",
            $sum,
            ", r7"
        )
    };
}

/// Four rows by four columns: the sums r8 to r11 gain the products of the block at r1 and the activations at lr; both
/// pointers go on. Uses r0 and r2 to r7.
macro_rules! block {
    () => {
        concat!(
            "mov r4, lr\n",
            "ldm r4!, {{r0, r3}}\n",
            "mov lr, r4\n",
            "asrs r2, r0, #16\n",
            "sxth r0, r0\n",
            "asrs r4, r3, #16\n",
            "sxth r3, r3\n",
            row!("r8"),
            "\n",
            row!("r9"),
            "\n",
            row!("r10"),
            "\n",
            row!("r11")
        )
    };
}

/// A sum becomes a unit in r4: `((sum * multiplier) >> 16)` by two products, shifted with rounding, clamped to 0..=32767,
/// which is in r7. The scale is at r1. LSRS leaves in the carry bit 15 of the multiplier, which is 0 in every checked
/// model; a shift by 0 leaves it there, any other one replaces it by the last bit that it shifts out, the half to be added.
macro_rules! requantize {
    ($sum:literal) => {
        concat!(
            "ldm r1!, {{r2}}\n",
            "mov r4, ",
            $sum,
            "\n",
            "sxth r3, r2\n",
            "asrs r5, r4, #16\n",
            "muls r5, r3, r5\n",
            "uxth r4, r4\n",
            "muls r4, r3, r4\n",
            "lsrs r4, r4, #16\n",
            "adds r4, r4, r5\n",
            "movs r5, #0\n",
            "lsrs r2, r2, #16\n",
            "asrs r4, r4, r2\n",
            "adcs r4, r4, r5\n",
            "asrs r5, r4, #31\n",
            "bics r4, r4, r5\n",
            "subs r5, r7, r4\n",
            "asrs r5, r5, #31\n",
            "orrs r4, r4, r5\n",
            "ands r4, r4, r7"
        )
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
        "push {{r4, r5, r6, r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r0, r4, r5, r6, r7}}",
        "ldr r1, [r0]",     // weights
        "ldr r3, [r0, #4]", // input_end
        "mov r12, r3",
        // A turn for every four rows: the sums begin with the bias.
        "1:",
        "ldr r0, [sp]",
        "ldr r3, [r0, #8]", // bias
        "ldm r3!, {{r4, r5, r6, r7}}",
        "str r3, [r0, #8]",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldr r2, [r0, #12]", // input
        "mov lr, r2",
        "2:",
        block!(),
        "cmp lr, r12",
        "bne 2b",
        "mov lr, r1",
        "ldr r0, [sp]",
        "ldr r1, [r0, #20]", // scale
        "movs r7, #1",
        "lsls r7, r7, #15",
        "subs r7, r7, #1",
        requantize!("r8"),
        "mov r6, r4",
        requantize!("r9"),
        "lsls r4, r4, #16",
        "orrs r6, r6, r4",
        "mov r8, r6",
        requantize!("r10"),
        "mov r6, r4",
        requantize!("r11"),
        "lsls r4, r4, #16",
        "orrs r6, r6, r4",
        "mov r5, r8",
        "str r1, [r0, #20]",
        "ldr r3, [r0, #24]", // units
        "stm r3!, {{r5, r6}}",
        "str r3, [r0, #24]",
        "ldr r2, [r0, #28]", // units_end
        "mov r1, lr",
        "cmp r3, r2",
        "beq 3f",
        "b 1b",
        "3:",
        "pop {{r0, r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4, r5, r6, r7, pc}}",
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
        "push {{r4, r5, r6, r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r0, r4, r5, r6, r7}}",
        "mov lr, r2",
        "mov r12, r3",
        "ldm r0!, {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "2:",
        block!(),
        "cmp lr, r12",
        "bne 2b",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "pop {{r0}}",
        "stm r0!, {{r4, r5, r6, r7}}",
        "pop {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4, r5, r6, r7, pc}}",
    )
}
