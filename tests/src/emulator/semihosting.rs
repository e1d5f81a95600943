//! The semihosting calls of a Rust firmware: write to the console, and exit.
//!
//! See Arm's *Semihosting for AArch32 and AArch64*, which RISC-V has taken over. The operation is in r0 (a0), its argument
//! or the address of its arguments in r1 (a1), the result goes to r0 (a0).

use ::rsemu::core::space::{AddressSpace, MemAttrs};
use ::rsemu::core::value::Width;
use anyhow::{Context, Result, bail};

const SYS_OPEN: u32 = 0x01;
const SYS_CLOSE: u32 = 0x02;
const SYS_WRITEC: u32 = 0x03;
const SYS_WRITE0: u32 = 0x04;
const SYS_WRITE: u32 = 0x05;
const SYS_EXIT: u32 = 0x18;
const SYS_EXIT_EXTENDED: u32 = 0x20;

/// "The application ended", the one reason that means success.
const APPLICATION_EXIT: u32 = 0x20026;

/// The name of the console.
const CONSOLE: &[u8] = b":tt";
const CONSOLE_HANDLE: u32 = 1;
const FAILED: u32 = u32::MAX;

/// The longest console write that is believed, in bytes.
const MAX_WRITE: u32 = 1 << 20;

/// What a call leads to.
pub(super) enum Effect {
    /// The firmware goes on, with this result.
    Return(u32),
    /// The firmware has ended.
    Exit(i32),
}

/// Serves one call.
///
/// # Errors
/// If the operation is not known, or its arguments lie outside memory.
pub(super) fn serve(memory: &AddressSpace, operation: u32, argument: u32, console: &mut Vec<u8>) -> Result<Effect> {
    let word = |index: u32| {
        memory
            .read(u64::from(argument) + u64::from(4 * index), Width::U32, MemAttrs::DEBUG)
            .ok()
            .map(|word| word as u32)
            .with_context(|| {
                format!("semihosting call {operation:#x}: its arguments at {argument:#010x} are not in memory")
            })
    };
    let bytes = |address: u32, length: u32| -> Result<Vec<u8>> {
        let mut bytes = vec![0; length.min(MAX_WRITE) as usize];
        memory.read_bytes(address.into(), &mut bytes, MemAttrs::DEBUG).ok().with_context(|| {
            format!("semihosting call {operation:#x}: its {length} bytes at {address:#010x} are not in memory")
        })?;
        Ok(bytes)
    };
    Ok(Effect::Return(match operation {
        SYS_OPEN => {
            let name = bytes(word(0)?, word(2)?)?;
            if name == CONSOLE { CONSOLE_HANDLE } else { FAILED }
        }
        SYS_CLOSE => 0,
        SYS_WRITEC => {
            console.extend(bytes(argument, 1)?);
            0
        }
        SYS_WRITE0 => {
            for address in argument.. {
                match bytes(address, 1)?[..] {
                    [0] => break,
                    ref byte => console.extend(byte),
                }
            }
            0
        }
        // The result is the number of bytes *not* written.
        SYS_WRITE if word(0)? == CONSOLE_HANDLE => {
            console.extend(bytes(word(1)?, word(2)?)?);
            word(2)?.saturating_sub(MAX_WRITE)
        }
        SYS_WRITE => word(2)?,
        SYS_EXIT => return Ok(Effect::Exit(i32::from(argument != APPLICATION_EXIT))),
        SYS_EXIT_EXTENDED => {
            let status = word(1)? as i32;
            return Ok(Effect::Exit(if word(0)? == APPLICATION_EXIT { status } else { status.max(1) }));
        }
        _ => bail!("the firmware made semihosting call {operation:#x}, which this emulator does not know: use QEMU"),
    }))
}
