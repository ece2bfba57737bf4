//! Keys that this crate hands on without knowing them: options of registered connectors and
//! strategies, and session parameters.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::secret::is_secret_key;

/// A free JSON object. `Debug` and `Serialize` print `***` for values that came through `${}` and
/// for keys whose name says that they are secret (`password`, `token`, …).
#[derive(Clone, Default, PartialEq)]
pub struct Options {
    values: Map<String, Value>,
    shown: Map<String, Value>,
}

impl Options {
    /// The values as they are, for the connector that knows the keys. They may hold secrets.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds a value and the form of it that may be shown.
    pub(crate) fn insert(&mut self, key: &str, value: Value, shown: Value) {
        self.values.insert(key.to_owned(), value);
        self.shown.insert(key.to_owned(), shown);
    }

    /// The values without those of secret keys, for fingerprints.
    pub(crate) fn without_secrets(&self) -> Value {
        without_secrets(&Value::Object(self.values.clone()))
    }
}

fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(key, _)| !is_secret_key(key))
                .map(|(key, value)| (key.clone(), without_secrets(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_secrets).collect()),
        other => other.clone(),
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.shown).finish()
    }
}

impl Serialize for Options {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown.serialize(serializer)
    }
}
