//! A file from which an interrupted fit goes on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::output::Output;
use crate::train::{Epoch, Progress, State};

/// What a file begins with. The number is that of the format.
const MAGIC: &[u8] = b"flowlet checkpoint 1\n";

/// Bytes of the hash behind it, of all that follows.
const HASH: usize = 32;

/// What decides the bits of a fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of flowlet.
    version: String,
    /// All options, as JSON, which postcard cannot hold otherwise.
    options: String,
    /// The fingerprints of the data, by what they are of.
    data: BTreeMap<String, String>,
}

impl Identity {
    /// Of a fit with these options to data with these fingerprints.
    pub fn new(options: &Value, data: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let data = data.into_iter().map(|(name, fingerprint)| (name.to_owned(), fingerprint)).collect();
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), options: options.to_string(), data }
    }

    /// What is not as it was in `then`, in words.
    fn differences(&self, then: &Self) -> Vec<String> {
        let mut all = Vec::new();
        if self.version != then.version {
            all.push(format!("it is of version {} of flowlet, this is {}", then.version, self.version));
        }
        let changed = self.data.iter().filter(|(name, fingerprint)| then.data.get(*name) != Some(*fingerprint));
        all.extend(changed.map(|(name, _)| format!("the {name} are others")));
        let [was, is] = [then, self].map(|identity| {
            let mut options = BTreeMap::new();
            flatten("", &serde_json::from_str(&identity.options).unwrap_or_default(), &mut options);
            options
        });
        let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
        let value = |options: &BTreeMap<String, String>, name: &String| options.get(name).cloned().unwrap_or_default();
        let changed = names.filter(|name| was.get(*name) != is.get(*name));
        all.extend(changed.map(|name| format!("`{name}` was {} and is {}", value(&was, name), value(&is, name))));
        all
    }
}

/// The numbers and words of nested options, by their paths.
fn flatten(path: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, all);
            }
        }
        other => drop(all.insert(path.to_owned(), other.to_string())),
    }
}

/// Where the descents of a fit are, in a file that is replaced as a whole.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    output: Output,
    every: Duration,
    contents: Contents,
    /// Descents that have begun.
    begun: usize,
    written: Instant,
    failed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    identity: Identity,
    /// Of each descent, in their order.
    descents: Vec<State>,
}

impl Checkpoint {
    /// The checkpoint in a file, or one that will be, of the fit that is to begin or to go on; it is written after a pass
    /// when so long has gone by.
    ///
    /// # Errors
    /// If the file cannot be read or written, is no checkpoint, or is one of another fit.
    pub fn open(path: &Path, every: Duration, identity: Identity) -> Result<Self> {
        let output = Output::prepare(path)?;
        let descents = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
            Ok(bytes) => {
                let Some(contents) = Contents::parse(&bytes) else {
                    bail!(
                        "{}: is no checkpoint that this version can go on from (remove it to begin anew)",
                        path.display()
                    );
                };
                if contents.identity != identity {
                    bail!(
                        "{}: is the checkpoint of another fit: {} (fit as then to go on, or remove the file to begin anew)",
                        path.display(),
                        identity.differences(&contents.identity).join("; ")
                    );
                }
                contents.descents
            }
        };
        let contents = Contents { identity, descents };
        Ok(Self { path: path.to_owned(), output, every, contents, begun: 0, written: Instant::now(), failed: false })
    }

    /// Passes over the training rows that are done; 0 if the fit is to begin.
    pub fn epochs(&self) -> usize {
        self.contents.descents.iter().map(State::epochs).sum()
    }

    /// Writes what there is now, if there is anything.
    ///
    /// # Errors
    /// If the system refuses; what was there before still is.
    pub fn write(&mut self) -> Result<()> {
        self.written = Instant::now();
        if self.contents.descents.is_empty() {
            return Ok(());
        }
        self.output.write(&self.contents.to_bytes())
    }

    /// Removes the file of a fit that is done.
    ///
    /// # Errors
    /// If it is there and the system refuses.
    pub fn remove(self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{}: cannot be removed", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    fn resume(&mut self) -> Option<State> {
        self.begun += 1;
        self.contents.descents.get(self.begun - 1).cloned()
    }

    fn keep(&mut self, state: &State) {
        self.contents.descents.truncate(self.begun - 1);
        self.contents.descents.push(state.clone());
        if state.is_finished() || self.written.elapsed() >= self.every {
            // A fit of hours does not end because a disk is full for a minute.
            if let (Err(error), false) = (self.write(), self.failed) {
                self.failed = true;
                eprintln!("warning: {error:#}; the fit goes on without this checkpoint");
            }
        }
    }
}

impl Contents {
    fn to_bytes(&self) -> Vec<u8> {
        let contents = postcard::to_allocvec(self).expect("numbers and text serialize");
        [MAGIC, &Sha256::digest(&contents), &contents].concat()
    }

    /// `None` for what is damaged or something else.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (hash, contents) = bytes.strip_prefix(MAGIC)?.split_at_checked(HASH)?;
        (Sha256::digest(contents)[..] == *hash).then(|| postcard::from_bytes(contents).ok())?
    }
}

/// Passes on how a fit goes, and keeps where it is if there is a checkpoint.
pub struct Kept<'a, P> {
    /// Whom to tell.
    pub progress: &'a mut P,
    /// Where to keep it.
    pub checkpoint: Option<&'a mut Checkpoint>,
}

impl<P: Progress> Progress for Kept<'_, P> {
    fn epoch(&mut self, state: &Epoch) {
        self.progress.epoch(state);
    }

    fn diverged(&mut self, step: usize, learning_rate: f32) {
        self.progress.diverged(step, learning_rate);
    }

    fn resume(&mut self) -> Option<State> {
        self.checkpoint.as_mut()?.resume()
    }

    fn keep(&mut self, state: &State) {
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.keep(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(options: &Value, readings: &str) -> Identity {
        Identity::new(options, [("readings", readings.to_owned()), ("calibration rows", "2".to_owned())])
    }

    #[test]
    fn differences_are_named() {
        let then = identity(&json!({"seed": 0, "architecture": {"layers": 8, "base": "normal"}}), "1");
        let now = identity(&json!({"seed": 1, "architecture": {"layers": 8, "base": "mixture"}}), "3");
        assert_eq!(then.differences(&then.clone()), [""; 0]);
        assert_eq!(
            now.differences(&then),
            [
                "the readings are others",
                "`architecture.base` was \"normal\" and is \"mixture\"",
                "`seed` was 0 and is 1"
            ]
        );
    }

    #[test]
    fn damage_is_noticed() {
        let contents = Contents { identity: identity(&json!({"seed": 0}), "1"), descents: Vec::new() };
        let bytes = contents.to_bytes();
        assert_eq!(Contents::parse(&bytes).unwrap().identity, contents.identity);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Contents::parse(&damaged).is_none() && Contents::parse(&bytes[..at]).is_none(), "byte {at}");
        }
    }
}
