//! Snowflake as a source.
//!
//! The client crate speaks the protocol; this module guards it. The client accepts a result that
//! lacks rows, waits for ever on a download that stalls, and repeats little: here every extract is
//! counted by an independent statement, every wait has an end, sessions are renewed before they
//! expire, and a statement that nobody waits for is aborted on the server.

mod abort;
mod bind;
mod cell;
mod codes;
mod column;
mod decode;
mod describe;
mod double;
mod error;
mod execution;
mod facts;
mod greatest;
mod histogram;
mod reattach;
mod scan;
mod session;
mod settings;
mod statement;
mod stored_results;
mod submission;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::arrow::array::AsArray;
use migrate_core::{
    Error, ErrorKind, Result, RunContext, Snapshot, Source, SourceTable, SqlStatement, TableRef,
};

#[cfg(feature = "internals")]
pub(crate) use decode::{decode_cells, decode_part};
use session::SessionPool;
pub use settings::{SnowflakeAuth, SnowflakeSettings};
use statement::fetch;
use table::SnowflakeTable;

/// One Snowflake account as a source.
#[derive(Debug, Clone)]
pub struct SnowflakeSource {
    sessions: Arc<SessionPool>,
}

impl SnowflakeSource {
    /// A source that logs in when it is first used.
    ///
    /// # Errors
    ///
    /// `Config` for an address that is none.
    pub fn new(settings: SnowflakeSettings) -> Result<Self> {
        Ok(Self { sessions: Arc::new(SessionPool::new(settings)?) })
    }
}

#[async_trait]
impl Source for SnowflakeSource {
    fn name(&self) -> String {
        format!("Snowflake account {}", self.sessions.settings().account)
    }

    async fn check(&self) -> Result<()> {
        // A login succeeds with a warehouse that does not exist; then the session has none.
        let statement = SqlStatement {
            sql: "SELECT CURRENT_WAREHOUSE() AS \"WAREHOUSE\"".into(),
            params: Vec::new(),
        };
        let answer = fetch(&self.sessions, &statement, &RunContext::new()).await?;
        let has_warehouse = answer
            .column(0)
            .as_string_opt::<i32>()
            .is_some_and(|names| names.iter().flatten().next().is_some());
        if has_warehouse {
            return Ok(());
        }
        let settings = self.sessions.settings();
        Err(Error::new(
            ErrorKind::NotFound,
            format!("Snowflake warehouse {} cannot be used", settings.warehouse),
        )
        .with("account", &settings.account)
        .with_hint("correct `snowflake.warehouse`, or grant its usage to the role"))
    }

    async fn pin(&self) -> Result<Option<Snapshot>> {
        table::pin(&self.sessions).await.map(Some)
    }

    async fn open(
        &self,
        table: &TableRef,
        snapshot: Option<&Snapshot>,
    ) -> Result<Arc<dyn SourceTable>> {
        let opened = SnowflakeTable::open(Arc::clone(&self.sessions), table, snapshot).await?;
        Ok(Arc::new(opened))
    }

    async fn close(&self) {
        self.sessions.close().await;
    }
}
