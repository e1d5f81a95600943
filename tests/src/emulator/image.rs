//! A firmware image: what of an ELF file goes into memory, and what its symbols say.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol, elf};

use super::{Board, Sections};

/// A firmware image.
#[derive(Clone, Debug)]
pub struct Image {
    board: Board,
    elf: Vec<u8>,
    segments: Vec<Segment>,
    symbols: HashMap<String, u32>,
}

/// Bytes and where in memory they are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The physical address of the first byte: for initialized data, where it lies in flash.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Image {
    /// Reads an ELF file for a board.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Image::parse`].
    pub fn read(path: &Path, board: Board) -> Result<Self> {
        let elf = std::fs::read(path).with_context(|| format!("cannot read the firmware {}", path.display()))?;
        Self::parse(elf, board).with_context(|| path.display().to_string())
    }

    /// An image for a board, from the bytes of an ELF file.
    ///
    /// # Errors
    /// If they are not a linked, little-endian ELF for the board's processor.
    pub fn parse(elf: Vec<u8>, board: Board) -> Result<Self> {
        let file = ElfFile32::<Endianness>::parse(&*elf).context("not a 32-bit ELF file")?;
        let endian = file.endian();
        let machine = file.elf_header().e_machine(endian);
        let expected = board.elf_machine();
        ensure!(machine == expected, "an ELF file for machine {machine}, expected {expected} ({})", board.core());
        ensure!(endian == Endianness::Little, "a big-endian ELF file, expected a little-endian one");
        let mut segments = Vec::new();
        for header in file.elf_program_headers() {
            let bytes = header.data(endian, &*elf).ok().context("a segment reaches beyond the end of the file")?;
            if header.p_type(endian) == elf::PT_LOAD && !bytes.is_empty() {
                segments.push(Segment { address: header.p_paddr(endian), bytes: bytes.to_vec() });
            }
        }
        if segments.is_empty() {
            bail!("nothing to load: expected a linked firmware");
        }
        let symbols = file
            .symbols()
            .filter(|symbol| !symbol.is_undefined())
            .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address() as u32)))
            .collect();
        Ok(Self { board, segments, symbols, elf })
    }

    /// The board that it is for.
    pub fn board(&self) -> Board {
        self.board
    }

    /// The ELF file.
    pub fn elf(&self) -> &[u8] {
        &self.elf
    }

    /// What is loaded.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The address of the first instruction of a function.
    ///
    /// # Errors
    /// If the image has no such symbol.
    pub fn function(&self, symbol: &str) -> Result<u32> {
        // Bit 0 of a function's symbol says that it is Thumb code.
        self.address(symbol)
            .map(|address| address & !1)
            .with_context(|| format!("no symbol `{symbol}` in the firmware"))
    }

    /// The address that a symbol has, if it is there.
    pub(super) fn address(&self, symbol: &str) -> Option<u32> {
        self.symbols.get(symbol).copied()
    }

    /// How many bytes its sections take.
    ///
    /// # Errors
    /// If the section table cannot be read.
    pub fn sections(&self) -> Result<Sections> {
        Sections::of(&self.elf)
    }
}
