//! What the commands report: each report is text for people ([`Display`](std::fmt::Display)) and JSON for programs.

mod calibration;
mod evaluation;
mod fit;
mod fleet;
mod groups;
mod inspection;
mod memory;
mod quantization;

pub use calibration::{Alarm, CalibrationReport};
pub use evaluation::{Evaluation, Kind, Measures};
pub use fit::{FitReport, Parts, Seconds};
pub use fleet::{Entry, Status};
pub use groups::GroupEvaluation;
pub use inspection::Inspection;

use serde::Serialize;

/// A report as JSON, with a line break at the end.
///
/// # Panics
/// Never: reports have no keys but strings.
pub fn to_json(report: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(report).expect("keys are strings");
    json.push(b'\n');
    json
}

fn ratio(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.4}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{:.2} %", 100.0 * value))
}

fn nats(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() >= 1e5 => format!("{value:.3e}"),
        Some(value) => format!("{value:.4}"),
    }
}

/// A change in nats, with its sign.
fn change(value: Option<f64>) -> String {
    value.map_or(
        "-".to_owned(),
        |value| if value.abs() >= 1e5 { format!("{value:+.3e}") } else { format!("{value:+.4}") },
    )
}

/// A score in as few digits as tell it from all others.
fn score(value: f32) -> String {
    if value.abs() >= 1e5 { format!("{value:e}") } else { value.to_string() }
}

/// A number of bytes or the like, with its thousands set apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_their_size_demands() {
        assert_eq!(
            (change(Some(0.5)), change(Some(-0.00004)), change(None)),
            ("+0.5000".into(), "-0.0000".into(), "-".into())
        );
        assert_eq!(change(Some(2e6)), "+2.000e6");
        assert_eq!(
            (score(3e38), score(-12.25), score(-123_456.0)),
            ("3e38".into(), "-12.25".into(), "-1.23456e5".into())
        );
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
