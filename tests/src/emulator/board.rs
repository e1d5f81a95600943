//! The emulated boards.

use std::fmt;

/// An emulated board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Board {
    /// Arm MPS2+ with the AN386 image: a Cortex-M4F, with DSP instructions and an FPU.
    #[default]
    Mps2An386,
    /// The same board with the AN385 image: a Cortex-M3, without DSP instructions and FPU.
    Mps2An385,
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
    pub const ALL: [Self; 3] = [Self::Mps2An386, Self::Mps2An385, Self::Microbit];

    /// The compilation target.
    pub fn target(self) -> &'static str {
        match self {
            Self::Mps2An386 => "thumbv7em-none-eabihf",
            Self::Mps2An385 => "thumbv7m-none-eabi",
            Self::Microbit => "thumbv6m-none-eabi",
        }
    }

    /// The package of its firmware, and the name of its binary.
    pub fn package(self) -> &'static str {
        match self {
            Self::Mps2An386 => "flowlet-board-mps2-an386",
            Self::Mps2An385 => "flowlet-board-mps2-an385",
            Self::Microbit => "flowlet-board-microbit",
        }
    }

    /// QEMU's name of the machine.
    pub fn machine(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Mps2An385 => "mps2-an385",
            Self::Microbit => "microbit",
        }
    }

    /// The processor core.
    pub fn core(self) -> &'static str {
        match self {
            Self::Mps2An386 => "Cortex-M4F",
            Self::Mps2An385 => "Cortex-M3",
            Self::Microbit => "Cortex-M0",
        }
    }

    /// Bytes of RAM that its programs take for a buffer: `BUFFER` in the board's library.
    pub fn buffer(self) -> usize {
        match self {
            Self::Mps2An386 | Self::Mps2An385 => 256 << 10,
            Self::Microbit => 8 << 10,
        }
    }

    pub(super) fn flash(self) -> Memory {
        let length = match self {
            Self::Mps2An386 | Self::Mps2An385 => 4 << 20,
            Self::Microbit => 256 << 10,
        };
        Memory { base: 0, length }
    }

    pub(super) fn ram(self) -> Memory {
        let length = match self {
            Self::Mps2An386 | Self::Mps2An385 => 4 << 20,
            Self::Microbit => 16 << 10,
        };
        Memory { base: 0x2000_0000, length }
    }
}
