//! BBC micro:bit: a Cortex-M0 with 16 KiB of RAM. The UART of its nRF51822 receives by interrupt into a queue.

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
pub const BUFFER: usize = 8 * 1024;

const BASE: usize = 0x4000_2000;
const STARTRX: usize = 0x000;
const STARTTX: usize = 0x008;
const RXDRDY: usize = 0x108;
const TXDRDY: usize = 0x11c;
const INTENSET: usize = 0x304;
const ERRORSRC: usize = 0x480;
const ENABLE: usize = 0x500;
const PSELTXD: usize = 0x50c;
const PSELRXD: usize = 0x514;
const RXD: usize = 0x518;
const TXD: usize = 0x51c;
const BAUDRATE: usize = 0x524;

const INT_RXDRDY: u32 = 1 << 2;
const ERROR_OVERRUN: u32 = 1 << 0;
const ENABLED: u32 = 4;
const BAUD_115200: u32 = 0x01d7_e000;

/// Pins that the board's USB interface is wired to.
const TXD_PIN: u32 = 24;
const RXD_PIN: u32 = 25;

/// Reads of the event after which a transmitter that does not get ready counts as stuck.
const PATIENCE: u32 = 10_000_000;

/// The sending half; what is received goes to the [`INBOX`].
#[derive(Debug)]
pub struct Transmitter(());

#[derive(Clone, Copy)]
struct UartInterrupt;

// SAFETY: UART0's interrupt is number 2 on this chip.
unsafe impl InterruptNumber for UartInterrupt {
    fn number(self) -> u16 {
        2
    }
}

/// Starts the UART: 115,200 baud, 8 bits, no parity, no flow control.
pub fn start() -> Transmitter {
    write(PSELTXD, TXD_PIN);
    write(PSELRXD, RXD_PIN);
    write(BAUDRATE, BAUD_115200);
    write(ENABLE, ENABLED);
    write(INTENSET, INT_RXDRDY);
    write(STARTTX, 1);
    write(STARTRX, 1);
    // SAFETY: no critical section relies on this interrupt's mask.
    unsafe { NVIC::unmask(UartInterrupt) };
    Transmitter(())
}

impl Transmitter {
    /// Sends bytes. If the transmitter does not get ready for long the rest is dropped: the host finds the frame damaged,
    /// and the device goes on.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            write(TXDRDY, 0);
            write(TXD, byte.into());
            let mut waited = 0;
            while read(TXDRDY) == 0 {
                waited += 1;
                if waited == PATIENCE {
                    defmt::warn!("the transmitter is stuck: the rest of a frame is dropped");
                    return;
                }
            }
        }
    }
}

/// Without a device crate all interrupts come here; only the UART's is ever unmasked.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    if read(ERRORSRC) & ERROR_OVERRUN != 0 {
        // Writing the bit clears it.
        write(ERRORSRC, ERROR_OVERRUN);
        INBOX.note_overrun();
    }
    while read(RXDRDY) != 0 {
        // Before the byte is read: the next one may be there at once.
        write(RXDRDY, 0);
        INBOX.push(read(RXD) as u8);
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
