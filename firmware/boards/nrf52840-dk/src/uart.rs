//! UARTE0 on the pins of the board's virtual COM port, which receives by interrupt into a queue.
//!
//! The peripheral moves bytes by DMA only, into a buffer that is announced before the one in use is full. Two buffers
//! of one byte take turns, so that each byte is there when it arrives, and the interrupt has the time of two bytes
//! (170 us at 115,200 baud) to fetch it.

#![allow(unsafe_code, reason = "registers that hold addresses, and the mask of an interrupt")]

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering, compiler_fence};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use flowlet_firmware::{Inbox, frame};
use nrf52840_pac::uarte0::RegisterBlock;
use nrf52840_pac::{CLOCK, Interrupt, UARTE0};

/// Received bytes. So many can wait while a reading is assessed: a host may send that much ahead.
pub static INBOX: Inbox<1024> = Inbox::new();

/// Where DMA puts received bytes, in turn.
static BUFFERS: [AtomicU8; 2] = [AtomicU8::new(0), AtomicU8::new(0)];

/// Which of them fills now.
static SECOND: AtomicBool = AtomicBool::new(false);

/// Pins of port 0 that the virtual COM port is wired to.
const TXD: u32 = 6;
const RXD: u32 = 8;

/// Looks at a register after which something that should happen counts as stuck: well over the time of a frame.
const PATIENCE: u32 = 2_000_000;

/// The sending half; what is received goes to the [`INBOX`].
pub struct Uart {
    uarte: UARTE0,
    /// DMA reads RAM only, and may still read when a stuck transmission is given up: so it is not on the stack.
    outgoing: &'static [AtomicU8; frame::MAX_RESPONSE],
}

impl Uart {
    /// Starts the UART: 115,200 baud, 8 bits, no parity, no flow control.
    pub fn start(uarte: UARTE0, clock: &CLOCK) -> Self {
        static OUTGOING: [AtomicU8; frame::MAX_RESPONSE] = [const { AtomicU8::new(0) }; frame::MAX_RESPONSE];
        // The baud rate is derived from the high-frequency clock, and only the crystal is accurate enough.
        clock.tasks_hfclkstart.write(|w| w.tasks_hfclkstart().set_bit());
        if !within_patience(|| clock.events_hfclkstarted.read().events_hfclkstarted().bit()) {
            defmt::warn!("the crystal oscillator does not start: the baud rate may be off");
        }
        // SAFETY: the pins of the virtual COM port, as the board's schematic has them; port 0 and "connected" are zeros.
        unsafe {
            uarte.psel.txd.write(|w| w.bits(TXD));
            uarte.psel.rxd.write(|w| w.bits(RXD));
        }
        uarte.baudrate.write(|w| w.baudrate().baud115200());
        uarte.enable.write(|w| w.enable().enabled());

        uarte.shorts.write(|w| w.endrx_startrx().enabled());
        uarte.intenset.write(|w| w.endrx().set().rxstarted().set());
        announce(&uarte, &BUFFERS[0]);
        uarte.tasks_startrx.write(|w| w.tasks_startrx().set_bit());
        // SAFETY: no critical section relies on this interrupt's mask.
        unsafe { NVIC::unmask(Interrupt::UARTE0_UART0) };
        Self { uarte, outgoing: &OUTGOING }
    }

    /// Sends a frame. If that does not end it is given up: the host finds the frame damaged, and the device goes on.
    pub fn send(&mut self, frame: &[u8]) {
        for (slot, &byte) in self.outgoing.iter().zip(frame) {
            slot.store(byte, Ordering::Relaxed);
        }
        let length = frame.len().min(self.outgoing.len());
        // SAFETY: the buffer is static, and at least this long.
        unsafe {
            self.uarte.txd.ptr.write(|w| w.ptr().bits(self.outgoing.as_ptr().addr() as u32));
            self.uarte.txd.maxcnt.write(|w| w.maxcnt().bits(length as u16));
        }
        self.uarte.events_endtx.reset();
        compiler_fence(Ordering::SeqCst);
        self.uarte.tasks_starttx.write(|w| w.tasks_starttx().set_bit());
        if !within_patience(|| self.uarte.events_endtx.read().events_endtx().bit()) {
            self.uarte.tasks_stoptx.write(|w| w.tasks_stoptx().set_bit());
            defmt::warn!("the transmitter is stuck: a frame is dropped");
        }
    }
}

/// Announces the buffer that the next byte goes to.
fn announce(uarte: &RegisterBlock, buffer: &'static AtomicU8) {
    // SAFETY: the buffer is static, one byte long, and DMA's to write; the program reads it as an atomic.
    unsafe {
        uarte.rxd.ptr.write(|w| w.ptr().bits(buffer.as_ptr().addr() as u32));
        uarte.rxd.maxcnt.write(|w| w.maxcnt().bits(1));
    }
}

/// All interrupts come here; only the UART's is ever unmasked.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    // SAFETY: the registers that this handler uses are the receiver's, which the main program leaves alone.
    let uarte = unsafe { &*UARTE0::ptr() };
    if uarte.events_endrx.read().events_endrx().bit() {
        uarte.events_endrx.reset();
        compiler_fence(Ordering::SeqCst);
        let full = usize::from(SECOND.load(Ordering::Relaxed));
        INBOX.push(BUFFERS[full].load(Ordering::Relaxed));
        SECOND.store(full == 0, Ordering::Relaxed);
    }
    if uarte.events_rxstarted.read().events_rxstarted().bit() {
        uarte.events_rxstarted.reset();
        // The buffer in use is latched: the other one is next.
        let next = usize::from(!SECOND.load(Ordering::Relaxed));
        announce(uarte, &BUFFERS[next]);
    }
}

/// Waits for `event`, but not forever. Returns whether it came.
fn within_patience(mut event: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| event())
}
