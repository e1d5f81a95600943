//! Why a fit cannot begin.

/// Why a fit cannot begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Too few rows to fit to or to validate with.
    #[error("{found} rows {purpose}, at least {expected} are needed: add rows")]
    TooFewRows {
        /// What for.
        purpose: &'static str,
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The tables have different shapes.
    #[error("the {what} has {found} features, the training rows have {expected}")]
    FeatureMismatch {
        /// Which data.
        what: &'static str,
        /// Features of the training rows.
        expected: usize,
        /// Features found.
        found: usize,
    },
    /// A value is NaN, infinite, or becomes so when it is standardized.
    #[error("row {row}, feature {feature}: the value is not a finite number in 32 bits: remove the row or the column")]
    NotFinite {
        /// Row of the training or validation rows, from 0.
        row: usize,
        /// Feature, from 0.
        feature: usize,
    },
    /// A feature has one value.
    #[error("feature {feature} has no spread in the training rows: a constant column has no density, leave it out")]
    NoSpread {
        /// Feature, from 0.
        feature: usize,
    },
    /// A feature's standard deviation or its inverse is beyond f32.
    #[error(
        "feature {feature} has the standard deviation {deviation:.1e}, which 32 bits cannot divide by: use another unit"
    )]
    Spread {
        /// Feature, from 0.
        feature: usize,
        /// Its standard deviation, in raw units.
        deviation: f64,
    },
    /// The temporary file of the training rows.
    #[error("the temporary file of the training rows cannot be read: {error}")]
    Unreadable {
        /// What the system said.
        error: String,
    },
    /// An option has no meaning.
    #[error("option {option}: {problem}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong and what is expected.
        problem: String,
    },
}
