//! The components that a configuration may name.

use std::fmt;
use std::sync::Arc;

use migrate_chunking::StrategyRegistry;
use migrate_core::{
    ChunkingStrategy, Error, ErrorKind, Result, Sink, Source, StatusStore, closest,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ByName;

type Make<T> = Arc<dyn Fn(&Map<String, Value>) -> Result<Arc<T>> + Send + Sync>;

/// Names and what they stand for. Registration is explicit; the built-in sources (`snowflake`,
/// `parquet`) and the built-in target and status store (`postgres`) need none. With feature `sqlite`
/// there is a status store of that name.
#[derive(Clone, Default)]
pub struct Registry {
    strategies: StrategyRegistry,
    sources: ByName<Make<dyn Source>>,
    sinks: ByName<Make<dyn Sink>>,
    stores: ByName<Make<dyn StatusStore>>,
}

impl Registry {
    /// Knows what is built in.
    pub fn with_builtins() -> Self {
        let registry = Self::default();
        #[cfg(feature = "sqlite")]
        let registry = registry.status("sqlite", super::target::sqlite);
        registry
    }

    /// Adds a chunking strategy, for `"chunking": {"strategy": name, "options": {…}}`.
    #[must_use]
    pub fn strategy<S>(mut self, name: &str) -> Self
    where
        S: ChunkingStrategy + DeserializeOwned + 'static,
    {
        self.strategies = self.strategies.with::<S>(name);
        self
    }

    /// Adds a source, for `"type": name` at a source; its other keys are handed to `make`.
    #[must_use]
    pub fn source<F>(mut self, name: &str, make: F) -> Self
    where
        F: Fn(&Map<String, Value>) -> Result<Arc<dyn Source>> + Send + Sync + 'static,
    {
        self.sources.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// Adds a sink, for `"target": {"type": name, …}`.
    #[must_use]
    pub fn sink<F>(mut self, name: &str, make: F) -> Self
    where
        F: Fn(&Map<String, Value>) -> Result<Arc<dyn Sink>> + Send + Sync + 'static,
    {
        self.sinks.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// Adds a status store, for `"status": {"type": name, …}`.
    #[must_use]
    pub fn status<F>(mut self, name: &str, make: F) -> Self
    where
        F: Fn(&Map<String, Value>) -> Result<Arc<dyn StatusStore>> + Send + Sync + 'static,
    {
        self.stores.insert(name.to_owned(), Arc::new(make));
        self
    }

    pub(super) fn strategies(&self) -> &StrategyRegistry {
        &self.strategies
    }

    pub(super) fn make_source(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn Source>> {
        make(&self.sources, "source", &["snowflake", "parquet"], name, options)
    }

    pub(super) fn make_sink(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn Sink>> {
        make(&self.sinks, "target", &["postgres"], name, options)
    }

    pub(super) fn make_status(
        &self,
        name: &str,
        options: &Map<String, Value>,
    ) -> Result<Arc<dyn StatusStore>> {
        if name == "sqlite" && !self.stores.contains_key(name) {
            return Err(Error::new(
                ErrorKind::Config,
                "This program has no status store in a file",
            )
            .with_hint(
                "install it with: cargo install --path crates/migrate-cli --features sqlite",
            ));
        }
        make(&self.stores, "status store", &["postgres"], name, options)
    }
}

fn make<T: ?Sized>(
    known: &ByName<Make<T>>,
    what: &str,
    builtins: &[&str],
    name: &str,
    options: &Map<String, Value>,
) -> Result<Arc<T>> {
    if let Some(make) = known.get(name) {
        return make(options);
    }
    let names: Vec<&str> =
        builtins.iter().copied().chain(known.keys().map(String::as_str)).collect();
    let near = closest(name, names.iter().copied())
        .map(|near| format!("did you mean {near}? "))
        .unwrap_or_default();
    Err(Error::new(ErrorKind::Config, format!("Unknown type of {what} \"{name}\""))
        .with_hint(format!("{near}use one of: {}", names.join(", "))))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("strategies", &self.strategies)
            .field("sources", &self.sources.keys())
            .field("sinks", &self.sinks.keys())
            .field("stores", &self.stores.keys())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use migrate_core::memory::MemorySource;

    use super::*;

    #[test]
    fn an_unknown_type_lists_the_known_ones() {
        let registry = Registry::with_builtins()
            .source("warehouse", |_options| Ok(Arc::new(MemorySource::new()) as Arc<dyn Source>));
        let error = registry.make_source("warehous", &Map::new()).expect_err("unknown");
        let hint = "did you mean warehouse? use one of: snowflake, parquet, warehouse";
        assert_eq!(error.hint(), Some(hint));
        registry.make_source("warehouse", &Map::new()).expect("registered");
    }
}
