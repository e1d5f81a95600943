//! What a state dictionary does not hold: a JSON object beside it.

use serde_json::{Map, Value};

use super::ImportError;
use crate::net::Activation;

/// Every field that an import may ask for.
const FIELDS: [&str; 24] = [
    "lib",
    "flow",
    "features",
    "context",
    "activation",
    "leaky",
    "output_fn",
    "num_blocks",
    "univariate",
    "slope",
    "scale",
    "scale_map",
    "eps_scale",
    "bins",
    "bound",
    "tail_bound",
    "tails",
    "min_bin",
    "min_deriv",
    "lu_eps",
    "bn_eps",
    "permute_mode",
    "split_mode",
    "flow_count",
];

/// The fields, as they are asked for.
#[derive(Clone, Debug)]
pub struct Sidecar(Map<String, Value>);

impl Sidecar {
    /// The fields in a JSON file: an object, or the object under its key `meta`.
    ///
    /// # Errors
    /// If it is no such object, or has fields that are none of ours: one with a slip in its name would be missed otherwise.
    pub fn parse(json: &[u8]) -> Result<Self, ImportError> {
        let value: Value = serde_json::from_slice(json).map_err(|error| ImportError::Sidecar(error.to_string()))?;
        let Value::Object(mut fields) = value else {
            return Err(ImportError::Sidecar("it is no JSON object".to_owned()));
        };
        match fields.remove("meta") {
            Some(Value::Object(meta)) => fields = meta,
            Some(_) => return Err(ImportError::Sidecar("its `meta` is no JSON object".to_owned())),
            None => {}
        }
        if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
            return Err(ImportError::UnknownField(name.clone()));
        }
        Ok(Self(fields))
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// An error about what a field says.
    pub fn wrong(&self, field: &str, expected: impl Into<String>) -> ImportError {
        let found = self.0.get(field).unwrap_or(&Value::Null).to_string();
        ImportError::Field { field: field.to_owned(), found, expected: expected.into() }
    }

    fn missing(field: &'static str, needed_for: impl Into<String>) -> ImportError {
        ImportError::MissingField { field, needed_for: needed_for.into() }
    }

    /// A word, if it is given.
    pub fn word_if_given(&self, field: &str) -> Result<Option<&str>, ImportError> {
        self.get(field).map(|value| value.as_str().ok_or_else(|| self.wrong(field, "a string"))).transpose()
    }

    /// A word.
    pub fn word(&self, field: &'static str, needed_for: &str) -> Result<&str, ImportError> {
        self.word_if_given(field)?.ok_or_else(|| Self::missing(field, needed_for))
    }

    /// A positive number.
    pub fn positive(&self, field: &'static str, needed_for: &str) -> Result<f64, ImportError> {
        let value = self.get(field).ok_or_else(|| Self::missing(field, needed_for))?;
        value.as_f64().filter(|number| *number > 0.0).ok_or_else(|| self.wrong(field, "a positive number"))
    }

    /// A number, if it is given.
    pub fn number_if_given(&self, field: &str) -> Result<Option<f64>, ImportError> {
        self.get(field).map(|value| value.as_f64().ok_or_else(|| self.wrong(field, "a number"))).transpose()
    }

    /// A number of things, if it is given.
    pub fn count_if_given(&self, field: &str) -> Result<Option<usize>, ImportError> {
        let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
        self.get(field).map(|value| count(value).ok_or_else(|| self.wrong(field, "a whole number"))).transpose()
    }

    /// A number of things.
    pub fn count(&self, field: &'static str, needed_for: &str) -> Result<usize, ImportError> {
        self.count_if_given(field)?.ok_or_else(|| Self::missing(field, needed_for))
    }

    /// A list of names; none if it is not given.
    pub fn names(&self, field: &str) -> Result<Option<Vec<String>>, ImportError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let name = |value: &Value| value.as_str().map(str::to_owned);
        let names: Option<Vec<String>> = value.as_array().and_then(|names| names.iter().map(name).collect());
        names.map(Some).ok_or_else(|| self.wrong(field, "a list of names"))
    }

    /// The activation of the nets.
    pub fn activation(&self) -> Result<Option<Activation>, ImportError> {
        let Some(word) = self.word_if_given("activation")? else { return Ok(None) };
        match word.rsplit('.').next().unwrap_or(word).to_lowercase().as_str() {
            "relu" => Ok(Some(Activation::Relu)),
            "elu" => Ok(Some(Activation::Elu)),
            "tanh" => Ok(Some(Activation::Tanh)),
            _ => Err(ImportError::unsupported(format!("the activation `{word}`"), "nets have `relu`, `elu` or `tanh`")),
        }
    }
}
