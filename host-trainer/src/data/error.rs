use std::error::Error;
use std::fmt::{self, Display};
use std::io;

use super::{Gaps, Place};

/// Why a table cannot be used, and what to do about it.
///
/// Lines count as in an editor: the header is line 1, and a quoted line break counts too.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read: {error}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Something wrote to the file while it was read.
    #[error("{file}: changed while it was read (wait until nothing writes to it, or read a copy)")]
    Changed {
        /// The file.
        file: String,
    },
    /// Nothing in the file but blank lines.
    #[error("{file}: is empty (expected a header that names the columns, then one reading a line)")]
    Empty {
        /// The file.
        file: String,
    },
    /// A header and nothing else.
    #[error("{file}: has a header but no readings")]
    NoReadings {
        /// The file.
        file: String,
    },
    /// No window is complete.
    #[error("{file}: has no window of {window} samples in a row (record more, or take a shorter --window)")]
    NoWindow {
        /// The file.
        file: String,
        /// Samples of a window.
        window: usize,
    },
    /// A Parquet or Arrow file, of which this build knows the name alone.
    #[error(
        "{file}: is {format}, and this build reads CSV only (build it with `--features columnar`, or save the table as CSV)"
    )]
    NotBuilt {
        /// The file.
        file: String,
        /// Its format.
        format: &'static str,
    },
    /// A Parquet or Arrow file that is cut short or otherwise not as its format demands.
    #[error("{file}: cannot be read as {format}: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// Its format.
        format: &'static str,
        /// What the format's reader says.
        problem: String,
    },
    /// A format that is read from its end, on a pipe.
    #[error(
        "{file}: is {format}, which is read from its end (give the file itself, or send CSV or an Arrow IPC stream)"
    )]
    NotSeekable {
        /// Where it came from.
        file: String,
        /// The format.
        format: &'static str,
    },
    /// The text is UTF-16, as some spreadsheets write it.
    #[error("{file}: is UTF-16 text (save it as \"CSV UTF-8\")")]
    Utf16 {
        /// The file.
        file: String,
    },
    /// A byte that UTF-8 does not allow.
    #[error("{file}:{line}: the byte 0x{byte:02X} is not UTF-8 (save the file as \"CSV UTF-8\")")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The line it is on.
        line: u64,
        /// The byte.
        byte: u8,
    },
    /// The first line holds numbers only.
    #[error("{file}:{line}: expected a header that names the columns, found numbers, `{found}` first (add a header)")]
    NoHeader {
        /// The file.
        file: String,
        /// The line where the header was expected.
        line: u64,
        /// The first of the numbers.
        found: String,
    },
    /// A column without a name.
    #[error(
        "{file}:{line}: column {position} has no name (name it in the header; an index column that pandas wrote can be left out with `to_csv(.., index=False)`)"
    )]
    UnnamedColumn {
        /// The file.
        file: String,
        /// The header's line.
        line: u64,
        /// Which column, from 1.
        position: usize,
    },
    /// Two columns of one name.
    #[error("{file}:{line}: columns {first} and {second} are both named `{column}` (rename one of them)")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The header's line.
        line: u64,
        /// The name.
        column: String,
        /// The first that bears it, from 1.
        first: usize,
        /// The second that bears it, from 1.
        second: usize,
    },
    /// A row with more or fewer cells than the header.
    #[error("{file}:{line}: expected {expected} cells as in the header, found {found}{}", advice.hint())]
    Ragged {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// Cells in the header.
        expected: usize,
        /// Cells in the row.
        found: usize,
        /// What the likely reason is.
        advice: RowAdvice,
    },
    /// A row so long that a quote must be missing.
    #[error("{file}:{line}: the row is longer than {} MiB (a quote that opens on this line is closed on another, or never)", limit >> 20)]
    LongRow {
        /// The file.
        file: String,
        /// The line that it begins on.
        line: u64,
        /// The longest that is read, in bytes.
        limit: usize,
    },
    /// A cell that cannot be used as a number.
    #[error("{file}:{place}: {cell}")]
    Cell {
        /// The file.
        file: String,
        /// Where in it.
        place: Place,
        /// Where in the line, and what is wrong with it.
        cell: CellError,
    },
    /// Rows with missing cells, and nobody has said what becomes of them.
    #[error("{file}: {gaps}; the first {} ({})", Located(&gaps.places), gaps.advice())]
    Missing {
        /// The file.
        file: String,
        /// How many, and where.
        gaps: Gaps,
    },
    /// No row without missing cells.
    #[error("{file}: {gaps}, so none is complete ({})", if gaps.fitting { gaps.ignore() } else { "fill some in".to_owned() })]
    AllMissing {
        /// The file.
        file: String,
        /// How many, and where.
        gaps: Gaps,
    },
    /// A label other than 0 and 1.
    #[error("{file}:{place}: column `{column}`: the label `{found}` is neither 0 (normal) nor 1 (anomaly)")]
    Label {
        /// The file.
        file: String,
        /// Where in it.
        place: Place,
        /// The label column.
        column: String,
        /// What is there.
        found: String,
    },
    /// A column that is needed and not there.
    #[error(
        "{file}: there is no column `{column}`{}{}; its columns are {}",
        needed_by.as_ref().map_or(String::new(), |by| format!(" ({by})")),
        near.as_ref().map_or(String::new(), |near| format!(", did you mean `{near}`?")),
        Names(columns)
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// The column that was asked for.
        column: String,
        /// Who asked for it, an option or the model.
        needed_by: Option<String>,
        /// The most similar of the columns that are there.
        near: Option<String>,
        /// The columns that are there.
        columns: Vec<String>,
    },
    /// One column named by two options.
    #[error("column `{column}` is given both as {first} and as {second} (give it once)")]
    TwoRoles {
        /// The column.
        column: String,
        /// One option.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// No column is left to fit.
    #[error("{file}: no column is left to fit: {} all have another role", Names(columns))]
    NoFeatures {
        /// The file.
        file: String,
        /// The columns that are there.
        columns: Vec<String>,
    },
    /// A unit for a column that is not fitted.
    #[error("{file}: `{column}` has a unit (--unit) but is no feature; the features are {}", Names(features))]
    UnitOfNoFeature {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What is fitted.
        features: Vec<String>,
    },
    /// Every row is an anomaly.
    #[error("{file}: all {rows} rows are labelled 1 in column `{column}` (fitting needs normal readings, labelled 0)")]
    NoNormalRows {
        /// The file.
        file: String,
        /// The label column.
        column: String,
        /// How many rows.
        rows: usize,
    },
    /// Columns that hold one value only: their density would be infinite.
    #[error(
        "{file}: {} the same in all {rows} readings that are fitted, so there is no density to fit (ignore with --ignore {})",
        Constants(columns),
        columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(",")
    )]
    Constant {
        /// The file.
        file: String,
        /// Their names and values.
        columns: Vec<(String, f32)>,
        /// Over how many readings.
        rows: usize,
    },
    /// Columns whose values differ by less than 32-bit floats can tell apart.
    #[error(
        "{file}: column `{column}` is the same in all {rows} readings that are fitted as 32-bit floats ({value:?}), though the file has `{}` and `{}` (subtract an offset from the column, or ignore it with --ignore {column})",
        texts[0],
        texts[1]
    )]
    ConstantInF32 {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// Two cells that differ.
        texts: [String; 2],
        /// What both of them are.
        value: f32,
        /// Over how many readings.
        rows: usize,
    },
    /// Not enough readings to fit and select.
    #[error(
        "{file}: {found} normal readings are too few: {features} features need at least {needed}{}",
        match calibration {
            0 => " (record more)".to_owned(),
            _ => format!(
                ", {calibration} of them held back for calibration (record more, give the held-back readings with --val, or hold back fewer with a higher --false-alarm-rate)"
            ),
        }
    )]
    TooFewRows {
        /// The file.
        file: String,
        /// Readings there are.
        found: usize,
        /// Readings needed.
        needed: usize,
        /// Features.
        features: usize,
        /// Readings of these that calibration takes.
        calibration: usize,
    },
    /// Not enough held-back readings for the false-alarm rate.
    #[error(
        "{file}: a false-alarm rate of {rate} needs at least {needed} held-back normal readings and {found} can be held back (record more, or use --false-alarm-rate {attainable} or higher)"
    )]
    RateTooLow {
        /// The file that calibration takes its readings from.
        file: String,
        /// The rate that was asked for.
        rate: f32,
        /// Held-back readings needed for it.
        needed: usize,
        /// Held-back readings that can be had.
        found: usize,
        /// The lowest rate that can be had.
        attainable: f32,
    },
    /// A row that does not say which group it belongs to.
    #[error("{file}:{place}: column `{column}`: the group is empty (fill it in, remove the row, or leave --group out)")]
    NoGroup {
        /// The file.
        file: String,
        /// Where in it.
        place: Place,
        /// The group column.
        column: String,
    },
    /// A group column with a name for nearly every row.
    #[error(
        "{file}: column `{column}` has more than {most} groups (name a column that many rows share, or leave --group out)"
    )]
    TooManyGroups {
        /// The file.
        file: String,
        /// The group column.
        column: String,
        /// The most that there may be.
        most: usize,
    },
    /// The temporary file of a table that is larger than the memory it may take.
    #[error(
        "{file}: its readings go through a temporary file, which cannot be used: {error} (set TMPDIR to a folder with room, or allow more memory with --memory)"
    )]
    Temporary {
        /// The file.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Whole groups cannot be held back.
    #[error(
        "{file}: column `{column}` has {found} group{}: calibration holds back whole groups and needs at least 2 (leave --group out, or give readings of other groups with --val)",
        if *found == 1 { "" } else { "s" }
    )]
    TooFewGroups {
        /// The file.
        file: String,
        /// The group column.
        column: String,
        /// Groups there are.
        found: usize,
    },
}

