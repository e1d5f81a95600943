//! A CMSDK APB UART for rsemu, as Arm's *Cortex-M System Design Kit* manual describes it (DDI 0479, chapter 4.3).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rsemu::core::error::BusError;
use ::rsemu::core::space::{AccessConstraints, MemAttrs, MemOps, MemResult};
use ::rsemu::core::value::{Endian, Width};

use super::Peer;

/// Size of its register window in bytes.
pub(super) const LENGTH: u64 = 0x1000;

const DATA: u64 = 0x00;
const STATE: u64 = 0x04;
const CTRL: u64 = 0x08;
const INTSTATUS: u64 = 0x0c;
const BAUDDIV: u64 = 0x10;

const STATE_RX_FULL: u32 = 1 << 1;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;

/// The UART, shared by the bus (which sees registers) and the machine's loop (which moves bytes).
#[derive(Debug, Default)]
pub(super) struct Uart {
    registers: Mutex<Registers>,
    touched: AtomicBool,
}

#[derive(Debug, Default)]
struct Registers {
    received: Option<u8>,
    last: u8,
    sent: Vec<u8>,
    ctrl: u32,
    interrupts: u32,
    bauddiv: u32,
}

impl Uart {
    /// Whether the firmware has used a register since the last [`Uart::service`].
    #[inline]
    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Moves bytes between the registers and the peer. Returns whether the receive interrupt is asserted.
    ///
    /// `exhausted` remembers that the peer has nothing to send until it hears from the device.
    pub(super) fn service(&self, peer: &mut dyn Peer, exhausted: &mut bool) -> bool {
        self.touched.store(false, Ordering::Relaxed);
        let mut registers = self.registers();
        for byte in registers.sent.drain(..) {
            peer.receive(byte);
            *exhausted = false;
        }
        if registers.received.is_none() && registers.ctrl & CTRL_RX_ENABLE != 0 && !*exhausted {
            registers.received = peer.transmit();
            *exhausted = registers.received.is_none();
            if registers.received.is_some() && registers.ctrl & CTRL_RX_INTERRUPT != 0 {
                registers.interrupts |= INT_RX;
            }
        }
        registers.interrupts & INT_RX != 0
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        // Everything runs in one thread; a panic elsewhere leaves the registers whole.
        self.registers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemOps for Uart {
    fn read(&self, offset: u64, destination: &mut [u8], attributes: MemAttrs) -> MemResult {
        let mut registers = self.registers();
        let value = match offset {
            DATA => {
                if !attributes.debug {
                    self.touched.store(true, Ordering::Relaxed);
                    registers.last = registers.received.take().unwrap_or(registers.last);
                }
                registers.last.into()
            }
            // The transmitter passes bytes on at once and is never full.
            STATE => u32::from(registers.received.is_some()) * STATE_RX_FULL,
            CTRL => registers.ctrl,
            INTSTATUS => registers.interrupts,
            BAUDDIV => registers.bauddiv,
            _ => return Err(BusError::BadAccess),
        };
        let bytes = value.to_le_bytes();
        destination.copy_from_slice(bytes.get(..destination.len()).ok_or(BusError::BadAccess)?);
        Ok(())
    }

    fn write(&self, offset: u64, source: &[u8], _attributes: MemAttrs) -> MemResult {
        let value = u32::from_le_bytes(source.try_into().map_err(|_| BusError::BadAccess)?);
        let mut registers = self.registers();
        self.touched.store(true, Ordering::Relaxed);
        match offset {
            DATA if registers.ctrl & CTRL_TX_ENABLE != 0 => registers.sent.push(value as u8),
            DATA | STATE => {}
            CTRL => registers.ctrl = value,
            INTSTATUS => registers.interrupts &= !value,
            BAUDDIV => registers.bauddiv = value,
            _ => return Err(BusError::BadAccess),
        }
        Ok(())
    }

    fn constraints(&self) -> AccessConstraints {
        AccessConstraints::word(Width::U32, Endian::Little)
    }
}
