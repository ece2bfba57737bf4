//! One database and its connections.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::{CommitDomain, Error, ErrorKind, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::error::classify;
use crate::settings::PostgresSettings;
use crate::{domain, tls};

/// Name of every session of this tool in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "migrate from snowflake";

/// Every session starts with these, for this session only and with no server right.
///
/// - Time limits of the role or database are meant for people and would end a long COPY.
/// - The ledger's statements rely on seeing what others have committed meanwhile.
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
     select set_config(name, '0', false) from pg_settings where name = 'transaction_timeout'; \
     set default_transaction_isolation = 'read committed'; \
     set idle_in_transaction_session_timeout = '15s'; \
     set lock_timeout = 0; \
     set tcp_keepalives_idle = 30; \
     set tcp_keepalives_interval = 10; \
     set tcp_keepalives_count = 3; \
     set client_min_messages = warning; \
     select set_config('temp_buffers', '32MB', false) \
         where pg_size_bytes(current_setting('temp_buffers')) < pg_size_bytes('32MB'); \
     set synchronous_commit = off";

/// Whether a session that has rested may be used again. One that began while the server only read
/// keeps to reading when the failover is over.
const MAY_WRITE: &str = "select current_setting('transaction_read_only') = 'off'";

/// How long it may take to find out why the pool had no connection.
const DIAGNOSIS: Duration = Duration::from_secs(5);

/// One database with a pool of connections. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    options: PgConnectOptions,
    address: String,
    domain: CommitDomain,
}

impl Database {
    /// Connects, and asks the database who it is.
    ///
    /// # Errors
    ///
    /// `Connection`, `Timeout`, `Auth`, `ResourceExhausted`, `NotFound` for a missing database,
    /// `Config` for a certificate file that cannot be read; each with the next step.
    pub async fn connect(settings: &PostgresSettings, max_connections: u32) -> Result<Self> {
        let address = settings.address();
        let authorities = settings.ssl_root_cert.as_deref().map(tls::authorities).transpose()?;
        // The pool keeps trying for as long as its time lasts; the first connection tells at once
        // what is wrong, and which way to connect the server wants.
        let (mut connection, options) = first_connection(settings, authorities.as_deref())
            .await
            .map_err(|error| error.with("address", &address).with("user", &settings.user))?;
        begin_session(&mut connection)
            .await
            .map_err(|cause| classify("Cannot set up a session of PostgreSQL", cause))
            .map_err(|error| error.with("address", &address))?;
        let domain = domain::identify(&mut connection, &address).await?;
        // Where connections are scarce, the pool needs this one's place.
        if let Err(cause) = connection.close().await {
            tracing::debug!(error = %cause, "the first connection did not close in order");
        }

        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(settings.connect_timeout)
            .after_connect(|connection, _meta| Box::pin(begin_session(connection)))
            // Instead of the driver's ping, at the same cost.
            .test_before_acquire(false)
            .before_acquire(|connection, _meta| {
                Box::pin(sqlx::query_scalar(MAY_WRITE).fetch_one(connection))
            })
            .connect_lazy_with(options.clone());
        Ok(Self { inner: Arc::new(Inner { pool, options, address, domain }) })
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
        let cause = match self.inner.pool.acquire().await {
            Ok(connection) => return Ok(connection),
            // The pool has tried all the time and does not say why it could not connect.
            Err(sqlx::Error::PoolTimedOut) => self.why_none().await,
            Err(cause) => cause,
        };
        Err(classify("Cannot get a connection to PostgreSQL", cause)
            .with("address", self.address()))
    }

    async fn why_none(&self) -> sqlx::Error {
        match tokio::time::timeout(DIAGNOSIS, self.inner.options.connect()).await {
            Ok(Err(cause)) => cause,
            Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
        }
    }
}

/// Frees a session of the limits that its role or database has.
async fn begin_session(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(SESSION).execute(connection).await.map(drop)
}

/// Connects in the first way that the server wants.
async fn first_connection(
    settings: &PostgresSettings,
    authorities: Option<&[u8]>,
) -> Result<(PgConnection, PgConnectOptions)> {
    let mut ways = tls::ways(settings.ssl_mode).iter().peekable();
    while let Some(way) = ways.next() {
        let options = settings.connect_options(*way, authorities);
        let connecting = tokio::time::timeout(settings.connect_timeout, options.connect());
        let Ok(connected) = connecting.await else {
            return Err(Error::new(ErrorKind::Timeout, "PostgreSQL does not answer")
                .with_hint("check host and port, and that no firewall drops the connection"));
        };
        match connected {
            Ok(connection) => return Ok((connection, options)),
            Err(cause) if ways.peek().is_some() && tls::is_unwanted(&cause) => {}
            Err(cause) => {
                let error = classify("Cannot connect to PostgreSQL", cause);
                return Err(match tls::refusal_hint(*way, &error) {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                });
            }
        }
    }
    Err(Error::new(ErrorKind::Internal, "There is no way to connect to PostgreSQL")
        .with_hint("report this with the log of the run"))
}
