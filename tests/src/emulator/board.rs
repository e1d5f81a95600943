//! The emulated boards.

use std::fmt;

/// An emulated board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Board {
    /// Arm MPS2+ with the AN386 image: a Cortex-M4F, with DSP instructions and an FPU.
    #[default]
    Mps2An386,
    /// The same board with the AN500 image: a Cortex-M7, which runs the same firmware.
    Mps2An500,
    /// The same board with the AN505 image: a Cortex-M33, with DSP instructions and an FPU.
    Mps2An505,
    /// The same board with the AN385 image: a Cortex-M3, without DSP instructions and FPU.
    Mps2An385,
    /// BBC micro:bit: a Cortex-M0, without an FPU or a division, and with 16 KiB of RAM.
    Microbit,
    /// QEMU's RISC-V board: an RV32IMC core, without an FPU.
    Virt,
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
    pub const ALL: [Self; 6] =
        [Self::Mps2An386, Self::Mps2An500, Self::Mps2An505, Self::Mps2An385, Self::Microbit, Self::Virt];

    /// The compilation target.
    pub fn target(self) -> &'static str {
        match self {
            Self::Mps2An386 | Self::Mps2An500 => "thumbv7em-none-eabihf",
            Self::Mps2An505 => "thumbv8m.main-none-eabihf",
            Self::Mps2An385 => "thumbv7m-none-eabi",
            Self::Microbit => "thumbv6m-none-eabi",
            Self::Virt => "riscv32imc-unknown-none-elf",
        }
    }

    /// QEMU's name of the machine.
    pub fn machine(self) -> &'static str {
        match self {
            Self::Mps2An386 => "mps2-an386",
            Self::Mps2An500 => "mps2-an500",
            Self::Mps2An505 => "mps2-an505",
            Self::Mps2An385 => "mps2-an385",
            Self::Microbit => "microbit",
            Self::Virt => "virt",
        }
    }

    /// The processor core.
    pub fn core(self) -> &'static str {
        match self {
            Self::Mps2An386 => "Cortex-M4F",
            Self::Mps2An500 => "Cortex-M7F",
            Self::Mps2An505 => "Cortex-M33F",
            Self::Mps2An385 => "Cortex-M3",
            Self::Microbit => "Cortex-M0",
            Self::Virt => "RV32IMC",
        }
    }

    /// Bytes of RAM that its programs take for a buffer: `BUFFER` in the board's module.
    pub fn buffer(self) -> usize {
        match self {
            Self::Microbit => 8 << 10,
            _ => 256 << 10,
        }
    }

    pub(super) fn flash(self) -> Memory {
        match self {
            Self::Microbit => Memory { base: 0, length: 256 << 10 },
            Self::Mps2An386 | Self::Mps2An500 | Self::Mps2An385 => Memory { base: 0, length: 4 << 20 },
            Self::Mps2An505 => Memory { base: 0x1000_0000, length: 4 << 20 },
            Self::Virt => Memory { base: 0x8000_0000, length: 4 << 20 },
        }
    }

    pub(super) fn ram(self) -> Memory {
        match self {
            Self::Microbit => Memory { base: 0x2000_0000, length: 16 << 10 },
            Self::Mps2An386 | Self::Mps2An500 | Self::Mps2An385 => Memory { base: 0x2000_0000, length: 4 << 20 },
            Self::Mps2An505 => Memory { base: 0x3800_0000, length: 2 << 20 },
            Self::Virt => Memory { base: 0x8040_0000, length: 4 << 20 },
        }
    }

    /// Registers of an interrupt controller that is not a part of the core.
    pub(super) fn interrupt_controller(self) -> Option<Memory> {
        (self == Self::Virt).then_some(Memory { base: 0x0c00_0000, length: 4 << 20 })
    }

    /// The processor's number in an ELF file.
    pub(super) fn elf_machine(self) -> u16 {
        if self == Self::Virt { object::elf::EM_RISCV } else { object::elf::EM_ARM }
    }
}
