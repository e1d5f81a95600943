//! What the commands report: each report is text for people ([`Display`](std::fmt::Display)) and JSON for programs.

mod evaluation;
mod fit;
mod inspection;

pub use evaluation::{Evaluation, Kind, Measures};
pub use fit::{FitReport, Parts};
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

/// A number of bytes or the like, with its thousands set apart.
fn thousands(number: u64) -> String {
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
