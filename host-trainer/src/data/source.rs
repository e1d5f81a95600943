//! Where rows come from: a file of any format, a block at a time.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

#[cfg(feature = "columnar")]
use super::columnar;
use super::csv::Csv;
use super::table::position;
use super::unchanged::Unchanged;
use super::{DataError, Table};

/// A table that is read a block of rows at a time, so that it may be larger than memory.
pub trait Source: Send {
    /// Its name, for messages.
    fn file(&self) -> &str;
    /// The columns' names, in the file's order.
    fn columns(&self) -> &[String];
    /// The next rows, at least one, or `None` behind the last.
    ///
    /// # Errors
    /// If the file cannot be read on or is no table; no more can be read then.
    fn next_block(&mut self) -> Result<Option<Table>, DataError>;

    /// The position of a column; `needed_by` says in the message who asks for it.
    ///
    /// # Errors
    /// If there is none of that name.
    fn column(&self, name: &str, needed_by: Option<&str>) -> Result<usize, DataError> {
        position(self.file(), self.columns(), name, needed_by)
    }

    /// The positions of several columns, as [`Source::column`] finds them.
    ///
    /// # Errors
    /// For the first that is not there.
    fn columns_of(&self, names: &[String], needed_by: Option<&str>) -> Result<Vec<usize>, DataError> {
        names.iter().map(|name| self.column(name, needed_by)).collect()
    }
}

/// Opens a table, or standard input if the path is `-`. Its first bytes tell its format.
///
/// # Errors
/// If it cannot be read, is no table or has no rows. A file that changes is an error too, of the block that is read then.
pub fn open(path: &Path) -> Result<Box<dyn Source>, DataError> {
    let from_stdin = path.as_os_str() == "-";
    let name = if from_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let unreadable = |error| DataError::Unreadable { file: name.clone(), error };
    if from_stdin {
        let (format, head) = Format::of(&mut io::stdin()).map_err(unreadable)?;
        return format.open_stream(&name, io::Cursor::new(head).chain(io::stdin()));
    }
    let unchanged = Unchanged::since_now(path)?;
    let mut input = File::open(path).map_err(unreadable)?;
    let (format, head) = Format::of(&mut input).map_err(unreadable)?;
    // What is no plain file, such as a pipe, cannot be read again.
    let source = match input.rewind() {
        Ok(()) => format.open_file(&name, input),
        Err(_) => format.open_stream(&name, io::Cursor::new(head).chain(input)),
    };
    Ok(Box::new(Watched { source: unchanged.checked(source)?, unchanged }))
}

/// A file that nothing must write to meanwhile.
struct Watched {
    source: Box<dyn Source>,
    unchanged: Unchanged,
}

impl Source for Watched {
    fn file(&self) -> &str {
        self.source.file()
    }

    fn columns(&self) -> &[String] {
        self.source.columns()
    }

    fn next_block(&mut self) -> Result<Option<Table>, DataError> {
        let block = self.source.next_block();
        self.unchanged.checked(block)
    }
}

/// The CSV table in `input`; `file` is its name in messages.
pub(super) fn of_csv(file: &str, input: impl Read + Send + 'static) -> Result<Box<dyn Source>, DataError> {
    Ok(Box::new(Csv::new(file, input)?))
}

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Parquet,
    /// Arrow IPC as a file, also known as Feather.
    Arrow,
    /// Arrow IPC as a stream.
    ArrowStream,
}

impl Format {
    /// The format by the first bytes, and these.
    fn of(input: &mut impl Read) -> io::Result<(Self, Vec<u8>)> {
        let mut head = Vec::new();
        input.take(8).read_to_end(&mut head)?;
        let format = match &head[..] {
            // Behind its name is what no text has: a column may be named PAR1.
            [b'P', b'A', b'R', b'1', next, ..] if next.is_ascii_control() && !next.is_ascii_whitespace() => {
                Self::Parquet
            }
            [b'A', b'R', b'R', b'O', b'W', b'1', 0, 0] => Self::Arrow,
            // The mark of a message, and the length of the schema, of which no table's takes 16 MiB.
            [0xFF, 0xFF, 0xFF, 0xFF, _, _, _, 0] => Self::ArrowStream,
            _ => Self::Csv,
        };
        Ok((format, head))
    }

    /// Its name, for messages.
    const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
            Self::Arrow | Self::ArrowStream => "Arrow IPC",
        }
    }

    #[cfg(feature = "columnar")]
    fn open_file(self, file: &str, input: File) -> Result<Box<dyn Source>, DataError> {
        match self {
            Self::Parquet => columnar::parquet(file, input),
            Self::Arrow => columnar::ipc_file(file, input),
            Self::Csv | Self::ArrowStream => self.open_stream(file, input),
        }
    }

    #[cfg(feature = "columnar")]
    fn open_stream(self, file: &str, input: impl Read + Send + 'static) -> Result<Box<dyn Source>, DataError> {
        match self {
            Self::Csv => of_csv(file, input),
            Self::Parquet | Self::Arrow => Err(DataError::NotSeekable { file: file.to_owned(), format: self.name() }),
            Self::ArrowStream => columnar::ipc_stream(file, input),
        }
    }

    #[cfg(not(feature = "columnar"))]
    fn open_file(self, file: &str, input: File) -> Result<Box<dyn Source>, DataError> {
        self.open_stream(file, input)
    }

    #[cfg(not(feature = "columnar"))]
    fn open_stream(self, file: &str, input: impl Read + Send + 'static) -> Result<Box<dyn Source>, DataError> {
        match self {
            Self::Csv => of_csv(file, input),
            _ => Err(DataError::NotBuilt { file: file.to_owned(), format: self.name() }),
        }
    }

    /// That a file of this format cannot be read.
    #[cfg(feature = "columnar")]
    pub fn damaged(self, file: &str, problem: &dyn ToString) -> DataError {
        DataError::Damaged { file: file.to_owned(), format: self.name(), problem: problem.to_string() }
    }
}

/// Hands all blocks of a source to `each`, and reads the next one meanwhile.
///
/// # Errors
/// The first, of the source or of `each`.
pub fn for_each_block<E: From<DataError>>(
    source: &mut dyn Source,
    mut each: impl FnMut(Table) -> Result<(), E>,
) -> Result<(), E> {
    let mut next = source.next_block()?;
    while let Some(block) = next {
        next = thread::scope(|scope| {
            let reading = scope.spawn(|| source.next_block());
            each(block)?;
            Ok::<_, E>(reading.join().unwrap_or_else(|panic| resume_unwind(panic))?)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_the_format() {
        for (bytes, expected) in [
            (&b"PAR1\x15\x04\x15\x80"[..], Format::Parquet),
            (b"PAR1,PAR2\n1,2\n", Format::Csv),
            (b"PAR1\n1\n", Format::Csv),
            (b"ARROW1\0\0\xff\xff", Format::Arrow),
            (b"ARROW1,b\n", Format::Csv),
            (b"\xff\xff\xff\xff\x10\x01\0\0", Format::ArrowStream),
            (b"a,b\n", Format::Csv),
            (b"", Format::Csv),
        ] {
            let (format, head) = Format::of(&mut &bytes[..]).unwrap();
            assert_eq!((format, &head[..]), (expected, &bytes[..bytes.len().min(8)]));
        }
    }
}
