//! QEMU's RISC-V board `virt`. Its 16550 UART wakes the core from its sleep, which then takes what has been received.

#![allow(unsafe_code, reason = "memory-mapped registers")]

use core::ptr;

use flowlet_firmware::Inbox;
use riscv::register::mie;

use crate::architecture::wfi;

/// Received bytes.
pub static INBOX: Inbox<1024> = Inbox::new();

/// Bytes of RAM that a program may take for a buffer.
pub const BUFFER: usize = 256 * 1024;

/// Registers of the UART, a byte each.
const UART: usize = 0x1000_0000;
const DATA: usize = 0;
const INTERRUPTS: usize = 1;
const LINE_STATUS: usize = 5;

const RECEIVED: u8 = 1 << 0;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// Registers of the platform's interrupt controller for the one core in machine mode.
const PLIC: usize = 0x0c00_0000;
const PRIORITIES: usize = 0;
const ENABLED: usize = 0x2000;
const CLAIM: usize = 0x20_0004;

const UART_INTERRUPT: u32 = 10;

/// Reads of the status after which a transmitter that stays full counts as stuck.
const PATIENCE: u32 = 10_000_000;

/// The sending half; what is received goes to the [`INBOX`].
#[derive(Debug)]
pub struct Transmitter(());

/// Starts the UART. Its interrupt stays masked: it ends a sleep, and is not taken.
pub fn start() -> Transmitter {
    write(PLIC + PRIORITIES + 4 * UART_INTERRUPT as usize, 1_u32);
    write(PLIC + ENABLED, 1 << UART_INTERRUPT);
    write(UART + INTERRUPTS, RECEIVED);
    // SAFETY: interrupts are off as a whole, and stay so.
    unsafe { mie::set_mext() };
    Transmitter(())
}

/// Waits for bytes, and takes those that are there.
pub fn sleep() {
    wfi();
    let interrupt: u32 = read(PLIC + CLAIM);
    while read::<u8>(UART + LINE_STATUS) & RECEIVED != 0 {
        INBOX.push(read(UART + DATA));
    }
    write(PLIC + CLAIM, interrupt);
}

impl Transmitter {
    /// Sends bytes. If the transmitter stays full for long the rest is dropped: the host finds the frame damaged, and
    /// the device goes on.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let mut waited = 0;
            while read::<u8>(UART + LINE_STATUS) & TRANSMITTER_EMPTY == 0 {
                waited += 1;
                if waited == PATIENCE {
                    defmt::warn!("the transmitter is stuck: the rest of a frame is dropped");
                    return;
                }
            }
            write(UART + DATA, byte);
        }
    }
}

fn read<T>(register: usize) -> T {
    // SAFETY: a register of the UART or the interrupt controller, which only this module uses, of the size that it has.
    unsafe { ptr::with_exposed_provenance::<T>(register).read_volatile() }
}

fn write<T>(register: usize, value: T) {
    // SAFETY: as above.
    unsafe { ptr::with_exposed_provenance_mut::<T>(register).write_volatile(value) }
}
