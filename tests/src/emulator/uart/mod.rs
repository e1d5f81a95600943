//! The UARTs of the boards for rsemu: registers on the bus, a peer at the other end.

mod cmsdk;
mod nrf51;
mod ns16550;

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rsemu::core::error::BusError;
use ::rsemu::core::space::{AccessConstraints, MemAttrs, MemOps, MemResult};
use ::rsemu::core::value::{Endian, Width};

use super::{Board, Clock, Peer};

/// Size of a register window in bytes.
pub(super) const LENGTH: u64 = 0x1000;

/// The registers of one kind of UART.
trait Registers: Debug + Send {
    /// The value of a register, if there is one. A look (`debug`) changes nothing.
    fn read(&mut self, line: &mut Line, offset: u64, debug: bool) -> Option<u32>;

    /// Writes a register; `None` if there is none.
    fn write(&mut self, line: &mut Line, offset: u64, value: u32) -> Option<()>;

    /// Whether the receiver is on.
    fn receives(&self) -> bool;

    /// A byte has been received.
    fn arrived(&mut self);

    /// A byte that was sent has left.
    fn departed(&mut self) {}

    /// Whether the interrupt is asserted.
    fn interrupt(&self) -> bool;
}

/// What is on the line.
#[derive(Debug, Default)]
struct Line {
    /// A byte that has been received and not read.
    received: Option<u8>,
    /// The byte that was read last.
    last: u8,
    /// Bytes sent since the last service.
    sent: Vec<u8>,
    /// Whether bytes take time.
    timed: bool,
    /// Whether a byte that was sent has not left yet.
    busy: bool,
    /// Whether a byte has come before the one before it was read, which is lost.
    overrun: bool,
}

/// When what happens on the line next, in cycles of a clock.
#[derive(Debug)]
pub(super) struct Wire {
    /// Cycles of a byte.
    byte: u64,
    /// A byte on its way to the device, and when it is there.
    arriving: Option<(u64, u8)>,
    /// When the byte on its way to the host is there.
    leaving: Option<u64>,
    /// When there is something to do.
    pub(super) next: u64,
}

impl Wire {
    pub(super) fn new(clock: Clock) -> Self {
        Self { byte: clock.byte().max(10), arriving: None, leaving: None, next: 0 }
    }
}

impl Line {
    /// Sends a byte.
    fn send(&mut self, byte: u8) {
        self.sent.push(byte);
        self.busy = self.timed;
    }

    /// Takes the received byte, or shows it only.
    fn take(&mut self, debug: bool) -> u8 {
        let byte = self.received.unwrap_or(self.last);
        if !debug {
            self.received = None;
            self.last = byte;
        }
        byte
    }
}

/// A UART, shared by the bus (which sees registers) and the machine's loop (which moves bytes).
#[derive(Debug)]
pub(super) struct Uart {
    state: Mutex<(Box<dyn Registers>, Line)>,
    touched: AtomicBool,
    /// Of a register.
    width: Width,
}

impl Uart {
    /// The UART of a board, its base address and its interrupt.
    pub(super) fn of(board: Board) -> (Self, u32, u16) {
        let (registers, base, interrupt): (Box<dyn Registers>, _, _) = match board {
            Board::Mps2An386 | Board::Mps2An500 | Board::Mps2An385 => {
                (Box::new(cmsdk::Cmsdk::default()), 0x4000_4000, 0)
            }
            Board::Mps2An505 => (Box::new(cmsdk::Cmsdk::default()), 0x5020_0000, 32),
            // The core has one line for all of its interrupt controller's interrupts.
            Board::Virt => (Box::new(ns16550::Ns16550::default()), 0x1000_0000, 0),
            Board::Microbit => (Box::new(nrf51::Nrf51::default()), 0x4000_2000, 2),
        };
        let width = if board == Board::Virt { Width::U8 } else { Width::U32 };
        let state = Mutex::new((registers, Line::default()));
        (Self { state, touched: AtomicBool::new(false), width }, base, interrupt)
    }

    /// Whether the firmware has used a register since the last [`Uart::service`].
    #[inline]
    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Moves bytes between the registers and the peer. Returns whether the interrupt is asserted.
    ///
    /// `exhausted` remembers that the peer has nothing to send until it hears from the device.
    pub(super) fn service(&self, peer: &mut dyn Peer, exhausted: &mut bool) -> bool {
        self.touched.store(false, Ordering::Relaxed);
        let (registers, line) = &mut *self.state();
        for byte in line.sent.drain(..) {
            peer.receive(byte);
            *exhausted = false;
        }
        if line.received.is_none() && registers.receives() && !*exhausted {
            line.received = peer.transmit();
            *exhausted = line.received.is_none();
            if line.received.is_some() {
                registers.arrived();
            }
        }
        registers.interrupt()
    }

    /// As [`Uart::service`], at a time of a clock: bytes take theirs.
    pub(super) fn service_at(&self, now: u64, peer: &mut dyn Peer, wire: &mut Wire) -> bool {
        self.touched.store(false, Ordering::Relaxed);
        let (registers, line) = &mut *self.state();
        line.timed = true;
        if wire.leaving.is_some_and(|at| now >= at) {
            wire.leaving = None;
            line.busy = false;
            registers.departed();
            line.sent.drain(..).for_each(|byte| peer.receive(byte));
        }
        if line.busy && wire.leaving.is_none() {
            wire.leaving = Some(now + wire.byte);
        }
        if let Some((at, byte)) = wire.arriving
            && now >= at
        {
            wire.arriving = None;
            line.overrun |= line.received.is_some();
            line.received = Some(byte);
            registers.arrived();
        }
        if wire.arriving.is_none() && registers.receives() {
            peer.at(now);
            wire.arriving = peer.transmit().map(|byte| (now + wire.byte, byte));
        }
        // A peer without a byte may have one a bit later.
        let arriving = wire.arriving.map_or(now + wire.byte / 10, |(at, _)| at);
        wire.next = wire.leaving.map_or(arriving, |at| at.min(arriving));
        registers.interrupt()
    }

    fn state(&self) -> MutexGuard<'_, (Box<dyn Registers>, Line)> {
        // Everything runs in one thread; a panic elsewhere leaves the registers whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemOps for Uart {
    fn read(&self, offset: u64, destination: &mut [u8], attributes: MemAttrs) -> MemResult {
        let (registers, line) = &mut *self.state();
        if !attributes.debug {
            self.touched.store(true, Ordering::Relaxed);
        }
        let value = registers.read(line, offset, attributes.debug).ok_or(BusError::BadAccess)?;
        let bytes = value.to_le_bytes();
        destination.copy_from_slice(bytes.get(..destination.len()).ok_or(BusError::BadAccess)?);
        Ok(())
    }

    fn write(&self, offset: u64, source: &[u8], _attributes: MemAttrs) -> MemResult {
        let mut value = [0; 4];
        value.get_mut(..source.len()).ok_or(BusError::BadAccess)?.copy_from_slice(source);
        let value = u32::from_le_bytes(value);
        let (registers, line) = &mut *self.state();
        self.touched.store(true, Ordering::Relaxed);
        registers.write(line, offset, value).ok_or(BusError::BadAccess)
    }

    fn constraints(&self) -> AccessConstraints {
        AccessConstraints::word(self.width, Endian::Little)
    }
}
