use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use zerocopy::IntoBytes;

use super::Matrix;

/// Rows of numbers that may be more than memory holds: kept there up to a limit, in a temporary file above it. What is
/// read is the same in either case.
///
/// They lie in blocks of [`Store::BLOCK`] rows; the last may have fewer.
#[derive(Debug)]
pub struct Store {
    columns: usize,
    rows: usize,
    limit: usize,
    /// The blocks that are full.
    place: Place,
    /// The rows behind them, fewer than a block.
    tail: Vec<f32>,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<Vec<f32>>),
    /// One block after the other. It has no name, so it goes with the program, however that ends.
    File(Mutex<File>),
}

impl Store {
    /// Rows of a block: as many as are worth a seek, and few enough that a shuffle of blocks is one of the table.
    pub const BLOCK: usize = 1024;

    /// No rows of `columns` numbers, of which up to `limit` bytes are kept in memory.
    pub fn new(columns: usize, limit: usize) -> Self {
        Self { columns, rows: 0, limit, place: Place::Memory(Vec::new()), tail: Vec::new() }
    }

    /// Numbers in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many blocks they lie in.
    pub fn blocks(&self) -> usize {
        self.rows.div_ceil(Self::BLOCK)
    }

    /// Whether they are in a file.
    pub fn is_in_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    ///
    /// # Panics
    /// If the row has another number of columns.
    pub fn push(&mut self, row: &[f32]) -> io::Result<()> {
        assert_eq!(row.len(), self.columns, "a row has one number per column");
        self.tail.extend_from_slice(row);
        self.rows += 1;
        if !self.rows.is_multiple_of(Self::BLOCK) {
            return Ok(());
        }
        let block = std::mem::take(&mut self.tail);
        let number = self.blocks() - 1;
        self.write(number, block)?;
        let bytes = self.rows * self.columns * size_of::<f32>();
        match &mut self.place {
            Place::Memory(blocks) if bytes > self.limit => {
                let mut file = tempfile::tempfile()?;
                blocks.iter().try_for_each(|block| file.write_all(block.as_bytes()))?;
                self.place = Place::File(Mutex::new(file));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Puts a full block in its place.
    fn write(&mut self, number: usize, block: Vec<f32>) -> io::Result<()> {
        let offset = self.offset(number);
        match &mut self.place {
            Place::Memory(blocks) if number < blocks.len() => blocks[number] = block,
            Place::Memory(blocks) => blocks.push(block),
            Place::File(file) => {
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                file.write_all(block.as_bytes())?;
                // Its memory serves the next one.
                self.tail = block;
                self.tail.clear();
            }
        }
        Ok(())
    }

    fn offset(&self, block: usize) -> u64 {
        (block * Self::BLOCK * self.columns * size_of::<f32>()) as u64
    }

    /// Appends the rows of a block to `rows`.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    ///
    /// # Panics
    /// If there is no such block.
    pub fn read(&self, block: usize, rows: &mut Vec<f32>) -> io::Result<()> {
        assert!(block < self.blocks(), "a block that is there");
        if (block + 1) * Self::BLOCK > self.rows {
            rows.extend_from_slice(&self.tail);
            return Ok(());
        }
        match &self.place {
            Place::Memory(blocks) => rows.extend_from_slice(&blocks[block]),
            Place::File(file) => {
                let start = rows.len();
                rows.resize(start + Self::BLOCK * self.columns, 0.0);
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(self.offset(block)))?;
                file.read_exact(rows[start..].as_mut_bytes())?;
            }
        }
        Ok(())
    }

    /// What `each` makes of the rows, in their order: it appends to its second argument what becomes of a row, which is a row
    /// of `columns` numbers or nothing.
    ///
    /// # Errors
    /// If the temporary file cannot be read or written.
    ///
    /// # Panics
    /// If `each` makes rows of another number of columns.
    pub fn transform(mut self, columns: usize, mut each: impl FnMut(&[f32], &mut Vec<f32>)) -> io::Result<Self> {
        let mut result = Self::new(columns, self.limit);
        let (mut block, mut row) = (Vec::new(), Vec::new());
        for number in 0..self.blocks() {
            block.clear();
            match &mut self.place {
                // Not copied, so that both are never there as a whole.
                Place::Memory(blocks) if number < blocks.len() => block = std::mem::take(&mut blocks[number]),
                _ => self.read(number, &mut block)?,
            }
            for old in block.chunks_exact(self.columns) {
                row.clear();
                each(old, &mut row);
                if !row.is_empty() {
                    result.push(&row)?;
                }
            }
        }
        Ok(result)
    }

    /// All rows, in memory.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub fn into_matrix(self) -> io::Result<Matrix> {
        let mut values = Vec::with_capacity(self.rows * self.columns);
        (0..self.blocks()).try_for_each(|block| self.read(block, &mut values))?;
        Ok(Matrix::new(self.rows, self.columns, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(rows: usize, limit: usize) -> Store {
        let mut store = Store::new(3, limit);
        (0..rows).try_for_each(|row| store.push(&[row as f32, 0.5, -(row as f32)])).unwrap();
        store
    }

    #[test]
    fn rows_are_the_same_in_memory_and_in_a_file() {
        for rows in [0, 1, Store::BLOCK - 1, Store::BLOCK, 5 * Store::BLOCK + 7] {
            let (memory, file) = (filled(rows, usize::MAX), filled(rows, 2 * Store::BLOCK * 12));
            assert_eq!((memory.is_in_file(), file.is_in_file()), (false, rows > 2 * Store::BLOCK));
            assert_eq!((memory.rows(), file.rows(), file.blocks()), (rows, rows, rows.div_ceil(Store::BLOCK)));
            // Blocks in any order.
            for block in (0..file.blocks()).rev() {
                let (mut ours, mut its) = (Vec::new(), vec![7.0]);
                memory.read(block, &mut ours).unwrap();
                file.read(block, &mut its).unwrap();
                assert_eq!(ours, its[1..], "block {block} of {rows} rows");
                assert_eq!(ours[0], (block * Store::BLOCK) as f32);
            }
            assert_eq!(memory.into_matrix().unwrap(), file.into_matrix().unwrap());
        }
    }

    #[test]
    fn a_transformation_keeps_the_order_and_may_leave_rows_out() {
        for limit in [0, usize::MAX] {
            let rows = 4 * Store::BLOCK;
            let odd = filled(rows, limit).transform(1, |row, kept| {
                if row[0] % 2.0 == 1.0 {
                    kept.push(row[2]);
                }
            });
            let odd = odd.unwrap();
            assert_eq!((odd.rows(), odd.columns(), odd.is_in_file()), (rows / 2, 1, limit == 0));
            assert!(odd.into_matrix().unwrap().column(0).eq((0..rows).skip(1).step_by(2).map(|row| -(row as f32))));
        }
    }
}
