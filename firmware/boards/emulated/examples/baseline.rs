//! The firmware without the model and its scoring: what the two differ by is what scoring costs.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod device {
    use flowlet::{Assessment, ReadingError};
    use flowlet_emulated::{architecture::entry, program};
    use flowlet_firmware::model::VALUES;

    #[inline(never)]
    fn no_score(reading: &[f32; VALUES]) -> Result<Assessment, ReadingError> {
        let [value, ..] = *reading;
        if value.is_nan() {
            return Err(ReadingError::NotFinite { feature: 0 });
        }
        Ok(Assessment { log_prob: value, p_value: value, alarm: value > 1.0 })
    }

    #[entry]
    fn main() -> ! {
        program::run(no_score, || true)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    flowlet_emulated::refuse()
}