/// What is wrong with one cell of a numeric column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellError {
    /// The column's name.
    pub column: String,
    /// What is there, cut short if it is long.
    pub found: String,
    /// Why it cannot be used.
    pub problem: CellProblem,
    /// Whether the column can be left out, as when a model is fitted; a model's own features cannot.
    pub can_ignore: bool,
}

/// Why a cell is not a number that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellProblem {
    /// Nothing in it.
    Empty,
    /// Text among numbers.
    Text,
    /// Text in a column that holds no number at all.
    TextColumn,
    /// A number with a decimal comma.
    DecimalComma,
    /// NaN or an infinity.
    NotFinite,
    /// A number that a 32-bit float cannot hold.
    BeyondF32,
    /// A column of a type that is neither a number nor text, such as a time or a list; what is found is the type.
    Type,
}

impl CellError {
    /// What is wrong, without advice.
    pub fn statement(&self) -> String {
        let Self { column, found, problem, .. } = self;
        let what = match problem {
            CellProblem::Empty => "the cell is empty".to_owned(),
            CellProblem::Text => format!("`{found}` is not a number"),
            CellProblem::TextColumn => format!("`{found}` is not a number, nor is anything in this column"),
            CellProblem::DecimalComma => format!("`{found}` has a decimal comma"),
            CellProblem::NotFinite => format!("`{found}` is not a finite number"),
            CellProblem::BeyondF32 => format!("`{found}` is beyond a 32-bit float, which ends at 3.4e38"),
            CellProblem::Type => format!("its type is {found}, which is no number"),
        };
        format!("column `{column}`: {what}")
    }
}

