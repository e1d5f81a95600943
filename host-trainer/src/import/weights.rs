//! Tensors by their keys, out of a safetensors file: eight bytes that hold the length of a JSON header, little-endian, the
//! header with every tensor's type, shape and place, and the tensors' bytes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::ImportError;

/// A tensor, whatever its type was.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its key.
    pub key: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, the last dimension fastest.
    pub values: Vec<f64>,
}

/// The tensors of a file, which remember which of them were read.
#[derive(Clone, Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    read: RefCell<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

impl Weights {
    /// The tensors in the bytes of a safetensors file.
    ///
    /// # Errors
    /// If it is none, or is cut off, or holds numbers that are not finite.
    pub fn parse(file: &[u8]) -> Result<Self, ImportError> {
        let cut = |what: &str| ImportError::Weights(format!("the file ends within {what}"));
        let (length, rest) = file.split_first_chunk::<8>().ok_or_else(|| cut("its first eight bytes"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (header, data) = rest.split_at_checked(length).ok_or_else(|| cut("its header"))?;
        let header: BTreeMap<String, serde_json::Value> = serde_json::from_slice(header)
            .map_err(|error| ImportError::Weights(format!("its header is no JSON object ({error})")))?;
        let mut tensors = BTreeMap::new();
        for (key, entry) in header {
            if key == "__metadata__" {
                continue;
            }
            let entry: Entry = serde_json::from_value(entry)
                .map_err(|error| ImportError::Weights(format!("`{key}` is not described as a tensor ({error})")))?;
            let [start, end] = entry.data_offsets;
            let bytes = data.get(start..end).ok_or_else(|| cut(&format!("`{key}`")))?;
            let tensor = Tensor { values: numbers(&key, &entry, bytes)?, shape: entry.shape, key: key.clone() };
            tensors.insert(key, tensor);
        }
        Ok(Self { tensors, read: RefCell::default() })
    }

    /// Whether there is such a tensor.
    pub fn has(&self, key: &str) -> bool {
        self.tensors.contains_key(key)
    }

    /// Whether there is a tensor whose key starts like this.
    pub fn has_any(&self, prefix: &str) -> bool {
        self.keys(prefix).next().is_some()
    }

    /// The keys that start like this, without that start.
    pub fn keys<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.tensors.keys().filter_map(move |key| key.strip_prefix(prefix))
    }

    /// The numbers that follow a prefix in keys, ascending, each once: the items of a list of modules.
    pub fn indices(&self, prefix: &str) -> Vec<usize> {
        let numbers = self.keys(prefix).filter_map(|rest| rest.split('.').next()?.parse().ok());
        numbers.collect::<BTreeSet<usize>>().into_iter().collect()
    }

    /// A tensor, which counts as read.
    pub fn get(&self, key: &str) -> Result<&Tensor, ImportError> {
        let tensor = self.tensors.get(key).ok_or_else(|| ImportError::MissingTensor(key.to_owned()))?;
        self.read.borrow_mut().insert(key.to_owned());
        Ok(tensor)
    }

    /// A tensor of that many values, dimensions of one left aside.
    pub fn vector(&self, key: &str, length: usize) -> Result<&[f64], ImportError> {
        let tensor = self.get(key)?;
        if tensor.values.len() != length || tensor.shape.iter().filter(|size| **size != 1).count() > 1 {
            return Err(tensor.misshapen(format!("{length} values")));
        }
        Ok(&tensor.values)
    }

    /// Takes note of a tensor that says nothing about the density.
    pub fn ignore(&self, key: &str) {
        self.read.borrow_mut().insert(key.to_owned());
    }

    /// # Errors
    /// If there are tensors that nobody has read.
    pub fn check_all_read(&self) -> Result<(), ImportError> {
        let read = self.read.borrow();
        let mut unread = self.tensors.keys().filter(|key| !read.contains(*key));
        match unread.next() {
            None => Ok(()),
            Some(first) => Err(ImportError::Unread { first: first.clone(), others: unread.count() }),
        }
    }
}

impl Tensor {
    /// An error that names it.
    pub fn misshapen(&self, expected: impl Into<String>) -> ImportError {
        ImportError::Shape { key: self.key.clone(), found: self.shape.clone(), expected: expected.into() }
    }

    /// Its rows and columns.
    pub fn matrix(&self) -> Result<(usize, usize), ImportError> {
        match self.shape[..] {
            [rows, columns] => Ok((rows, columns)),
            _ => Err(self.misshapen("a matrix")),
        }
    }

    /// Its values as indices below `end`, each of them once if there are as many.
    pub fn permutation(&self, end: usize) -> Result<Vec<usize>, ImportError> {
        let order = self.indices(end)?;
        let distinct: BTreeSet<_> = order.iter().collect();
        if order.len() != end || distinct.len() != end {
            return Err(ImportError::contradiction(&self.key, format!("is no permutation of {end} features")));
        }
        Ok(order)
    }

    /// Its values as indices below `end`.
    pub fn indices(&self, end: usize) -> Result<Vec<usize>, ImportError> {
        let index = |value: &f64| {
            let fits = *value >= 0.0 && value.fract() == 0.0 && *value < end as f64;
            fits.then_some(*value as usize)
        };
        let indices: Option<Vec<usize>> = self.values.iter().map(index).collect();
        indices.ok_or_else(|| ImportError::contradiction(&self.key, format!("holds others than indices below {end}")))
    }

    /// Its values as yes and no.
    pub fn bits(&self) -> Result<Vec<bool>, ImportError> {
        let bit = |value: &f64| (*value == 0.0 || *value == 1.0).then_some(*value == 1.0);
        let bits: Option<Vec<bool>> = self.values.iter().map(bit).collect();
        bits.ok_or_else(|| ImportError::contradiction(&self.key, "is no mask of zeros and ones"))
    }
}

fn numbers(key: &str, entry: &Entry, bytes: &[u8]) -> Result<Vec<f64>, ImportError> {
    fn read<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> (usize, Vec<f64>) {
        let (chunks, _) = bytes.as_chunks::<N>();
        (N, chunks.iter().map(|chunk| number(*chunk)).collect())
    }
    let (size, values) = match entry.dtype.as_str() {
        "F32" => read(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        "F64" => read(bytes, f64::from_le_bytes),
        "I64" => read(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        "I32" => read(bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
        "U8" | "BOOL" => read(bytes, |[byte]: [u8; 1]| f64::from(byte)),
        other => {
            let reason = "weights are F32 or F64, indices I32 or I64, masks BOOL, U8 or floats".to_owned();
            return Err(ImportError::unsupported(format!("`{key}` of the type {other}"), reason));
        }
    };
    let count = entry.shape.iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
    if count.and_then(|count| count.checked_mul(size)) != Some(bytes.len()) {
        let (shape, length) = (&entry.shape, bytes.len());
        return Err(ImportError::Weights(format!("`{key}` has {length} bytes, not those of the shape {shape:?}")));
    }
    if let Some(value) = values.iter().find(|value| !value.is_finite()) {
        return Err(ImportError::contradiction(key, format!("holds {value}, expected finite numbers")));
    }
    Ok(values)
}
