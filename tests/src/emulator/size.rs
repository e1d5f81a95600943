//! Bytes of flash and static RAM, from the sections of an ELF file.

use anyhow::{Context, Result, ensure};
use object::{File, Object, ObjectSection, SectionFlags, SectionKind, elf};

/// Bytes in memory, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// Code and the vector table.
    pub text: u64,
    /// Constants.
    pub rodata: u64,
    /// Initialized variables: in flash and in RAM.
    pub data: u64,
    /// Variables that start as zero or uninitialized.
    pub bss: u64,
}

/// What something costs: the difference of two firmware images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Growth of code and constants, the model not counted.
    pub code_bytes: i64,
    /// The model.
    pub model_bytes: i64,
    /// Growth of static RAM.
    pub static_ram_bytes: i64,
}

impl Sections {
    /// Adds up the sections of an ELF file that take memory.
    ///
    /// # Errors
    /// If it is not an ELF file.
    pub fn of(elf: &[u8]) -> Result<Self> {
        let file = File::parse(elf).context("not an ELF file")?;
        let mut sections = Self::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            let writable = sh_flags & u64::from(elf::SHF_WRITE) != 0;
            let executable = sh_flags & u64::from(elf::SHF_EXECINSTR) != 0;
            let name = section.name().unwrap_or_default();
            let kind = match (writable, executable) {
                (true, _) if section.kind() == SectionKind::UninitializedData => &mut sections.bss,
                (true, _) => &mut sections.data,
                (false, true) => &mut sections.text,
                (false, false) if name == ".vector_table" => &mut sections.text,
                (false, false) => &mut sections.rodata,
            };
            *kind += section.size();
        }
        Ok(sections)
    }

    /// What this firmware has more than `baseline`, of which `model_bytes` are the model.
    ///
    /// # Errors
    /// If the growth is smaller than the model: then the model is not in this firmware, or is in both.
    pub fn over(&self, baseline: &Self, model_bytes: usize) -> Result<Cost> {
        let growth = |of: fn(&Self) -> u64| of(self) as i64 - of(baseline) as i64;
        let flash = growth(|sections| sections.text + sections.rodata);
        let model_bytes = model_bytes as i64;
        ensure!(
            flash >= model_bytes,
            "the firmware is only {flash} bytes larger than its baseline: expected a model of {model_bytes} bytes"
        );
        Ok(Cost {
            code_bytes: flash - model_bytes,
            model_bytes,
            static_ram_bytes: growth(|sections| sections.data + sections.bss),
        })
    }
}