impl Display for CellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, found, problem, can_ignore } = self;
        let advice = match (problem, can_ignore) {
            (CellProblem::DecimalComma, _) => format!("write {}", found.replace(',', ".")),
            (CellProblem::BeyondF32, _) => "use a larger unit, or remove the row".to_owned(),
            (CellProblem::TextColumn | CellProblem::Type, true) => format!("ignore it with --ignore {column}"),
            (CellProblem::TextColumn | CellProblem::Type, false) => "the model needs it in numbers".to_owned(),
            (CellProblem::Empty, _) => "fill it in, or remove the row".to_owned(),
            (CellProblem::Text | CellProblem::NotFinite, true) => {
                format!("ignore the column with --ignore {column}, or remove the row")
            }
            (CellProblem::Text | CellProblem::NotFinite, false) => "remove the row".to_owned(),
        };
        write!(f, "{} ({advice})", self.statement())
    }
}

impl Error for CellError {}

impl Gaps {
    fn advice(&self) -> String {
        match self.fitting {
            true => format!(
                "leave such rows out with --missing drop, have them filled in for training with --missing impute, or {}",
                self.ignore()
            ),
            false => "leave such rows out with --missing drop, or fill the cells in".to_owned(),
        }
    }

    fn ignore(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        format!("ignore {} with --ignore {}", if names.len() == 1 { "the column" } else { "columns" }, names.join(","))
    }
}

impl Display for Gaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 12;
        let Self { rows, of, columns, .. } = self;
        write!(f, "{rows} of {of} rows {} missing cells (empty or NaN), in", if *rows == 1 { "has" } else { "have" })?;
        for (index, (name, count)) in columns.iter().take(SHOWN).enumerate() {
            write!(f, "{} `{name}` ({count})", if index == 0 { "" } else { "," })?;
        }
        match columns.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more columns"),
        }
    }
}

/// Places within a sentence: line numbers, the plural included, or rows of a file without lines.
pub(super) struct Located<'a>(pub &'a [Place]);

impl Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = match self.0 {
            [Place::Row { .. }, ..] => "in",
            [_] => "on line ",
            _ => "on lines ",
        };
        for place in self.0 {
            write!(f, "{before}{place}")?;
            before = if matches!(place, Place::Row { .. }) { "," } else { ", " };
        }
        Ok(())
    }
}

/// The likely reason for a row of the wrong length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAdvice {
    /// Too short.
    Short,
    /// Too long.
    Long,
    /// A cell runs over several lines.
    OpenQuote,
}

impl RowAdvice {
    fn hint(self) -> &'static str {
        match self {
            Self::Short => " (fill in the missing cells, or remove the row)",
            Self::Long => " (a comma inside a cell must be quoted, and decimals take a point)",
            Self::OpenQuote => " (a quote that opens on this line is closed on another, or never)",
        }
    }
}

/// Column names for a message, cut short where there are many.
struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 24;
        for (i, name) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}`{name}`", if i == 0 { "" } else { ", " })?;
        }
        if self.0.len() > SHOWN {
            write!(f, " and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}

struct Constants<'a>(&'a [(String, f32)]);

impl Display for Constants<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "column " } else { "columns " })?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}`{name}` ({value})", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(if self.0.len() == 1 { " is" } else { " are" })
    }
}
