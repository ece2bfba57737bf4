//! Strategies by name, for configurations.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use migrate_core::{ChunkingStrategy, Error, ErrorKind, Result, closest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Auto, DateRange, GroupedValues, HashBucket, NumericRange, RowGroups, Single};

type Factory = dyn Fn(Value) -> Result<Arc<dyn ChunkingStrategy>> + Send + Sync;

/// Which strategies a configuration may name. Registration is explicit: nothing appears because a
/// linker happened to keep it.
#[derive(Clone)]
pub struct StrategyRegistry {
    factories: BTreeMap<String, Arc<Factory>>,
}

impl StrategyRegistry {
    /// Knows no strategy.
    pub fn empty() -> Self {
        Self { factories: BTreeMap::new() }
    }

    /// Knows the strategies of this crate.
    pub fn with_builtins() -> Self {
        Self::empty()
            .with::<Auto>("auto")
            .with::<Single>("single")
            .with::<NumericRange>("numeric_range")
            .with::<GroupedValues>("grouped_values")
            .with::<DateRange>("date_range")
            .with::<HashBucket>("hash_bucket")
            .with::<RowGroups>("row_groups")
    }

    /// Adds a strategy, or replaces the one of this name. Its options are read by serde; give the
    /// type `#[serde(deny_unknown_fields)]` so that a misspelt option is an error.
    #[must_use]
    pub fn with<S>(mut self, name: &str) -> Self
    where
        S: ChunkingStrategy + DeserializeOwned + 'static,
    {
        let for_errors = name.to_owned();
        let factory = move |options: Value| -> Result<Arc<dyn ChunkingStrategy>> {
            let strategy: S = serde_json::from_value(options).map_err(|cause| {
                Error::new(
                    ErrorKind::Config,
                    format!("Wrong options for the chunking strategy {for_errors}"),
                )
                .with_hint("correct `chunking.options`")
                .with_source(cause)
            })?;
            Ok(Arc::new(strategy))
        };
        self.factories.insert(name.to_owned(), Arc::new(factory));
        self
    }

    /// The known names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(String::as_str)
    }

    /// Makes the strategy of this name; no options are an empty object.
    ///
    /// # Errors
    ///
    /// `Config` for an unknown name, with the known ones, and for wrong options.
    pub fn build(&self, name: &str, options: Option<Value>) -> Result<Arc<dyn ChunkingStrategy>> {
        let Some(factory) = self.factories.get(name) else {
            let known = self.names().collect::<Vec<_>>().join(", ");
            let near = closest(name, self.names())
                .map(|near| format!("did you mean {near}? "))
                .unwrap_or_default();
            return Err(Error::new(
                ErrorKind::Config,
                format!("Unknown chunking strategy \"{name}\""),
            )
            .with_hint(format!("{near}use one of: {known}")));
        };
        factory(options.unwrap_or_else(|| Value::Object(serde_json::Map::new())))
    }
}

impl Default for StrategyRegistry {
    fn default() -> Self {
        Self::with_builtins()
    }
}

impl fmt::Debug for StrategyRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_miss_lists_the_known_names() {
        let error = StrategyRegistry::with_builtins().build("calendar", None).expect_err("unknown");
        let hint = "use one of: auto, date_range, grouped_values, hash_bucket, numeric_range, \
                    row_groups, single";
        assert_eq!(error.hint(), Some(hint));
    }

    #[test]
    fn wrong_options_name_the_field() {
        let options = json!({"unit": "month"});
        let error = StrategyRegistry::default().build("single", Some(options)).expect_err("field");
        assert!(error.report().to_string().contains("unknown field `unit`"), "{}", error.report());
    }
}
