//! Runs a firmware ELF without a board, in one of two emulators behind one interface.
//!
//! | | [`Backend::Rsemu`] (default) | [`Backend::Qemu`] |
//! |---|---|---|
//! | needs | nothing but cargo | `qemu-system-arm`, `qemu-system-riscv32` |
//! | machines | of each [`Board`]: core, flash, RAM and UART0 | each [`Board`], whole |
//! | counts | instructions, cycles of a simple model, stack, each call of a symbol | nothing: the firmware counts with SysTick |
//! | time | none: a run is the same every time | `-icount shift=6`, and a UART whose bytes arrive when they arrive |
//!
//! QEMU is the trusted second opinion: where the two disagree, QEMU is right. Known differences:
//!
//! - rsemu refuses writes to flash and accesses to addresses without memory or device by a bus fault. On the AN386 the
//!   memory at 0 is RAM and takes writes.
//! - rsemu's Cortex-M0 is a Cortex-M4 without an FPU that traps unaligned accesses: it also runs what a Cortex-M0 does not have, which a
//!   compiler for a Cortex-M0 does not emit. Its cycles are a Cortex-M4's.
//! - rsemu's Cortex-M33 has no TrustZone: it runs what QEMU's runs on the secure side. Its RISC-V core traps unaligned accesses.
//! - rsemu forgets the flags of a floating-point comparison in an interrupt whose frame is lazy (`FPCCR.LSPEN`), and what
//!   is left of an IT block in any interrupt. So here frames are whole, and interrupts wait for the end of an IT block.
//! - A modelled cycle of the RISC-V core is an access to the bus, of instructions or data.
//! - rsemu has UART0 and no other peripheral outside the core. It knows the semihosting calls that a Rust firmware makes
//!   to write and to exit; any other one ends the run with an error that names it.
//! - SysTick counts modelled cycles in rsemu, and emulated nanoseconds in QEMU (25 MHz on the AN386); `minstret` counts
//!   instructions in rsemu, and emulated nanoseconds in QEMU.
//! - rsemu ends a run whose stack has grown into the firmware's variables with an error; QEMU lets it go on.
//! - rsemu's cycles are no prediction for silicon: its model charges every load two cycles.
//! - Without an [`Options::clock`] a byte that the host sends arrives as soon as the one before has been read, so a device can be
//!   flooded, but its UART never overruns. With one, in rsemu, bytes take their time in both directions, and overrun a UART that
//!   is not read. QEMU has none.
//!
//! A device talks to a [`Peer`] on the host. The peer is asked for bytes, and handed the device's, in one thread, so a
//! conversation is reproducible.

mod board;
mod calls;
mod conversation;
mod firmware;
mod image;
mod logs;
mod paced;
mod peer;
mod qemu;
mod rsemu;
mod semihosting;
mod size;
mod uart;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail};

pub use board::Board;
pub use calls::{Call, CallCounts};
pub use conversation::{Answers, Conversation};
pub use firmware::{Build, build, install};
pub use image::{Image, Segment};
pub use paced::{Paced, Pacing};
pub use peer::{Peer, Script};
pub use size::{Cost, Sections};

/// Which emulator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The emulator that comes with the build.
    #[default]
    Rsemu,
    /// `qemu-system-arm` and `qemu-system-riscv32`, of the system.
    Qemu,
}

impl Backend {
    /// Why this emulator cannot run here, with what to do about it; `None` if it can.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::Rsemu => None,
            Self::Qemu => qemu::missing(),
        }
    }

    /// Packages of Debian and Ubuntu that have it.
    pub fn packages(self) -> Vec<&'static str> {
        match self {
            Self::Rsemu => Vec::new(),
            Self::Qemu => qemu::PROGRAMS.map(|(_, package)| package).to_vec(),
        }
    }
}

impl FromStr for Backend {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "rsemu" => Ok(Self::Rsemu),
            "qemu" => Ok(Self::Qemu),
            _ => bail!("expected the emulator rsemu or qemu, found `{name}`"),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsemu => "rsemu",
            Self::Qemu => "qemu",
        })
    }
}

