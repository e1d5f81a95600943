//! The application.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use flowlet::{Assessment, ReadingError};
    use flowlet_emulated::{architecture::entry, program};
    use flowlet_firmware::model::{VALUES, assess, is_sound};

    /// One score. The name and the call are fixed, so that an emulator can count its instructions.
    #[allow(unsafe_code, reason = "an unmangled name must be unique, and it is")]
    #[unsafe(no_mangle)]
    #[inline(never)]
    fn flowlet_score(reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
        assess(reading)
    }

    #[entry]
    fn main() -> ! {
        program::run(flowlet_score, is_sound)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
