//! The default backend: rsemu's core with memory, UART0 and semihosting around it.

use std::sync::Arc;
use std::time::Instant;

use ::rsemu::core::space::{AddressSpace, RamStore, Region, RomStore, RomWrite};
use ::rsemu::cpu::arm::v7m::sys::ccr;
use ::rsemu::cpu::arm::v7m::{ArmV7m, Config, Extensions, Regs};
use anyhow::{Context, Result, bail, ensure};

use super::calls::{CallCounter, View};
use super::semihosting::{self, Effect};
use super::uart::{self, Uart};
use super::{Board, Counts, Exit, Image, Options, Outcome, Peer, logs};

/// Where the linker script of `cortex-m-rt` ends the firmware's variables.
const END_OF_VARIABLES: &str = "__sheap";

/// The instruction `BKPT 0xAB`: a semihosting call.
const SEMIHOSTING: [u8; 2] = [0xab, 0xbe];

/// Cycles asleep with nothing to receive after which a device counts as asleep for good: 40 ms at 25 MHz.
const SLEEP_LIMIT: u64 = 1_000_000;

/// How often the clock on the wall is read, in steps.
const CLOCK_INTERVAL: u64 = 1 << 20;

/// Runs the image. See [`super::run`].
pub(super) fn run(image: &Image, peer: &mut dyn Peer, options: &Options) -> Result<Outcome> {
    let mut machine = Machine::new(image, options)?;
    let exit = machine.run(peer, options)?;
    // A stack below RAM also locks the core up; this says why.
    if let Some(end) = image.address(END_OF_VARIABLES) {
        let lowest = machine.lowest_stack;
        ensure!(lowest >= end, "the stack has grown down to {lowest:#010x}, into variables that end at {end:#010x}");
    }
    Ok(Outcome {
        exit,
        logs: logs::decode(image.elf(), &machine.console)?,
        counts: Some(Counts {
            instructions: machine.instructions,
            cycles: machine.cycles,
            lowest_stack: machine.lowest_stack,
            calls: machine.calls.counts(),
        }),
        calls: machine.calls.into_calls(),
    })
}

struct Machine {
    core: ArmV7m,
    memory: Arc<AddressSpace>,
    uart: Arc<Uart>,
    interrupt: u16,
    flash: Vec<u8>,
    console: Vec<u8>,
    calls: CallCounter,
    instructions: u64,
    cycles: u64,
    lowest_stack: u32,
}

/// What one step was.
#[derive(PartialEq, Eq)]
enum Step {
    Instruction,
    ExceptionEntry,
    Asleep,
}

impl Machine {
    fn new(image: &Image, options: &Options) -> Result<Self> {
        let entry = options.count.as_deref().map(|symbol| image.function(symbol)).transpose()?;
        let flash = flash(image)?;
        let board = image.board();
        let memory = AddressSpace::new(board.machine(), 32);
        let (uart, uart_base, interrupt) = Uart::of(board);
        let uart = Arc::new(uart);
        {
            let mut map = memory.topology();
            let rom = Region::rom("flash", Arc::new(RomStore::from_slice(&flash)), RomWrite::Fault);
            let ram = Region::ram("ram", Arc::new(RamStore::new(board.ram().length.into())));
            let uart = Region::io("uart0", uart::LENGTH, Arc::clone(&uart) as _);
            for (region, base) in [(rom, board.flash().base), (ram, board.ram().base), (uart, uart_base)] {
                map.map(region, base.into()).map_err(|error| anyhow::anyhow!("the memory map: {error}"))?;
            }
        }
        let memory = Arc::new(memory);
        let core = ArmV7m::new(match board {
            Board::Mps2An386 => Config::CORTEX_M4F,
            Board::Mps2An385 => {
                let mut config = Config::CORTEX_M4;
                config.ext = Extensions::CORTEX_M3;
                config
            }
            Board::Microbit => Config::CORTEX_M4,
        });
        core.attach_space(Arc::clone(&memory));
        // The reset sequence.
        core.step();
        if board == Board::Microbit {
            core.with_sys(|system| system.ccr |= ccr::UNALIGN_TRP);
        }
        Ok(Self {
            core,
            memory,
            uart,
            interrupt,
            flash,
            console: Vec::new(),
            calls: CallCounter::new(entry),
            instructions: 0,
            cycles: 0,
            lowest_stack: u32::MAX,
        })
    }

