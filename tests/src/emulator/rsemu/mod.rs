//! The default backend: one of rsemu's cores with memory, UART0 and semihosting around it.

mod arm;
mod riscv;

use std::sync::Arc;
use std::time::Instant;

use ::rsemu::core::space::{AddressSpace, RamStore, Region, RomStore, RomWrite};
use anyhow::{Context, Result, bail, ensure};

use super::calls::{CallCounter, View};
use super::semihosting::{self, Effect};
use super::uart::{self, Uart, Wire};
use super::{Board, Counts, Exit, Image, Options, Outcome, Peer, logs};

/// Where the linker scripts of the runtimes end the firmware's variables.
const END_OF_VARIABLES: &str = "__sheap";

/// Cycles asleep with nothing to receive after which a device counts as asleep for good: 40 ms at 25 MHz.
const SLEEP_LIMIT: u64 = 1_000_000;

/// How often the clock on the wall is read, in steps.
const CLOCK_INTERVAL: u64 = 1 << 20;

/// What one step was.
#[derive(PartialEq, Eq)]
enum Step {
    Instruction,
    ExceptionEntry,
    Asleep,
}

/// A processor core.
trait Core {
    /// Its registers.
    fn view(&self) -> View;

    /// Whether it serves an interrupt.
    fn in_handler(&self) -> bool;

    /// Takes a step; returns what it was, and its cycles.
    fn step(&mut self) -> (Step, u64);

    /// Whether it has given up.
    fn is_locked_up(&self) -> bool;

    /// Sets the UART's interrupt.
    fn interrupt(&mut self, asserted: bool);

    /// Whether the instruction at the program counter, where the program goes on like this, is a semihosting call.
    fn calls_the_host(&self, program: &[u8]) -> bool;

    /// The operation and the argument of a semihosting call.
    fn arguments(&self) -> (u32, u32);

    /// Gives the result of a semihosting call, and goes on behind it.
    fn answer(&mut self, value: u32);
}

/// Runs the image. See [`super::run`].
pub(super) fn run(image: &Image, peer: &mut dyn Peer, options: &Options) -> Result<Outcome> {
    let board = image.board();
    let flash = flash(image)?;
    let memory = AddressSpace::new(board.machine(), 32);
    let (uart, uart_base, interrupt) = Uart::of(board);
    let uart = Arc::new(uart);
    {
        let mut map = memory.topology();
        let rom = Region::rom("flash", Arc::new(RomStore::from_slice(&flash)), RomWrite::Fault);
        let ram = Region::ram("ram", Arc::new(RamStore::new(board.ram().length.into())));
        let uart = Region::io("uart0", uart::LENGTH, Arc::clone(&uart) as _);
        let mut regions = vec![(rom, board.flash().base), (ram, board.ram().base), (uart, uart_base)];
        if let Some(controller) = board.interrupt_controller() {
            // There is one interrupt only, so nothing is asked of its registers but that they are there.
            let store = Arc::new(RamStore::new(controller.length.into()));
            regions.push((Region::ram("interrupt controller", store), controller.base));
        }
        for (region, base) in regions {
            map.map(region, base.into()).map_err(|error| anyhow::anyhow!("the memory map: {error}"))?;
        }
    }
    let memory = Arc::new(memory);
    let entry = options.count.as_deref().map(|symbol| image.function(symbol)).transpose()?;
    let machine = Machine {
        memory: &memory,
        uart: &uart,
        flash,
        base: board.flash().base,
        console: Vec::new(),
        calls: CallCounter::new(entry),
        instructions: 0,
        cycles: 0,
        lowest_stack: u32::MAX,
    };
    match board {
        Board::Virt => machine.run(riscv::RiscV::new(board, &memory), image, peer, options),
        _ => machine.run(arm::Arm::new(board, &memory, interrupt), image, peer, options),
    }
}

/// What is around a core.
struct Machine<'a> {
    memory: &'a AddressSpace,
    uart: &'a Uart,
    flash: Vec<u8>,
    base: u32,
    console: Vec<u8>,
    calls: CallCounter,
    instructions: u64,
    cycles: u64,
    lowest_stack: u32,
}

