//! A connection for one piece of work, which goes back to the pool only when it is clean.

use std::ops::{Deref, DerefMut};

use migrate_core::Result;
use migrate_postgres::{Database, classify, sqlx};
use sqlx::PgConnection;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

/// Closes its connection when it is dropped in the middle of something: the server then sees the
/// end of the client and rolls back.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    pid: i32,
}

impl Session {
    pub(super) async fn open(database: &Database) -> Result<Self> {
        let mut connection = database.acquire().await?;
        let pid = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut *connection)
            .await
            .map_err(|cause| classify("Cannot open a session of PostgreSQL", cause))?;
        Ok(Self { connection: Some(connection), pid })
    }

    /// Its process on the server.
    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The connection is in no transaction: others may use it.
    pub(super) fn give_back(mut self) {
        drop(self.connection.take());
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_deref().expect("invariant: taken only by give_back and drop")
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_deref_mut().expect("invariant: taken only by give_back and drop")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Out of the pool, then closed with its socket.
            drop(connection.detach());
        }
    }
}

/// For how long a setting holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Transaction,
    Session,
}

/// Gives a setting at least that much memory; a server that is set to more keeps it.
pub(super) async fn raise(
    connection: &mut PgConnection,
    setting: &str,
    memory: &str,
    scope: Scope,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "select set_config($1, $2, $3) \
         where pg_size_bytes(current_setting($1)) < pg_size_bytes($2)",
    )
    .bind(setting)
    .bind(memory)
    .bind(scope == Scope::Transaction)
    .execute(connection)
    .await
    .map(drop)
}
