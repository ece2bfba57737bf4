//! A connection for one piece of work, which goes back to the pool only when it is clean.

use std::ops::{Deref, DerefMut};

use migrate_core::Result;
use migrate_postgres::{Database, sqlx};
use sqlx::PgConnection;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;

/// Closes its connection when it is dropped in the middle of something: the server then sees the
/// end of the client and rolls back.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
}

impl Session {
    pub(super) async fn open(database: &Database) -> Result<Self> {
        Ok(Self { connection: Some(database.acquire().await?) })
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
