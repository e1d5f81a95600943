//! Training rows, a window at a time.
//!
//! A pass goes over a window of the rows: over all of them where they are in memory. Of a store, a window is made of blocks
//! from all over the table, drawn anew in each epoch, and the pass takes its rows in a shuffled order. So what is in memory
//! is bounded, what is read is read in pieces that are worth a seek, and a long epoch is validated more than once.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rand::seq::SliceRandom;

use super::error::FitError;
use super::flow::Flow;
use super::random::{Stream, stream};
use crate::data::{Matrix, Store};

/// The most rows of a pass over rows that are not all in memory: a few hundred steps, beside which a validation costs little.
pub const PASS_ROWS: usize = PASS_BLOCKS * Store::BLOCK;

const PASS_BLOCKS: usize = 64;

/// Where training rows come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Training<'a> {
    /// In memory, standardized.
    Table(&'a Matrix),
    /// Standardized as they are read.
    Stored(&'a Stored),
}

/// Rows in raw units, and what standardizes them.
#[derive(Debug)]
pub(super) struct Stored {
    pub store: Arc<Store>,
    pub standardization: Flow,
}

impl Training<'_> {
    /// How many there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Table(table) => table.rows(),
            Self::Stored(stored) => stored.store.rows(),
        }
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        match self {
            Self::Table(table) => table.columns(),
            Self::Stored(stored) => stored.store.columns(),
        }
    }
}

/// The window of the pass that goes on.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    training: Training<'a>,
    seed: u64,
    /// Its rows, if they come from a store.
    window: Option<Matrix>,
    ahead: Option<Ahead>,
    failure: Option<io::Error>,
}

impl<'a> Windows<'a> {
    pub fn new(training: Training<'a>, seed: u64) -> Self {
        Self { training, seed, window: None, ahead: None, failure: None }
    }

    /// Training rows, in all windows.
    pub fn rows(&self) -> usize {
        self.training.rows()
    }

    /// How many of them a pass takes.
    pub fn pass_rows(&self, pass: usize) -> usize {
        match self.training {
            Training::Table(table) => table.rows(),
            Training::Stored(Stored { store, .. }) => {
                let of_block = |block: usize| store.rows().min((block + 1) * Store::BLOCK) - block * Store::BLOCK;
                blocks(store.blocks(), self.seed, pass).into_iter().map(of_block).sum()
            }
        }
    }

    /// Gets the window of a pass ready; `false` if it cannot be read, which [`Windows::checked`] then explains.
    pub fn begin(&mut self, pass: usize) -> bool {
        let Training::Stored(Stored { store, standardization }) = self.training else { return true };
        let ahead = self.ahead.take().filter(|ahead| ahead.next == pass);
        let mut ahead = ahead.unwrap_or_else(|| Ahead::of(Arc::clone(store), self.seed, pass));
        let read = ahead.read();
        self.ahead = Some(ahead);
        match read {
            Ok(values) => {
                let rows = Matrix::new(values.len() / store.columns(), store.columns(), values);
                self.window = Some(standardization.prepared(&rows).0);
                true
            }
            Err(error) => {
                self.failure = Some(error);
                false
            }
        }
    }

    /// The rows of the window.
    ///
    /// # Panics
    /// If no pass has begun.
    pub fn current(&self) -> &Matrix {
        match (&self.window, self.training) {
            (Some(window), _) => window,
            (None, Training::Table(table)) => table,
            (None, Training::Stored(_)) => panic!("a pass has begun"),
        }
    }

    /// Fails if a window could not be read.
    pub fn checked(&mut self) -> Result<(), FitError> {
        self.failure.take().map_or(Ok(()), |error| Err(FitError::Unreadable { error: error.to_string() }))
    }
}

/// The blocks of a pass, of `count` there are.
fn blocks(count: usize, seed: u64, pass: usize) -> Vec<usize> {
    let passes = count.div_ceil(PASS_BLOCKS);
    let (epoch, part) = (pass / passes, pass % passes);
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut stream(seed, Stream::Blocks(epoch as u64)));
    order[part * count / passes..(part + 1) * count / passes].to_vec()
}

/// Windows of a store, read by a thread of their own while the pass before goes on.
#[derive(Debug)]
struct Ahead {
    next: usize,
    windows: Receiver<io::Result<Vec<f32>>>,
}

impl Ahead {
    fn of(store: Arc<Store>, seed: u64, first: usize) -> Self {
        // The thread has one window ready; none waits on the way.
        let (sender, windows) = sync_channel(0);
        thread::spawn(move || {
            for pass in first.. {
                let mut rows = Vec::new();
                let mut blocks = blocks(store.blocks(), seed, pass).into_iter();
                let read = blocks.try_for_each(|block| store.read(block, &mut rows));
                // Until nobody waits for them.
                if sender.send(read.map(|()| rows)).is_err() {
                    break;
                }
            }
        });
        Self { next: first, windows }
    }

    fn read(&mut self) -> io::Result<Vec<f32>> {
        self.next += 1;
        self.windows.recv().unwrap_or_else(|gone| Err(io::Error::other(gone)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_block_once_and_the_next_one_others_first() {
        let count = 3 * PASS_BLOCKS - 7;
        let epoch = |number: usize| -> Vec<Vec<usize>> {
            (3 * number..3 * number + 3).map(|pass| blocks(count, 5, pass)).collect()
        };
        let (first, second) = (epoch(0), epoch(1));
        for passes in [&first, &second] {
            assert!(passes.iter().all(|blocks| blocks.len() <= PASS_BLOCKS && blocks.len() + 3 >= PASS_BLOCKS));
            let mut all = passes.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count));
        }
        assert_ne!(first, second);
    }
}
