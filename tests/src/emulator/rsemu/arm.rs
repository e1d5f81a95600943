//! Cortex-M cores.

use std::sync::Arc;

use ::rsemu::core::space::{AddressSpace, MemAttrs};
use ::rsemu::core::value::Width;
use ::rsemu::cpu::arm::v7m::sys::{ccr, fpccr};
use ::rsemu::cpu::arm::v7m::{ArmV7m, Config, Extensions, Regs, xpsr};

use super::{Core, Step};
use crate::emulator::Board;
use crate::emulator::calls::View;

/// The instruction `BKPT 0xAB`: a semihosting call.
const SEMIHOSTING: [u8; 2] = [0xab, 0xbe];

pub(super) struct Arm {
    core: ArmV7m,
    memory: Arc<AddressSpace>,
    interrupt: u16,
    /// An interrupt that waits for the end of an IT block.
    waiting: bool,
    now: Regs,
}

impl Arm {
    /// The core of a board, after its reset.
    pub(super) fn new(board: Board, memory: &Arc<AddressSpace>, interrupt: u16) -> Self {
        let mut config = match board {
            Board::Mps2An500 => Config::CORTEX_M7F,
            Board::Mps2An505 => Config::CORTEX_M33F,
            Board::Mps2An385 | Board::Microbit => Config::CORTEX_M4,
            Board::Mps2An386 | Board::Virt => Config::CORTEX_M4F,
        };
        if board == Board::Mps2An385 {
            config.ext = Extensions::CORTEX_M3;
        }
        let core = ArmV7m::new(config.with_reset_vtor(board.flash().base));
        core.attach_space(Arc::clone(memory));
        // The reset sequence.
        core.step();
        if board == Board::Microbit {
            core.with_sys(|system| system.ccr |= ccr::UNALIGN_TRP);
        }
        // An exception resets FPSCR, and its return restores that only from a whole frame: where frames are lazy, an interrupt between a
        // comparison and what asks for its outcome would change it.
        core.with_sys(|system| system.fpccr &= !fpccr::LSPEN);
        let now = core.regs();
        Self { core, memory: Arc::clone(memory), interrupt, waiting: false, now }
    }

    /// What the step between two states was. The order matters: most steps are instructions, and are known by their PC.
    #[inline]
    fn classify(&self, before: &Regs, after: &Regs) -> Step {
        if before.exception() != after.exception() && after.in_handler() && is_exception_return(after.r[14]) {
            // A return to a handler that was itself interrupted looks the same, save that it does not begin anew.
            let vector = self.core.vtor() + 4 * u32::from(after.exception().0);
            let handler = self.memory.read(vector.into(), Width::U32, MemAttrs::DEBUG);
            if handler.is_ok_and(|handler| handler as u32 & !1 == after.r[15]) {
                return Step::ExceptionEntry;
            }
        }
        if before.r[15] == after.r[15] && (self.core.is_asleep() || self.core.is_locked_up()) {
            return Step::Asleep;
        }
        Step::Instruction
    }
}

impl Core for Arm {
    #[inline]
    fn view(&self) -> View {
        View { pc: self.now.r[15], sp: self.now.r[13], lr: self.now.r[14] }
    }

    #[inline]
    fn in_handler(&self) -> bool {
        self.now.in_handler()
    }

    #[inline]
    fn step(&mut self) -> (Step, u64) {
        // An exception's frame has no place for what is left of an IT block, as that of a core has.
        if self.waiting && self.now.xpsr & xpsr::IT_MASK == 0 {
            self.waiting = false;
            self.core.set_irq(self.interrupt, true);
        }
        let cycles = self.core.step();
        let after = self.core.regs();
        let before = std::mem::replace(&mut self.now, after);
        (self.classify(&before, &self.now), cycles)
    }

    fn is_locked_up(&self) -> bool {
        self.core.is_locked_up()
    }

    fn interrupt(&mut self, asserted: bool) {
        self.waiting = asserted;
        if !asserted {
            self.core.set_irq(self.interrupt, false);
        }
    }

    #[inline]
    fn calls_the_host(&self, program: &[u8]) -> bool {
        program.starts_with(&SEMIHOSTING)
    }

    fn arguments(&self) -> (u32, u32) {
        (self.now.r[0], self.now.r[1])
    }

    fn answer(&mut self, value: u32) {
        self.core.set_reg(0, value);
        self.core.set_pc(self.now.r[15] + SEMIHOSTING.len() as u32);
        self.now = self.core.regs();
    }
}

/// Whether a link register holds one of the values that end an exception handler.
fn is_exception_return(lr: u32) -> bool {
    lr >= 0xffff_ff80
}
