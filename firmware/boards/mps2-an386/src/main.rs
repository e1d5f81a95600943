//! The application on an emulated Cortex-M4F.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware {
    use cortex_m_rt::entry;
    use flowlet::{Assessment, ReadingError};
    use flowlet_board_mps2_an386::program;
    use flowlet_firmware::model::{VALUES, assess};

    /// One score. The name and the call are fixed, so that an emulator can count its instructions.
    #[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
    #[unsafe(no_mangle)]
    #[inline(never)]
    fn flowlet_score(reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
        assess(reading)
    }

    #[entry]
    fn main() -> ! {
        program::run(flowlet_score)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware. `cargo xtask demo` builds it for the device and runs it in an emulator.");
    std::process::exit(1);
}
