//! Where results go: files that appear whole or not at all, and standard output.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

/// A file to write at the end of a run, whose place was found writable at its beginning.
///
/// The contents go to a temporary file beside it, which then takes its name: whoever reads the file sees the old
/// contents or the new ones. It exists for as long as that takes, so that a run that is killed leaves none.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Stdout,
    /// Something that cannot be replaced, such as a terminal or a pipe.
    Device,
    File,
}

impl Output {
    /// Prepares to write `path`; `-` is standard output.
    ///
    /// # Errors
    /// If no file can be written there.
    pub fn prepare(path: &Path) -> Result<Self> {
        let (path, place) = (path.to_owned(), Place::at(path)?);
        Ok(Self { path, place })
    }

    /// Writes all of the contents.
    ///
    /// # Errors
    /// If the system refuses; the old file is then still there.
    pub fn write(&self, contents: &[u8]) -> Result<()> {
        let staged = self.stage(contents)?;
        self.commit(contents, staged)
    }

    /// The contents in a temporary file, on the disk; nothing for what cannot be replaced.
    fn stage(&self, contents: &[u8]) -> Result<Option<NamedTempFile>> {
        match self.place {
            Place::Stdout | Place::Device => Ok(None),
            Place::File => self.told(temporary_file(&self.path).and_then(|mut file| {
                file.as_file_mut().write_all(contents)?;
                // A name that outlives a power failure must not be that of an empty file.
                file.as_file().sync_all()?;
                Ok(Some(file))
            })),
        }
    }

    fn commit(&self, contents: &[u8], staged: Option<NamedTempFile>) -> Result<()> {
        let path = &self.path;
        match (staged, &self.place) {
            (Some(file), _) => self.told(file.persist(path).map(drop).map_err(|error| error.error)),
            (None, Place::Stdout) => to_stdout(|stdout| stdout.write_all(contents)),
            (None, _) => self.told(OpenOptions::new().write(true).open(path).and_then(|mut it| it.write_all(contents))),
        }
    }

    /// What is at the place now.
    fn current(&self) -> Result<Option<Vec<u8>>> {
        match (&self.place, fs::read(&self.path)) {
            (Place::Stdout | Place::Device, _) => Ok(None),
            (Place::File, Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            (Place::File, read) => self.told(read.map(Some)),
        }
    }

    /// Makes the place as it was.
    fn restore(&self, old: Option<&[u8]>) -> Result<()> {
        match (&self.place, old) {
            (Place::Stdout | Place::Device, _) => Ok(()),
            (Place::File, Some(old)) => self.write(old),
            (Place::File, None) => self.told(fs::remove_file(&self.path)),
        }
    }

    fn told<T>(&self, result: io::Result<T>) -> Result<T> {
        result.with_context(|| format!("{}: cannot be written", self.path.display()))
    }
}

/// Writes files that belong together: all of them, or none. Everything is on the disk before the first file takes its
/// name, so that a full disk is found before anything has changed; should a name be refused all the same, those that
/// were taken are given back.
///
/// # Errors
/// If the system refuses; the old files are then still there.
pub fn write_together(files: &[(&Output, &[u8])]) -> Result<()> {
    let staged: Vec<_> = files.iter().map(|(output, contents)| output.stage(contents)).collect::<Result<_>>()?;
    let old: Vec<_> = files.iter().map(|(output, _)| output.current()).collect::<Result<_>>()?;
    for (index, ((output, contents), staged)) in files.iter().zip(staged).enumerate() {
        if let Err(error) = output.commit(contents, staged) {
            for ((output, _), old) in files.iter().zip(&old).take(index) {
                output.restore(old.as_deref())?;
            }
            return Err(error);
        }
    }
    Ok(())
}

impl Place {
    fn at(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => bail!("{}: is a directory, expected the name of a file", path.display()),
            Ok(found) if !found.is_file() => return Ok(Self::Device),
            _ => {}
        }
        let folder = folder(path);
        if path.file_name().is_none() || !folder.is_dir() {
            bail!("{}: there is no folder {} (create it first)", path.display(), folder.display());
        }
        drop(temporary_file(path).with_context(|| format!("{}: cannot be written", path.display()))?);
        Ok(Self::File)
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty file beside `path`, which goes when it is dropped.
fn temporary_file(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".flowlet-");
    // Temporary files are for their owner alone; what takes their name should be as readable as any new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Writes to standard output; that its reader has gone, as `head` does, ends the writing and is no error.
///
/// # Errors
/// If writing fails for another reason.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is left in the buffer must not be tried again.
            let _ = stdout.into_parts();
            Ok(())
        }
        result => result.context("standard output cannot be written"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_replace_the_file_only_when_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.flow");
        fs::write(&path, "old").unwrap();
        let output = Output::prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a run that is killed now leaves nothing behind");
        output.write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        drop(Output::prepare(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
    }

    #[test]
    fn places_that_cannot_be_written_are_found_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| Output::prepare(path).unwrap_err().to_string();
        assert!(message(folder.path()).ends_with("is a directory, expected the name of a file"));
        assert!(message(&folder.path().join("no/model.flow")).contains("there is no folder"));
    }

    #[test]
    fn files_that_belong_together_are_replaced_all_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("old"), "old").unwrap();
        let outputs = ["old", "new", "refused"].map(|name| Output::prepare(&path(name)).unwrap());
        // Something takes the last name in the meantime, and does not give it back.
        fs::create_dir(path("refused")).unwrap();
        fs::write(path("refused/file"), "").unwrap();
        let [old, new, refused] = &outputs;
        let message = write_together(&[(old, b"1"), (new, b"2"), (refused, b"3")]).unwrap_err().to_string();
        assert!(message.ends_with("refused: cannot be written"), "{message}");
        assert_eq!(fs::read_to_string(path("old")).unwrap(), "old");
        assert!(!path("new").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays behind");

        fs::remove_dir_all(path("refused")).unwrap();
        write_together(&[(old, b"1"), (new, b"2"), (refused, b"3")]).unwrap();
        assert_eq!(["old", "new", "refused"].map(|name| fs::read_to_string(path(name)).unwrap()), ["1", "2", "3"]);
    }

    #[cfg(unix)]
    #[test]
    fn new_files_are_as_readable_as_any_other() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
        Output::prepare(&ours).unwrap().write(b"").unwrap();
        fs::write(&other, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&other));
    }
}
