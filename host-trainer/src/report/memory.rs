//! What memory the program took.

use std::fs;

/// The most bytes that were resident at a time, as Linux counts them; `None` elsewhere.
pub(super) fn peak_resident_bytes() -> Option<u64> {
    of_status(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmHWM:    12345 kB` of proc(5), whose kB are KiB.
fn of_status(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::of_status;

    #[test]
    fn the_high_water_mark_is_read() {
        assert_eq!(of_status("Name:\tflowlet\nVmPeak:\t  20 kB\nVmHWM:\t   1024 kB\nVmRSS:\t  12 kB\n"), Some(1 << 20));
        assert_eq!(of_status("Name:\tflowlet\n"), None);
        assert_eq!(of_status("VmHWM:\tunknown\n"), None);
    }
}
