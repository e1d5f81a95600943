//! What the programs share: readings come over UART0, a detector is called, its answer goes back.
#![no_std]

use core::panic::PanicInfo;
use core::ptr;

use cortex_m as _;
use semihosting::process::exit;

/// Sensors of the rig.
pub const FEATURES: usize = 8;

/// Bytes of UART0 of the MPS2 (CMSDK APB UART).
const BASE: usize = 0x4000_4000;
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const BAUDDIV: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_RX_ENABLE: u32 = 0b11;

/// What a detector makes of a reading: a reconstruction, or a score and zeros.
pub type Answer = [f32; FEATURES];

/// Answers readings until one is not a number, then ends the emulator. Eight little-endian f32 come in and go out.
///
/// Nothing here differs between the programs, so what they differ by is the detector.
#[inline(never)]
pub fn serve(evaluate: extern "C" fn(&[f32; FEATURES], &mut Answer)) -> ! {
    write(BAUDDIV, 16);
    write(CTRL, CTRL_TX_RX_ENABLE);
    let (mut reading, mut answer) = ([0.0; FEATURES], [0.0; FEATURES]);
    loop {
        reading.iter_mut().for_each(receive);
        if reading[0].is_nan() {
            exit(0)
        }
        evaluate(&reading, &mut answer);
        answer.iter().for_each(send);
    }
}

#[inline(never)]
fn receive(value: &mut f32) {
    let mut bytes = [0; 4];
    for byte in &mut bytes {
        while read(STATE) & STATE_RX_FULL == 0 {}
        *byte = read(DATA) as u8;
    }
    *value = f32::from_le_bytes(bytes);
}

#[inline(never)]
fn send(value: &f32) {
    for byte in value.to_le_bytes() {
        while read(STATE) & STATE_TX_FULL != 0 {}
        write(DATA, byte.into());
    }
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of UART0, which only this module uses.
    unsafe { ptr::with_exposed_provenance::<u32>(BASE + register).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: a register of UART0, which only this module uses.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(BASE + register).write_volatile(value) }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(101)
}
