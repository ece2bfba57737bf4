//! The PostgreSQL sink.

mod beside;
mod catalog;
mod copy_binary;
mod copy_encoder;
mod culprit;
mod define;
mod greatest;
#[cfg(feature = "internals")]
pub mod internals;
mod keys;
mod merge;
mod pg_type;
mod prepare;
mod quarantine;
mod replaceable;
mod restore;
mod rights;
mod row_keys;
mod session;
mod settle;
mod surgery;
mod table;
mod unpublished;
mod version;
mod waiting;
mod write;
mod write_memory;

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{Result, Sink, SinkTable, TableDefinition, TableRef};
use migrate_postgres::{Database, classify, sqlx};

pub use copy_encoder::CopyEncoder;

use catalog::load_table;
use define::ImaginedTable;
use keys::Keys;
use table::{PgSinkTable, capabilities};

/// One PostgreSQL database as a sink. Cheap to clone.
///
/// Each chunk is one transaction: COPY BINARY, a merge by key where there is one, the chunk's
/// completion, COMMIT.
#[derive(Debug, Clone)]
pub struct PgSink {
    database: Database,
}

impl PgSink {
    /// Writes to this database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl Sink for PgSink {
    fn name(&self) -> String {
        format!("PostgreSQL {}", self.database.address())
    }

    async fn check(&self) -> Result<()> {
        sqlx::query("select 1")
            .execute(&mut *self.database.acquire().await?)
            .await
            .map(|_answer| ())
            .map_err(|cause| {
                classify("PostgreSQL does not answer", cause)
                    .with("address", self.database.address())
            })
    }

    async fn open(&self, table: &TableRef) -> Result<Arc<dyn SinkTable>> {
        let mut connection = self.database.acquire().await?;
        let loaded = load_table(&mut connection, table).await?;
        rights::require_reading(&mut connection, loaded.oid, table).await?;
        let keys = Keys::load(&mut connection, loaded.oid, table).await?;
        Ok(Arc::new(PgSinkTable::new(self.database.clone(), loaded, keys)))
    }

    fn definition(&self, wanted: &TableDefinition) -> Result<Vec<String>> {
        let statements = define::statements(wanted)?;
        Ok(statements.into_iter().map(|statement| statement.sql).collect())
    }

    async fn create(&self, wanted: &TableDefinition) -> Result<()> {
        define::create(&self.database, wanted).await
    }

    fn imagine(&self, wanted: &TableDefinition) -> Result<Arc<dyn SinkTable>> {
        Ok(Arc::new(ImaginedTable::new(wanted, capabilities(&self.database))?))
    }
}

/// The table without its database, which the connection decides.
fn in_database(table: &TableRef) -> TableRef {
    TableRef { database: None, ..table.clone() }
}
