//! The firmware without the model and its scoring: what the two differ by is what scoring costs.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod firmware {
    use cortex_m_rt::entry;
    use flowlet::{Assessment, ReadingError};
    use flowlet_board_mps2_an386::program;
    use flowlet_firmware::model::D;

    #[inline(never)]
    fn no_score(reading: &[f32; D]) -> Result<Assessment, ReadingError> {
        let [value, ..] = *reading;
        if value.is_nan() {
            return Err(ReadingError::NotFinite { feature: 0 });
        }
        Ok(Assessment { log_prob: value, p_value: value, alarm: value > 1.0 })
    }

    #[entry]
    fn main() -> ! {
        program::run(no_score)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("This is firmware, built to be measured and not to be run: see the tests of flowlet-tests.");
    std::process::exit(1);
}
