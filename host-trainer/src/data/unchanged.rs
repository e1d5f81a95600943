use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::DataError;

/// Reads a file by `read`, and makes sure that nothing wrote to it meanwhile: half of one table and half of another would
/// pass for readings.
///
/// Size and time of change are compared. What is no regular file, such as a pipe, has neither.
///
/// # Errors
/// If the file cannot be read, or has changed.
pub fn unchanged<T>(path: &Path, read: impl FnOnce() -> io::Result<T>) -> Result<T, DataError> {
    let file = || path.display().to_string();
    let unreadable = |error| DataError::Unreadable { file: file(), error };
    let before = state(path).map_err(unreadable)?;
    let contents = read().map_err(unreadable)?;
    match state(path) {
        Ok(after) if after == before => Ok(contents),
        _ => Err(DataError::Changed { file: file() }),
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

    #[test]
    fn a_file_that_grows_or_is_touched_while_it_is_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readings.csv");
        let append = |text: &str| OpenOptions::new().append(true).open(&path)?.write_all(text.as_bytes());
        let touch = || OpenOptions::new().append(true).open(&path)?.set_modified(SystemTime::UNIX_EPOCH);
        fs::write(&path, "a\n1\n").unwrap();
        assert_eq!(unchanged(&path, || fs::read(&path)).unwrap(), b"a\n1\n");
        for change in [&(|| append("2\n")) as &dyn Fn() -> io::Result<()>, &touch] {
            let error = unchanged(&path, || fs::read(&path).and_then(|read| change().map(|()| read))).unwrap_err();
            let message = format!(
                "{}: changed while it was read (wait until nothing writes to it, or read a copy)",
                path.display()
            );
            assert_eq!(error.to_string(), message);
        }
    }
}
