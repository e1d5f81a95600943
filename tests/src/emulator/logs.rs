//! The firmware's logs: a stream of defmt frames into lines.

use anyhow::{Context, Result};
use defmt_decoder::{DecodeError, StreamDecoder, Table};

/// The lines that the firmware logged in `stream`, in order.
///
/// A frame that cannot be decoded is a line that says so.
///
/// # Errors
/// If the ELF's defmt data cannot be read.
pub(super) fn decode(elf: &[u8], stream: &[u8]) -> Result<Vec<String>> {
    let Some(table) = Table::parse(elf).context("cannot read the firmware's defmt data")? else {
        return Ok(plain(stream));
    };
    let mut decoder = table.new_stream_decoder();
    decoder.received(stream);
    Ok(lines(&mut *decoder))
}

fn lines(decoder: &mut dyn StreamDecoder) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("", |level| level.as_str());
                lines.push(format!("{:<5} {}", level.to_uppercase(), frame.display_message()));
            }
            Err(DecodeError::UnexpectedEof) => return lines,
            Err(DecodeError::Malformed) => lines.push("(a damaged log frame)".to_owned()),
        }
    }
}

/// A firmware without defmt writes text.
fn plain(stream: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(stream).lines().map(str::to_owned).collect()
}
