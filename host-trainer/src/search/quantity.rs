//! Numbers with units, as a command line has them.

/// Bytes: `16384`, `16KiB`, `16kB`.
///
/// # Errors
/// What was expected, if it is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let units = [("", 1), ("B", 1), ("kB", 1000), ("KiB", 1 << 10), ("MB", 1_000_000), ("MiB", 1 << 20)];
    quantity(text, &units).ok_or_else(|| "expected a number of bytes above 0, such as 16384, 16KiB or 16kB".to_owned())
}

/// A count: `100000`, `100k`, `1.5M`.
///
/// # Errors
/// What was expected, if it is none.
pub fn count(text: &str) -> Result<u64, String> {
    let units = [("", 1), ("k", 1000), ("M", 1_000_000)];
    quantity(text, &units).ok_or_else(|| "expected a number above 0, such as 100000, 100k or 1.5M".to_owned())
}

/// A whole number of at least 1, in the end.
fn quantity(text: &str, units: &[(&str, u32)]) -> Option<u64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let value = number.trim_end().parse::<f64>().ok()? * f64::from(*factor);
    (value >= 1.0 && value <= f64::from(u32::MAX)).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, expected) in [("300", 300), ("16KiB", 16384), ("16 kB", 16000), ("1.5MiB", 1_572_864), ("9B", 9)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for (text, expected) in [("250", 250), ("100k", 100_000), ("1.5M", 1_500_000)] {
            assert_eq!(count(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_bytes_is_refused() {
        for text in ["", "KiB", "16K", "16kb", "16 KIB", "-1", "0", "0.5", "inf", "nan", "1e30", "5GB", "16KiB "] {
            let message = bytes(text).unwrap_err();
            assert!(message.contains("16KiB"), "{text}: {message}");
        }
        for text in ["100kB", "1e3", "k", "-5k", "0"] {
            assert!(count(text).is_err(), "{text}");
        }
    }
}
