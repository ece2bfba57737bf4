//! One database and its connections.

use std::sync::Arc;

use migrate_core::{CommitDomain, Error, ErrorKind, Result};
use sqlx::PgPool;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPoolOptions, Postgres};

use crate::domain;
use crate::error::classify;
use crate::settings::PostgresSettings;

/// Name of every session of this tool in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "migrate from snowflake";

/// Every session starts with these, for this session only and with no server right.
///
/// - Time limits of the role or database are meant for people and would end a long COPY.
/// - Between the statements of a transaction no time passes here, and a COPY that waits for rows
///   does not count as idle. A process that stops right there (frozen, or cut off) would keep its
///   locks for ever, and keep others from taking over.
/// - Keepalives tell the server within a minute that a machine is gone.
/// - `synchronous_commit = off`: data and its status record are one transaction, so a server crash
///   loses both or neither. Later commits of the ledger that an answer to the user depends on are
///   synchronous, and a flush of one makes all earlier ones durable.
/// - `temp_buffers` keeps the staged rows of a chunk in memory; it can only be set before the first
///   temporary table, and costs nothing until there is one. A server with more keeps it.
const SESSION: &str = "set statement_timeout = 0; \
     set idle_in_transaction_session_timeout = '15s'; \
     set lock_timeout = 0; \
     set tcp_keepalives_idle = 30; \
     set tcp_keepalives_interval = 10; \
     set tcp_keepalives_count = 3; \
     set client_min_messages = warning; \
     select set_config('temp_buffers', '32MB', false) \
         where pg_size_bytes(current_setting('temp_buffers')) < pg_size_bytes('32MB'); \
     set synchronous_commit = off";

/// One database with a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    address: String,
    domain: CommitDomain,
}

impl Database {
    /// Connects, and asks the database who it is.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`, `Auth`, `NotFound` for a missing database, `Config` for a
    /// certificate file that cannot be read; each with the next step.
    pub async fn connect(settings: &PostgresSettings, max_connections: u32) -> Result<Self> {
        let address = settings.address();
        let options = settings.connect_options();
        // The pool keeps trying for as long as its time lasts; the first connection tells at once
        // what is wrong.
        let first =
            tokio::time::timeout(settings.connect_timeout, sqlx::ConnectOptions::connect(&options));
        let mut connection = match first.await {
            Ok(connected) => {
                connected.map_err(|cause| classify("Cannot connect to PostgreSQL", cause))
            }
            Err(_elapsed) => Err(Error::new(ErrorKind::Timeout, "PostgreSQL does not answer")
                .with_hint("check host and port, and that no firewall drops the connection")),
        }
        .map_err(|error| error.with("address", &address).with("user", &settings.user))?;
        let domain = domain::identify(&mut connection, &address).await?;
        drop(connection);

        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(settings.connect_timeout)
            .after_connect(|connection, _meta| {
                Box::pin(async move {
                    sqlx::raw_sql(SESSION).execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(options);
        Ok(Self { inner: Arc::new(Inner { pool, address, domain }) })
    }

    /// The pool, for statements that stand in the program's text.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// `host:port/database`, for messages.
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Who this database is, however its address is written.
    pub fn domain(&self) -> &CommitDomain {
        &self.inner.domain
    }

    /// A connection of its own until it is dropped.
    ///
    /// # Errors
    ///
    /// `Connection`, `Auth`, or `ResourceExhausted` when none becomes free in time.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>> {
        self.inner.pool.acquire().await.map_err(|cause| {
            classify("Cannot get a connection to PostgreSQL", cause).with("address", self.address())
        })
    }
}
