use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::DataError;

/// Makes sure that nothing writes to a file while it is read: half of one table and half of another would pass for readings.
///
/// Size and time of change are compared. What is no regular file, such as a pipe, has neither.
#[derive(Clone, Debug)]
pub(super) struct Unchanged {
    path: PathBuf,
    before: Option<(u64, SystemTime)>,
}

impl Unchanged {
    /// Since now.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn since_now(path: &Path) -> Result<Self, DataError> {
        let unreadable = |error| DataError::Unreadable { file: path.display().to_string(), error };
        Ok(Self { path: path.to_owned(), before: state(path).map_err(unreadable)? })
    }

    /// What was read since, or why it could not be.
    ///
    /// # Errors
    /// If the file has changed; what was read, or what was wrong with it, then says nothing.
    pub fn checked<T>(&self, read: Result<T, DataError>) -> Result<T, DataError> {
        match state(&self.path) {
            Ok(after) if after == self.before => read,
            _ => Err(DataError::Changed { file: self.path.display().to_string() }),
        }
    }
}

fn state(path: &Path) -> io::Result<Option<(u64, SystemTime)>> {
    let found = fs::metadata(path)?;
    if !found.is_file() {
        return Ok(None);
    }
    Ok(Some((found.len(), found.modified()?)))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;
    use crate::data::open;

    #[test]
    fn a_file_that_grows_or_is_touched_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readings.csv");
        let append = |text: &str| OpenOptions::new().append(true).open(&path)?.write_all(text.as_bytes());
        let touch = || OpenOptions::new().append(true).open(&path)?.set_modified(SystemTime::UNIX_EPOCH);
        fs::write(&path, "a\n1\n").unwrap();
        let mut unchanged = open(&path).unwrap();
        assert_eq!(unchanged.next_block().unwrap().map(|block| block.rows()), Some(1));
        assert!(unchanged.next_block().unwrap().is_none());
        // What is wrong with half a table is no news of the table.
        for change in [&(|| append("2,")) as &dyn Fn() -> io::Result<()>, &touch] {
            let mut source = open(&path).unwrap_or_else(|error| panic!("{error}"));
            change().unwrap();
            let message = format!(
                "{}: changed while it was read (wait until nothing writes to it, or read a copy)",
                path.display()
            );
            assert_eq!(source.next_block().unwrap_err().to_string(), message);
            fs::write(&path, "a\n1\n").unwrap();
        }
    }
}