impl Machine<'_> {
    fn run(mut self, mut core: impl Core, image: &Image, peer: &mut dyn Peer, options: &Options) -> Result<Outcome> {
        let exit = self.exit(&mut core, peer, options)?;
        // A stack below RAM also locks the core up; this says why.
        if let Some(end) = image.address(END_OF_VARIABLES) {
            let lowest = self.lowest_stack;
            ensure!(
                lowest >= end,
                "the stack has grown down to {lowest:#010x}, into variables that end at {end:#010x}"
            );
        }
        Ok(Outcome {
            exit,
            logs: logs::decode(image.elf(), &self.console)?,
            counts: Some(Counts {
                instructions: self.instructions,
                cycles: self.cycles,
                lowest_stack: self.lowest_stack,
                calls: self.calls.counts(),
            }),
            calls: self.calls.into_calls(),
        })
    }

    /// Runs until the end.
    fn exit(&mut self, core: &mut impl Core, peer: &mut dyn Peer, options: &Options) -> Result<Exit> {
        let start = Instant::now();
        let mut exhausted = false;
        let mut wire = options.clock.map(Wire::new);
        // Instructions and cycles asleep: the time, where there is a clock.
        let mut time: u64 = 0;
        // Where there is time, the host may take some of it.
        let sleep_limit = options.clock.map_or(SLEEP_LIMIT, |clock| 2 * clock.hertz);
        let mut asleep = 0;
        let mut steps: u64 = 0;
        let mut now = core.view();
        while self.instructions < options.instructions {
            match &mut wire {
                None if self.uart.touched() => core.interrupt(self.uart.service(peer, &mut exhausted)),
                Some(wire) if time >= wire.next || self.uart.touched() => {
                    core.interrupt(self.uart.service_at(time, peer, wire));
                }
                _ => {}
            }
            let program = self.flash.get(now.pc.wrapping_sub(self.base) as usize..).unwrap_or_default();
            if core.calls_the_host(program) {
                if let Some(status) = self.semihosting(core)? {
                    return Ok(Exit::Status(status));
                }
                now = core.view();
                continue;
            }
            let outside_interrupts = !core.in_handler();
            if outside_interrupts {
                self.calls.before(now);
            }
            let (step, cycles) = core.step();
            now = core.view();
            self.cycles += cycles;
            // Until the runtime has set it, the stack pointer of a RISC-V core is 0.
            if now.sp != 0 {
                self.lowest_stack = self.lowest_stack.min(now.sp);
            }
            match step {
                Step::Instruction => {
                    self.instructions += 1;
                    time += 1;
                    asleep = 0;
                    if outside_interrupts {
                        self.calls.after(now, cycles);
                    }
                }
                Step::ExceptionEntry => asleep = 0,
                Step::Asleep => {
                    // Until something happens on the line, nothing else does.
                    let skipped = wire.as_ref().map_or(0, |wire| wire.next.saturating_sub(time + cycles));
                    self.cycles += skipped;
                    time += cycles + skipped;
                    asleep += cycles + skipped;
                    if asleep > sleep_limit {
                        return Ok(if core.is_locked_up() { Exit::LockedUp } else { Exit::Asleep });
                    }
                }
            }
            steps += 1;
            if steps.is_multiple_of(CLOCK_INTERVAL) && start.elapsed() > options.timeout {
                return Ok(Exit::Timeout);
            }
        }
        Ok(Exit::InstructionLimit)
    }

    /// Serves a semihosting call; returns the status if the firmware has ended.
    fn semihosting(&mut self, core: &mut impl Core) -> Result<Option<i32>> {
        self.instructions += 1;
        self.cycles += 1;
        let (operation, argument) = core.arguments();
        match semihosting::serve(self.memory, operation, argument, &mut self.console)? {
            Effect::Exit(status) => Ok(Some(status)),
            Effect::Return(value) => {
                core.answer(value);
                Ok(None)
            }
        }
    }
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
    ensure!(flash[..8] != [0xff; 8], "nothing at {base:#010x}: is the firmware linked for this machine?");
    Ok(flash)
}
