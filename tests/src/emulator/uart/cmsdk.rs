//! A CMSDK APB UART, as Arm's *Cortex-M System Design Kit* manual describes it (DDI 0479, chapter 4.3).

use super::{Line, Registers};

const DATA: u64 = 0x00;
const STATE: u64 = 0x04;
const CTRL: u64 = 0x08;
const INTSTATUS: u64 = 0x0c;
const BAUDDIV: u64 = 0x10;

const STATE_TX_FULL: u32 = 1 << 0;
const STATE_RX_FULL: u32 = 1 << 1;
const STATE_RX_OVERRUN: u32 = 1 << 3;
const CTRL_TX_ENABLE: u32 = 1 << 0;
const CTRL_RX_ENABLE: u32 = 1 << 1;
const CTRL_RX_INTERRUPT: u32 = 1 << 3;
const INT_RX: u32 = 1 << 1;

#[derive(Debug, Default)]
pub(super) struct Cmsdk {
    ctrl: u32,
    interrupts: u32,
    bauddiv: u32,
}

impl Registers for Cmsdk {
    fn read(&mut self, line: &mut Line, offset: u64, debug: bool) -> Option<u32> {
        Some(match offset {
            DATA => line.take(debug).into(),
            STATE => {
                [(line.busy, STATE_TX_FULL), (line.received.is_some(), STATE_RX_FULL), (line.overrun, STATE_RX_OVERRUN)]
                    .into_iter()
                    .fold(0, |state, (is, bit)| if is { state | bit } else { state })
            }
            CTRL => self.ctrl,
            INTSTATUS => self.interrupts,
            BAUDDIV => self.bauddiv,
            _ => return None,
        })
    }

    fn write(&mut self, line: &mut Line, offset: u64, value: u32) -> Option<()> {
        match offset {
            DATA if self.ctrl & CTRL_TX_ENABLE != 0 => line.send(value as u8),
            DATA => {}
            STATE => line.overrun &= value & STATE_RX_OVERRUN == 0,
            CTRL => self.ctrl = value,
            INTSTATUS => self.interrupts &= !value,
            BAUDDIV => self.bauddiv = value,
            _ => return None,
        }
        Some(())
    }

    fn receives(&self) -> bool {
        self.ctrl & CTRL_RX_ENABLE != 0
    }

    fn arrived(&mut self) {
        if self.ctrl & CTRL_RX_INTERRUPT != 0 {
            self.interrupts |= INT_RX;
        }
    }

    fn interrupt(&self) -> bool {
        self.interrupts & INT_RX != 0
    }
}
