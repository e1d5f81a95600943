//! Arm MPS2+, with the images AN385 (a Cortex-M3), AN386 (a Cortex-M4F; AN500, a Cortex-M7, runs the same) and AN505 (a
//! Cortex-M33). UART0 is a CMSDK APB UART, which receives by interrupt into a queue.

#![allow(unsafe_code, reason = "memory-mapped registers")]

use core::ptr;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use flowlet_firmware::Inbox;

pub use cortex_m::asm::wfi as sleep;

/// Received bytes. So many can wait while a reading is assessed: a host may send that much ahead.
pub static INBOX: Inbox<1024> = Inbox::new();

/// Bytes of RAM that a program may take for a buffer.
pub const BUFFER: usize = 256 * 1024;

/// Where UART0 is, and the number of its receive interrupt. AN505: as the secure side sees it.
const UART0: (usize, u16) = if cfg!(board = "mps2-an505") { (0x5020_0000, 32) } else { (0x4000_4000, 0) };
const BASE: usize = UART0.0;
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const INTCLEAR: usize = 0x0c;
const BAUDDIV: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const STATE_RX_OVERRUN: u32 = 1 << 3;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;

/// Reads of the status after which a transmitter that stays full counts as stuck.
const PATIENCE: u32 = 10_000_000;

/// The sending half; what is received goes to the [`INBOX`].
#[derive(Debug)]
pub struct Transmitter(());

#[derive(Clone, Copy)]
struct ReceiveInterrupt;

// SAFETY: that of UART0's receive interrupt on this board.
unsafe impl InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        UART0.1
    }
}

/// Starts the UART.
pub fn start() -> Transmitter {
    write(BAUDDIV, 16);
    write(CTRL, CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT);
    // SAFETY: no critical section relies on this interrupt's mask.
    unsafe { NVIC::unmask(ReceiveInterrupt) };
    Transmitter(())
}

impl Transmitter {
    /// Sends bytes. If the transmitter stays full for long the rest is dropped: the host finds the frame damaged, and
    /// the device goes on.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let mut waited = 0;
            while read(STATE) & STATE_TX_FULL != 0 {
                waited += 1;
                if waited == PATIENCE {
                    defmt::warn!("the transmitter is stuck: the rest of a frame is dropped");
                    return;
                }
            }
            write(DATA, byte.into());
        }
    }
}

/// Without a device crate all interrupts come here; only the UART's receive interrupt is ever unmasked.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    write(INTCLEAR, INT_RX);
    if read(STATE) & STATE_RX_OVERRUN != 0 {
        // Writing the bit clears it.
        write(STATE, STATE_RX_OVERRUN);
        INBOX.note_overrun();
    }
    while read(STATE) & STATE_RX_FULL != 0 {
        INBOX.push(read(DATA) as u8);
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