/// Every board in every emulator that can run here. Says which emulators cannot.
pub fn everywhere() -> impl Iterator<Item = (Board, Backend)> {
    let backends = || {
        [Backend::Rsemu, Backend::Qemu].into_iter().filter(|backend| {
            let missing = backend.missing();
            missing.iter().for_each(|reason| println!("skipped: {reason}"));
            missing.is_none()
        })
    };
    Board::ALL.into_iter().flat_map(move |board| backends().map(move |backend| (board, backend)))
}

/// What a run may take at most, and what it counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Ends the run after so many instructions (rsemu).
    pub instructions: u64,
    /// Ends the run after so long.
    pub timeout: Duration,
    /// Counts each call of the function with this symbol (rsemu).
    pub count: Option<String>,
    /// Lets bytes take their time (rsemu).
    pub clock: Option<Clock>,
}

/// Time on the UART's line, as the device's instructions go by: an instruction is taken for a cycle, which is less than most cores need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Cycles of the core in a second.
    pub hertz: u64,
    /// Bits of the line in a second; a byte takes ten.
    pub baud: u64,
}

impl Clock {
    /// Cycles that a byte is on the line.
    pub fn byte(self) -> u64 {
        10 * self.hertz / self.baud
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { instructions: 100_000_000_000, timeout: Duration::from_secs(600), count: None, clock: None }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The firmware ended itself with this status.
    Status(i32),
    /// The core locked up: a fault inside the hard fault handler.
    LockedUp,
    /// The device sleeps, and the host has nothing more to send.
    Asleep,
    /// [`Options::instructions`] were not enough.
    InstructionLimit,
    /// [`Options::timeout`] was not enough.
    Timeout,
}

impl Exit {
    /// Whether the firmware ended itself and reported success.
    pub fn success(self) -> bool {
        self == Self::Status(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::LockedUp => f.write_str("the core locked up: a fault inside the hard fault handler"),
            Self::Asleep => f.write_str("the device sleeps and the host has nothing more to send"),
            Self::InstructionLimit => f.write_str("the limit of instructions was reached"),
            Self::Timeout => f.write_str("the time limit was reached"),
        }
    }
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What the firmware logged by defmt, a line each: the level and the message.
    pub logs: Vec<String>,
    /// What was counted; QEMU counts nothing.
    pub counts: Option<Counts>,
    /// Each call of the symbol in [`Options::count`], in order.
    pub calls: Vec<Call>,
}

impl Outcome {
    /// This outcome, if the firmware reported success.
    ///
    /// # Errors
    /// How the run ended otherwise, with the firmware's last words.
    pub fn check(self) -> Result<Self> {
        if self.exit.success() {
            return Ok(self);
        }
        let last = self.logs.len().saturating_sub(10);
        bail!("the firmware failed: {}. Its last logs:\n  {}", self.exit, self.logs[last..].join("\n  "))
    }
}

/// What rsemu counted, from reset to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Retired instructions.
    pub instructions: u64,
    /// Cycles of a simple model, asleep ones included.
    pub cycles: u64,
    /// The lowest address that the stack pointer had.
    pub lowest_stack: u32,
    /// Of the symbol in [`Options::count`].
    pub calls: CallCounts,
}

/// Runs the image until it ends or a limit is reached, talking to `peer` over UART0.
///
/// # Errors
/// If the emulator cannot be started, the image does not fit the machine, [`Options::count`] is no function of the image,
/// or the firmware does what the emulator does not know. A firmware that fails is an [`Outcome`].
pub fn run(backend: Backend, image: &Image, peer: &mut dyn Peer, options: &Options) -> Result<Outcome> {
    match backend {
        Backend::Rsemu => rsemu::run(image, peer, options),
        Backend::Qemu => qemu::run(image, peer, options),
    }
}
