//! A 16550 UART, as the *PC16550D* data sheet of Texas Instruments describes it (SNLS378), without its queues.

use super::{Line, Registers};

const DATA: u64 = 0;
const INTERRUPTS: u64 = 1;
const LINE_STATUS: u64 = 5;

const RECEIVED: u32 = 1 << 0;
/// Reading the register clears it.
const OVERRUN: u32 = 1 << 1;
const TRANSMITTER_EMPTY: u32 = 0b11 << 5;

#[derive(Debug, Default)]
pub(super) struct Ns16550 {
    enabled: u32,
    received: bool,
}

impl Registers for Ns16550 {
    fn read(&mut self, line: &mut Line, offset: u64, debug: bool) -> Option<u32> {
        Some(match offset {
            DATA => {
                self.received &= debug;
                line.take(debug).into()
            }
            INTERRUPTS => self.enabled,
            LINE_STATUS => {
                let overrun = if line.overrun { OVERRUN } else { 0 };
                line.overrun &= debug;
                let empty = if line.busy { 0 } else { TRANSMITTER_EMPTY };
                empty | overrun | if line.received.is_some() { RECEIVED } else { 0 }
            }
            _ => return None,
        })
    }

    fn write(&mut self, line: &mut Line, offset: u64, value: u32) -> Option<()> {
        match offset {
            DATA => line.send(value as u8),
            INTERRUPTS => self.enabled = value,
            _ => return None,
        }
        Some(())
    }

    fn receives(&self) -> bool {
        self.enabled & RECEIVED != 0
    }

    fn arrived(&mut self) {
        self.received = true;
    }

    fn interrupt(&self) -> bool {
        self.received && self.enabled & RECEIVED != 0
    }
}