    fn run(&mut self, peer: &mut dyn Peer, options: &Options) -> Result<Exit> {
        let start = Instant::now();
        let mut exhausted = false;
        let mut asleep = 0;
        let mut steps: u64 = 0;
        let mut now = self.core.regs();
        while self.instructions < options.instructions {
            if self.uart.touched() {
                self.core.set_irq(self.interrupt, self.uart.service(peer, &mut exhausted));
            }
            if self.at_semihosting_call(now.r[15]) {
                if let Some(status) = self.semihosting(&mut now)? {
                    return Ok(Exit::Status(status));
                }
                continue;
            }
            let outside_interrupts = !now.in_handler();
            if outside_interrupts {
                self.calls.before(view(&now));
            }
            let cycles = self.core.step();
            let next = self.core.regs();
            self.cycles += cycles;
            self.lowest_stack = self.lowest_stack.min(next.r[13]);
            match self.classify(&now, &next) {
                Step::Instruction => {
                    self.instructions += 1;
                    asleep = 0;
                    if outside_interrupts {
                        self.calls.after(view(&next), cycles);
                    }
                }
                Step::ExceptionEntry => asleep = 0,
                Step::Asleep => {
                    asleep += cycles;
                    if asleep > SLEEP_LIMIT {
                        return Ok(if self.core.is_locked_up() { Exit::LockedUp } else { Exit::Asleep });
                    }
                }
            }
            now = next;
            steps += 1;
            if steps.is_multiple_of(CLOCK_INTERVAL) && start.elapsed() > options.timeout {
                return Ok(Exit::Timeout);
            }
        }
        Ok(Exit::InstructionLimit)
    }

    /// What the step between two states was. The order matters: most steps are instructions, and are known by their PC.
    #[inline]
    fn classify(&self, before: &Regs, after: &Regs) -> Step {
        if before.exception() != after.exception() && after.in_handler() && is_exception_return(after.r[14]) {
            // A return to a handler that was itself interrupted looks the same, save that it does not begin anew.
            let vector = self.core.vtor() + 4 * u32::from(after.exception().0);
            if self.flash_word(vector).is_some_and(|handler| handler & !1 == after.r[15]) {
                return Step::ExceptionEntry;
            }
        }
        if before.r[15] == after.r[15] && (self.core.is_asleep() || self.core.is_locked_up()) {
            return Step::Asleep;
        }
        Step::Instruction
    }

    #[inline]
    fn at_semihosting_call(&self, pc: u32) -> bool {
        self.flash.get(pc as usize..pc as usize + 2).is_some_and(|instruction| instruction == SEMIHOSTING)
    }

    /// Serves a semihosting call; returns the status if the firmware has ended.
    fn semihosting(&mut self, registers: &mut Regs) -> Result<Option<i32>> {
        self.instructions += 1;
        self.cycles += 1;
        match semihosting::serve(&self.memory, registers.r[0], registers.r[1], &mut self.console)? {
            Effect::Exit(status) => Ok(Some(status)),
            Effect::Return(value) => {
                self.core.set_reg(0, value);
                self.core.set_pc(registers.r[15] + 2);
                *registers = self.core.regs();
                Ok(None)
            }
        }
    }

    fn flash_word(&self, address: u32) -> Option<u32> {
        let bytes = self.flash.get(address as usize..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

fn view(registers: &Regs) -> View {
    View { pc: registers.r[15], sp: registers.r[13], lr: registers.r[14] }
}

/// Whether a link register holds one of the values that end an exception handler.
fn is_exception_return(lr: u32) -> bool {
    lr >= 0xffff_ffe0
}

/// The contents of flash, erased where the image has nothing.
fn flash(image: &Image) -> Result<Vec<u8>> {
    let memory = image.board().flash();
    let (base, length) = (memory.base, memory.length);
    let mut flash = vec![0xff; length as usize];
    for segment in image.segments() {
        let start = segment.address.checked_sub(base).context("a segment lies below flash")? as usize;
        let Some(place) = flash.get_mut(start..start + segment.bytes.len()) else {
            bail!(
                "{} bytes at {:#010x} do not lie in the {length} bytes of flash at {base:#010x}",
                segment.bytes.len(),
                segment.address
            );
        };
        place.copy_from_slice(&segment.bytes);
    }
    ensure!(flash[..8] != [0xff; 8], "no vector table at {base:#010x}: is the firmware linked for this machine?");
    Ok(flash)
}
