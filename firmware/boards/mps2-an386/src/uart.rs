//! UART0 of the board: a CMSDK APB UART, which receives by interrupt into a queue.

#![allow(unsafe_code, reason = "memory-mapped registers")]

use core::cell::RefCell;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use cortex_m_rt::exception;
use critical_section::Mutex;
use heapless::spsc::{Consumer, Producer, Queue};
use static_cell::StaticCell;

/// Bytes that can wait while a reading is assessed: a host may send that much ahead.
pub const QUEUE: usize = 1024;

const BASE: usize = 0x4000_4000;
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CTRL: usize = 0x08;
const INTCLEAR: usize = 0x0c;
const BAUDDIV: usize = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;

/// Reads of the status after which a transmitter that stays full counts as stuck.
const PATIENCE: u32 = 10_000_000;

static RECEIVED: Mutex<RefCell<Option<Producer<'static, u8>>>> = Mutex::new(RefCell::new(None));
static LOST: AtomicU32 = AtomicU32::new(0);

/// The sending half.
#[derive(Debug)]
pub struct Transmitter(());

/// The receiving half: bytes that the interrupt has queued.
pub struct Receiver(Consumer<'static, u8>);

#[derive(Clone, Copy)]
struct ReceiveInterrupt;

// SAFETY: UART0's receive interrupt is number 0 on this board.
unsafe impl InterruptNumber for ReceiveInterrupt {
    fn number(self) -> u16 {
        0
    }
}

/// Starts the UART.
///
/// # Panics
/// If it is called twice.
pub fn start() -> (Transmitter, Receiver) {
    static BYTES: StaticCell<Queue<u8, QUEUE>> = StaticCell::new();
    let (producer, consumer) = BYTES.init(Queue::new()).split();
    critical_section::with(|token| RECEIVED.borrow_ref_mut(token).replace(producer));
    write(BAUDDIV, 16);
    write(CTRL, CTRL_TX_ENABLE | CTRL_RX_ENABLE | CTRL_RX_INTERRUPT);
    // SAFETY: no critical section relies on this interrupt's mask.
    unsafe { NVIC::unmask(ReceiveInterrupt) };
    (Transmitter(()), Receiver(consumer))
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

impl Receiver {
    /// The next byte. Sleeps until there is one.
    pub fn wait(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.0.dequeue() {
                return byte;
            }
            // With interrupts masked nothing can slip in between the look and the sleep; `wfi` wakes up all the same.
            critical_section::with(|_| {
                if !self.0.ready() {
                    cortex_m::asm::wfi();
                }
            });
        }
    }

    /// Bytes lost since the start because the queue was full.
    pub fn lost(&self) -> u32 {
        LOST.load(Ordering::Relaxed)
    }
}

/// Without a device crate all interrupts come here; only the UART's receive interrupt is ever unmasked.
#[exception]
unsafe fn DefaultHandler(_number: i16) {
    write(INTCLEAR, INT_RX);
    critical_section::with(|token| {
        let mut received = RECEIVED.borrow_ref_mut(token);
        while read(STATE) & STATE_RX_FULL != 0 {
            let byte = read(DATA) as u8;
            let queued = received.as_mut().is_some_and(|queue| queue.enqueue(byte).is_ok());
            if !queued {
                // Only this handler writes the counter.
                LOST.store(LOST.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
            }
        }
    });
}

fn read(register: usize) -> u32 {
    // SAFETY: a register of UART0, which only this module uses.
    unsafe { ptr::with_exposed_provenance::<u32>(BASE + register).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: a register of UART0, which only this module uses.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(BASE + register).write_volatile(value) }
}
