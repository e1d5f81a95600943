//! UARTE0 on the pins of the board's virtual COM port, which receives by interrupt into a queue.
//!
//! The peripheral moves bytes by DMA only, into a buffer that is announced before the one in use is full. Two buffers
//! of one byte take turns, so that each byte is there when it arrives, and the interrupt has the time of two bytes
//! (170 us at 115,200 baud) to fetch it.
//!
//! An interrupt that comes later finds a byte overwritten and its event merged with the next one's, and the peripheral
//! does not say so. So a timer counts the events, and what it counts and the interrupt did not take is lost.

#![allow(unsafe_code, reason = "registers that hold addresses, and the mask of an interrupt")]

use core::sync::atomic::{AtomicBool, AtomicU8, Ordering, compiler_fence};

use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use flowlet_firmware::{Inbox, frame};
use nrf52840_pac::uarte0::RegisterBlock;
use nrf52840_pac::{CLOCK, Interrupt, PPI, TIMER0, UARTE0};

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
    /// Starts the UART: 115,200 baud, 8 bits, no parity, no flow control. The timer counts received bytes.
    pub fn start(uarte: UARTE0, timer: TIMER0, ppi: &PPI, clock: &CLOCK) -> Self {
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
        count_bytes(&uarte, timer, ppi);
        uarte.intenset.write(|w| w.endrx().set().rxstarted().set().error().set());
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

/// Lets the timer count received bytes, without the core.
fn count_bytes(uarte: &RegisterBlock, timer: TIMER0, ppi: &PPI) {
    timer.mode.write(|w| w.mode().counter());
    timer.bitmode.write(|w| w.bitmode()._32bit());
    timer.tasks_clear.write(|w| w.tasks_clear().set_bit());
    timer.tasks_start.write(|w| w.tasks_start().set_bit());
    // SAFETY: the addresses of an event and of a task, which is what the channel takes.
    unsafe {
        ppi.ch[0].eep.write(|w| w.bits(uarte.events_endrx.as_ptr().addr() as u32));
        ppi.ch[0].tep.write(|w| w.bits(timer.tasks_count.as_ptr().addr() as u32));
    }
    ppi.chenset.write(|w| w.ch0().set());
}

/// All interrupts come here; only the UART's is ever unmasked.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    // SAFETY: the registers that this handler uses are the receiver's and its counter's, which the main program leaves alone.
    let (uarte, timer) = unsafe { (&*UARTE0::ptr(), &*TIMER0::ptr()) };
    if uarte.events_endrx.read().events_endrx().bit() {
        uarte.events_endrx.reset();
        compiler_fence(Ordering::SeqCst);
        let full = usize::from(SECOND.load(Ordering::Relaxed));
        INBOX.push(BUFFERS[full].load(Ordering::Relaxed));
        SECOND.store(full == 0, Ordering::Relaxed);
        timer.tasks_capture[0].write(|w| w.tasks_capture().set_bit());
        let arrived = timer.cc[0].read().bits();
        // Read after the count: a byte that arrives in between makes the figure too small, never too large.
        let waiting = u32::from(uarte.events_endrx.read().events_endrx().bit());
        INBOX.note_arrived(arrived.wrapping_sub(waiting));
    }
    if uarte.events_rxstarted.read().events_rxstarted().bit() {
        uarte.events_rxstarted.reset();
        // The buffer in use is latched: the other one is next.
        let next = usize::from(!SECOND.load(Ordering::Relaxed));
        announce(uarte, &BUFFERS[next]);
    }
    if uarte.events_error.read().events_error().bit() {
        uarte.events_error.reset();
        let errors = uarte.errorsrc.read();
        // SAFETY: ones clear the errors that were read; framing errors and the like spoil a checksum and show there.
        uarte.errorsrc.write(|w| unsafe { w.bits(errors.bits()) });
        if errors.overrun().is_present() {
            INBOX.note_overrun();
        }
    }
}

/// Waits for `event`, but not forever. Returns whether it came.
fn within_patience(mut event: impl FnMut() -> bool) -> bool {
    (0..PATIENCE).any(|_| event())
}
