//! Broken sensors, found before the density is asked: readings out of range, and values that never change.

use super::{Fault, SettingsView};

/// Checks a reading, and remembers its values. The first feature that is out of range or stuck is named.
///
/// `last` and `runs` hold each feature's last value and for how many readings it has been the same, which is 0 before the first.
#[inline]
pub(super) fn check(
    settings: &SettingsView<'_>,
    last: &mut [f32],
    runs: &mut [u32],
    reading: &[f32],
) -> Result<(), Fault> {
    let mut fault = Ok(());
    let limits = settings.low.iter().zip(settings.high).zip(settings.longest_run);
    let memory = last.iter_mut().zip(runs);
    for (feature, ((value, ((low, high), longest)), (last, run))) in reading.iter().zip(limits).zip(memory).enumerate()
    {
        let same = *run > 0 && *value == *last;
        *run = if same { run.saturating_add(1) } else { 1 };
        *last = *value;
        if fault.is_err() {
            continue;
        }
        // A NaN is neither: the detector finds it, and says so.
        if *value < *low || *value > *high {
            fault = Err(Fault::OutOfRange { feature });
        } else if *longest > 0 && *run > *longest {
            fault = Err(Fault::Stuck { feature });
        }
    }
    fault
}
