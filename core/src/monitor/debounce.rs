//! k of n: an alarm needs more than one reading above the threshold, where sensors have single wild readings.

/// The most readings that are looked back on.
pub const MOST_READINGS: u32 = 32;

/// The history with one more reading, the newest in bit 0.
#[inline]
pub(super) fn shift(history: u32, above: bool) -> u32 {
    history << 1 | u32::from(above)
}

/// How many of the last `of` readings were above the threshold.
#[inline]
pub(super) fn count(history: u32, of: u32) -> u32 {
    let mask = if of >= MOST_READINGS { u32::MAX } else { (1 << of) - 1 };
    (history & mask).count_ones()
}

#[cfg(test)]
mod tests {
    use super::{count, shift};

    #[test]
    fn counts_the_last_readings_and_no_more() {
        let readings = [true, true, false, true, false, false, true];
        let history = readings.into_iter().fold(0, shift);
        for (of, expected) in [(0, 0), (1, 1), (2, 1), (4, 2), (7, 4), (32, 4), (99, 4)] {
            assert_eq!(count(history, of), expected, "{of}");
        }
        assert_eq!(count((0..40).fold(0, |history, _| shift(history, true)), 32), 32);
    }
}
