//! Target databases of a configuration, each with its sink and its ledger.

use std::num::NonZeroU32;
use std::sync::Arc;

use futures::future::try_join_all;
use migrate_config::{Config, Connector, SslMode, TableConfig};
use migrate_core::{Error, ErrorKind, Result, Sink, StatusStore};
use migrate_postgres::{Database, PostgresSettings};
use migrate_sinks::PgSink;
use migrate_status::PgStatusStore;
use secrecy::SecretString;

use super::{ByName, Registry};

/// Connections beside one per worker: one for heartbeats, one for planning and settling.
const SPARE_CONNECTIONS: u32 = 2;

/// One target database.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) status: Arc<dyn StatusStore>,
}

/// All target databases, by name.
#[derive(Debug)]
pub(super) struct Targets(ByName<Target>);

impl Targets {
    /// Connects to every database that an enabled table names.
    pub(super) async fn connect(
        config: &Config,
        registry: &Registry,
        workers: NonZeroU32,
    ) -> Result<Self> {
        let mut names: Vec<String> = config.tables().map(database_of).collect();
        names.sort_unstable();
        names.dedup();
        // One store for all targets, so that a run is one run.
        let store = match &config.status {
            Connector::Registered { name, options } => {
                Some(registry.make_status(name, options.values())?)
            }
            _ => None,
        };
        let targets = names.into_iter().map(|name| {
            let store = store.clone();
            async move {
                let target = connect(config, registry, store, &name, workers).await?;
                Ok::<_, Error>((name, target))
            }
        });
        Ok(Self(try_join_all(targets).await?.into_iter().collect()))
    }

    pub(super) fn of(&self, table: &TableConfig) -> Result<&Target> {
        self.0.get(&database_of(table)).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "A table's target was not connected")
                .with("table", &table.target)
        })
    }
}

fn database_of(table: &TableConfig) -> String {
    table.target.database.clone().unwrap_or_default()
}

async fn connect(
    config: &Config,
    registry: &Registry,
    store: Option<Arc<dyn StatusStore>>,
    name: &str,
    workers: NonZeroU32,
) -> Result<Target> {
    let connections = workers.get().saturating_add(SPARE_CONNECTIONS);
    let database = match (&config.target, &config.status) {
        (Connector::Registered { .. }, Connector::Registered { .. }) => None,
        _ => Some(Database::connect(&settings(config, name)?, connections).await?),
    };
    let needs = |what: &str| {
        Error::new(ErrorKind::Config, format!("The {what} needs a PostgreSQL database"))
            .with_hint("add the `postgres` block")
    };
    let sink: Arc<dyn Sink> = match (&config.target, &database) {
        (Connector::Registered { name, options }, _) => {
            registry.make_sink(name, options.values())?
        }
        (_, Some(database)) => Arc::new(PgSink::new(database.clone())),
        (_, None) => return Err(needs("target")),
    };
    let status: Arc<dyn StatusStore> = match (store, database) {
        (Some(store), _) => store,
        (None, Some(database)) => Arc::new(PgStatusStore::new(database)),
        (None, None) => return Err(needs("status store")),
    };
    Ok(Target { sink, status })
}

fn settings(config: &Config, database: &str) -> Result<PostgresSettings> {
    let from = config.postgres.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Config, "There is no `postgres` block")
            .with_hint("add the block with host, user and password")
    })?;
    let mut settings = PostgresSettings::new(&from.host, &from.user, database);
    settings.port = from.port;
    settings.password = from.password.clone().map(SecretString::from);
    settings.ssl_mode = match from.sslmode {
        SslMode::Disable => migrate_postgres::SslMode::Disable,
        SslMode::Allow => migrate_postgres::SslMode::Allow,
        SslMode::Prefer => migrate_postgres::SslMode::Prefer,
        SslMode::Require => migrate_postgres::SslMode::Require,
        SslMode::VerifyCa => migrate_postgres::SslMode::VerifyCa,
        _ => migrate_postgres::SslMode::VerifyFull,
    };
    settings.ssl_root_cert.clone_from(&from.sslrootcert);
    settings.connect_timeout = from.connect_timeout;
    Ok(settings)
}

/// The ledger in a file: `"status": {"type": "sqlite", "path": "ledger.sqlite"}`.
#[cfg(feature = "sqlite")]
pub(super) fn sqlite(
    options: &serde_json::Map<String, serde_json::Value>,
) -> Result<Arc<dyn StatusStore>> {
    let unknown = options.keys().find(|key| *key != "path");
    match (options.get("path").and_then(serde_json::Value::as_str), unknown) {
        (Some(path), None) if !path.is_empty() => {
            Ok(Arc::new(migrate_status::SqliteStatusStore::new(path)))
        }
        (_, Some(key)) => {
            Err(Error::new(ErrorKind::Config, format!("Unknown key \"{key}\" in `status`"))
                .with_hint("use only `type` and `path`"))
        }
        (_, None) => Err(Error::new(ErrorKind::Config, "The status store in a file needs a path")
            .with_hint("set \"status\": {\"type\": \"sqlite\", \"path\": \"ledger.sqlite\"}")),
    }
}
