//! An RV32IMC core, in machine mode. It runs no interrupts: they end its sleep.

use std::sync::Arc;

use ::rsemu::core::space::AddressSpace;
use ::rsemu::cpu::riscv::csr::{Extensions, irq};
use ::rsemu::cpu::riscv::{Config, Hart};

use super::{Core, Step};
use crate::emulator::Board;
use crate::emulator::calls::View;

/// The instructions `EBREAK` and `SRAI x0, x0, 7` behind it: a semihosting call, as the *RISC-V Semihosting* specification
/// (0.4) has it. The instruction before them says the same.
const SEMIHOSTING: [u8; 8] = [0x73, 0x00, 0x10, 0x00, 0x13, 0x50, 0x70, 0x40];

const EBREAK_LENGTH: u64 = 4;

const RA: u32 = 1;
const SP: u32 = 2;
const A0: u32 = 10;
const A1: u32 = 11;

pub(super) struct RiscV(Hart);

impl RiscV {
    /// The core of a board, after its reset.
    pub(super) fn new(board: Board, memory: &Arc<AddressSpace>) -> Self {
        let extensions = Extensions { m: true, c: true, ..Extensions::I };
        let config = Config { pmp_count: 0, misaligned: false, ..Config::rv32gc() };
        let hart = Hart::new(config.with_ext(extensions).with_reset_vector(board.flash().base.into()));
        hart.attach_space(Arc::clone(memory));
        Self(hart)
    }
}

impl Core for RiscV {
    #[inline]
    fn view(&self) -> View {
        View { pc: self.0.pc() as u32, sp: self.0.x(SP) as u32, lr: self.0.x(RA) as u32 }
    }

    fn in_handler(&self) -> bool {
        false
    }

    #[inline]
    fn step(&mut self) -> (Step, u64) {
        let asleep = self.0.is_waiting();
        let cycles = self.0.step();
        (if asleep && self.0.is_waiting() { Step::Asleep } else { Step::Instruction }, cycles)
    }

    fn is_locked_up(&self) -> bool {
        false
    }

    fn interrupt(&mut self, asserted: bool) {
        self.0.set_interrupt(irq::MEI, asserted);
    }

    #[inline]
    fn calls_the_host(&self, program: &[u8]) -> bool {
        program.starts_with(&SEMIHOSTING)
    }

    fn arguments(&self) -> (u32, u32) {
        (self.0.x(A0) as u32, self.0.x(A1) as u32)
    }

    fn answer(&mut self, value: u32) {
        self.0.set_x(A0, value.into());
        self.0.set_pc(self.0.pc() + EBREAK_LENGTH);
    }
}
