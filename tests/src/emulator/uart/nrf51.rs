//! The UART of a Nordic nRF51, as the *nRF51 Series Reference Manual* describes it (version 3.0.1, chapter 29), without its queue of six bytes.

use super::{Line, Registers};

const STARTRX: u64 = 0x000;
const STOPRX: u64 = 0x004;
const STARTTX: u64 = 0x008;
const STOPTX: u64 = 0x00c;
const RXDRDY: u64 = 0x108;
const TXDRDY: u64 = 0x11c;
const INTENSET: u64 = 0x304;
const INTENCLR: u64 = 0x308;
const ERRORSRC: u64 = 0x480;
const ENABLE: u64 = 0x500;
const PSELRTS: u64 = 0x508;
const PSELRXD: u64 = 0x514;
const RXD: u64 = 0x518;
const TXD: u64 = 0x51c;
const BAUDRATE: u64 = 0x524;
const CONFIG: u64 = 0x56c;

const INT_RXDRDY: u32 = 1 << 2;
const INT_TXDRDY: u32 = 1 << 7;
const ERROR_OVERRUN: u32 = 1 << 0;
const ENABLED: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Nrf51 {
    enable: u32,
    receiving: bool,
    transmitting: bool,
    rxdrdy: u32,
    txdrdy: u32,
    interrupts: u32,
}

impl Registers for Nrf51 {
    fn read(&mut self, line: &mut Line, offset: u64, debug: bool) -> Option<u32> {
        Some(match offset {
            RXD => line.take(debug).into(),
            RXDRDY => self.rxdrdy,
            TXDRDY => self.txdrdy,
            INTENSET | INTENCLR => self.interrupts,
            ERRORSRC => u32::from(line.overrun) * ERROR_OVERRUN,
            ENABLE => self.enable,
            _ => return None,
        })
    }

    fn write(&mut self, line: &mut Line, offset: u64, value: u32) -> Option<()> {
        match offset {
            STARTRX | STOPRX => self.receiving = offset == STARTRX && self.enable == ENABLED,
            STARTTX | STOPTX => self.transmitting = offset == STARTTX && self.enable == ENABLED,
            RXDRDY => self.rxdrdy = value,
            TXDRDY => self.txdrdy = value,
            INTENSET => self.interrupts |= value,
            INTENCLR => self.interrupts &= !value,
            ERRORSRC => line.overrun &= value & ERROR_OVERRUN == 0,
            ENABLE => self.enable = value,
            TXD if self.transmitting => {
                line.send(value as u8);
                // Without a clock the byte has left at once.
                if !line.busy {
                    self.departed();
                }
            }
            // Pins, the baud rate and the parity change nothing here.
            TXD | PSELRTS..=PSELRXD | BAUDRATE | CONFIG => {}
            _ => return None,
        }
        Some(())
    }

    fn receives(&self) -> bool {
        self.receiving
    }

    fn arrived(&mut self) {
        self.rxdrdy = 1;
    }

    fn departed(&mut self) {
        self.txdrdy = 1;
    }

    fn interrupt(&self) -> bool {
        self.rxdrdy != 0 && self.interrupts & INT_RXDRDY != 0 || self.txdrdy != 0 && self.interrupts & INT_TXDRDY != 0
    }
}
