//! A budget of false alarms in the user's words: "1 per month", at "1Hz".

use std::fmt;

/// Alarms in a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// As it was said.
    words: String,
    /// Alarms in a second.
    pub per_second: f64,
}

/// Samples in a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// As it was said.
    words: String,
    /// Samples in a second.
    pub per_second: f64,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

const DAY: f64 = 86_400.0;

/// Units of time with their seconds; months and years are mean ones.
const UNITS: [(&[&str], f64); 7] = [
    (&["second", "seconds", "s"], 1.0),
    (&["minute", "minutes", "min"], 60.0),
    (&["hour", "hours", "h"], 3600.0),
    (&["day", "days", "d"], DAY),
    (&["week", "weeks"], 7.0 * DAY),
    (&["month", "months"], 365.2425 / 12.0 * DAY),
    (&["year", "years"], 365.2425 * DAY),
];

fn unit(word: &str) -> Option<f64> {
    UNITS.iter().find(|(names, _)| names.contains(&word)).map(|(_, seconds)| *seconds)
}

/// A number and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number = text[..end].parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0)?;
    Some((number, text[end..].trim()))
}

/// A time such as `3min` or `month`.
fn time(text: &str) -> Option<f64> {
    match number(text) {
        Some((count, word)) => Some(count * unit(word)?),
        None => unit(text.trim()),
    }
}

/// Reads a budget such as `1 per month`, `2/day` or `1 per 3 months`.
///
/// # Errors
/// What is expected.
pub fn budget(text: &str) -> Result<Budget, String> {
    let parsed = number(text).and_then(|(count, rest)| {
        let time = time(rest.strip_prefix('/').or_else(|| rest.strip_prefix("per "))?)?;
        Some(count / time)
    });
    parsed
        .map(|per_second| Budget { words: text.trim().to_owned(), per_second })
        .ok_or_else(|| "expected alarms in a time, such as \"1 per month\", 2/day or \"1 per 3 months\"".to_owned())
}

/// Reads a rate such as `1Hz`, `12.8 kHz` or `1 per 3min`.
///
/// # Errors
/// What is expected.
pub fn rate(text: &str) -> Result<Rate, String> {
    let parsed = number(text).and_then(|(count, rest)| match rest {
        "Hz" | "hz" => Some(count),
        "kHz" | "khz" => Some(1e3 * count),
        rest => Some(count / time(rest.strip_prefix('/').or_else(|| rest.strip_prefix("per "))?)?),
    });
    parsed
        .map(|per_second| Rate { words: text.trim().to_owned(), per_second })
        .ok_or_else(|| "expected a sampling rate, such as 1Hz, 12.8kHz or \"1 per 3min\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_rates() {
        for (text, expected) in [
            ("1 per month", 1.0 / (30.436_875 * DAY)),
            ("2/day", 2.0 / DAY),
            ("1 per 3 months", 1.0 / (91.310_625 * DAY)),
            (" 0.5 per week ", 0.5 / (7.0 * DAY)),
        ] {
            assert!((budget(text).unwrap().per_second / expected - 1.0).abs() < 1e-12, "{text}");
        }
        for (text, expected) in [("1Hz", 1.0), ("12.8 kHz", 12_800.0), ("1 per 3min", 1.0 / 180.0), ("5/s", 5.0)] {
            assert!((rate(text).unwrap().per_second / expected - 1.0).abs() < 1e-12, "{text}");
        }
        for text in ["", "1", "one per day", "-1 per day", "0 per day", "1 per fortnight", "per day", "1 Hz"] {
            assert!(budget(text).is_err(), "{text}");
        }
        assert!(rate("fast").is_err() && rate("0Hz").is_err());
    }
}
