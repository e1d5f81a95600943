//! The emulated boards.

use std::fmt;

/// An emulated board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Board {
    /// Arm MPS2+ with the AN386 image: a Cortex-M4F, with DSP instructions and an FPU.
    #[default]
    Mps2An386,
    /// BBC micro:bit: a Cortex-M0, without an FPU or a division, and with 16 KiB of RAM.
    Microbit,
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.machine(), self.core())
    }
}

/// Memory of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) base: u32,
    pub(super) length: u32,
}

impl Board {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Mps2An386, Self::Microbit];

    /// The compilation target.
    pub fn target(self) -> &'static str {
        match self {
            Self::Mps2An386 => "thumbv7em-none-eabihf",
            Self::Microbit => "thumbv6m-none-eabi",
        }
    }

    /// The package of its firmware, and the name of its binary.
    pub fn package(self) -> &'static str {
        match self {
            Self::Mps2An386 => "flowlet-board-mps2-an386",
            Self::Microbit => "flowlet-board-microbit",
        }
    }

    /// QEMU's name of the machine.
    pub fn machine(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Microbit => "microbit",
        }
    }

    /// The processor core.
    pub fn core(self) -> &'static str {
        match self {
            Self::Mps2An386 => "Cortex-M4F",
            Self::Microbit => "Cortex-M0",
        }
    }

    /// Bytes of RAM that its programs take for a buffer: `BUFFER` in the board's library.
    pub fn buffer(self) -> usize {
        match self {
            Self::Mps2An386 => 256 << 10,
            Self::Microbit => 8 << 10,
        }
    }

    pub(super) fn flash(self) -> Memory {
        let length = match self {
            Self::Mps2An386 => 4 << 20,
            Self::Microbit => 256 << 10,
        };
        Memory { base: 0, length }
    }

    pub(super) fn ram(self) -> Memory {
        let length = match self {
            Self::Mps2An386 => 4 << 20,
            Self::Microbit => 16 << 10,
        };
        Memory { base: 0x2000_0000, length }
    }
}
