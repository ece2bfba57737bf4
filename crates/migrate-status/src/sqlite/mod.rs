//! The status store in a file of `SQLite`, for targets without a database.

mod adoption;
mod plans;
mod queue;
mod repair;
mod runs;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use migrate_core::{Error, ErrorKind, Result, TablePlan, TableRef, code};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

const SCHEMA: &str = include_str!("schema.sql");

/// Kept in the file's own header; a later schema gets the next number.
const SCHEMA_VERSION: i64 = 1;

/// How long a statement waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The ledger in one file. Cheap to clone; several processes of one machine may share the file.
///
/// It cannot take part in a target's transaction: a chunk is completed after its rows are committed,
/// so a crash in between leaves a chunk that is written again. Rows cannot be set aside. Decisions
/// about time are made by the machine's clock.
#[derive(Debug, Clone)]
pub struct SqliteStatusStore {
    pool: SqlitePool,
    path: PathBuf,
}

impl SqliteStatusStore {
    /// A store in this file, which is made when the store is installed. Nothing is read or written
    /// yet. Needs a runtime of tokio around it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A completed chunk must stay completed when the machine loses power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        // One writer at a time is all that SQLite has.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        Self { pool, path }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A transaction that owns the right to write from its start, so that what it reads holds.
    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        self.pool.begin_with("begin immediate").await.map_err(|cause| self.refused(cause))
    }

    async fn commit(&self, tx: Transaction<'static, Sqlite>) -> Result<()> {
        tx.commit().await.map_err(|cause| self.refused(cause))
    }

    async fn read(&self) -> Result<PoolConnection<Sqlite>> {
        self.pool.acquire().await.map_err(|cause| self.refused(cause))
    }

    /// A connection where the store is installed; makes no file.
    async fn read_if_installed(&self) -> Result<Option<PoolConnection<Sqlite>>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let mut connection = self.read().await?;
        let version = version_of(&mut connection).await?;
        Ok((version > 0).then_some(connection))
    }

    async fn install_schema(&self) -> Result<()> {
        let mut tx = self.write().await?;
        match version_of(&mut tx).await? {
            0 => {
                sqlx::raw_sql(SCHEMA).execute(&mut *tx).await.map_err(ledger)?;
                sqlx::query("pragma user_version = 1").execute(&mut *tx).await.map_err(ledger)?;
            }
            SCHEMA_VERSION => {}
            newer => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("The status file has version {newer}, this program knows 1"),
                )
                .with("path", self.path.display())
                .with_hint("use the newer program, or name another file in `status`"));
            }
        }
        self.commit(tx).await
    }

    fn refused(&self, cause: sqlx::Error) -> Error {
        ledger(cause).with("path", self.path.display())
    }
}

async fn version_of(connection: &mut SqliteConnection) -> Result<i64> {
    sqlx::query_scalar("pragma user_version").fetch_one(connection).await.map_err(ledger)
}

/// An error of a ledger statement. Kinds by <https://www.sqlite.org/rescode.html>.
fn ledger(cause: sqlx::Error) -> Error {
    const PRIMARY: i32 = 0xff;
    let number = cause.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let number = number.and_then(|code| code.parse::<i32>().ok()).map(|code| code & PRIMARY);
    let (kind, hint) = match number {
        Some(5 | 6) => (ErrorKind::Throttled, "another process writes the status file; run again"),
        Some(8 | 14 | 23) => (ErrorKind::Auth, "let this user write the file and its folder"),
        Some(10) => (ErrorKind::Connection, "check the disk that holds the status file"),
        Some(13) => (ErrorKind::ResourceExhausted, "make room on the disk of the status file"),
        Some(11 | 26) => (ErrorKind::Internal, "the status file is damaged: name another one"),
        _ if matches!(cause, sqlx::Error::PoolTimedOut) => {
            (ErrorKind::Timeout, "another process writes the status file; run again")
        }
        _ => (ErrorKind::Internal, "report this with the log of the run"),
    };
    Error::new(kind, "Cannot read or write the status file").with_hint(hint).with_source(cause)
}

fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Internal, what)
        .with_hint("the status file was changed by hand; run with --no-resume")
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    milliseconds(since)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn duration(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| {
        Error::new(ErrorKind::Internal, "A plan cannot be written as JSON").with_source(cause)
    })
}

fn read_plan(stored: &str) -> Result<TablePlan> {
    serde_json::from_str(stored).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "The stored plan cannot be read by this version")
            .with_hint("use the version that made it, or start anew with --no-resume")
            .with_source(cause)
    })
}

fn read_table(stored: &str) -> Result<TableRef> {
    serde_json::from_str(stored).map_err(|_| corrupt("The name of a table cannot be read"))
}
