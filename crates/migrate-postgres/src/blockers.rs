//! For whom a session waits, and ending a session of this tool.

use std::fmt;

use migrate_core::Result;
use sqlx::Row;

use crate::database::Database;
use crate::error::classify;

/// A session that holds what another one waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Blocker {
    /// Its process id; 0 for a prepared transaction, which has no session.
    pub pid: i32,
    /// Its role.
    pub role: String,
    /// Its `application_name`.
    pub application: String,
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("a prepared transaction (see pg_prepared_xacts)");
        }
        write!(f, "pid {} (role {}, {})", self.pid, self.role, self.application)
    }
}

impl Database {
    /// The sessions that a session waits for; none while it waits for nobody.
    ///
    /// # Errors
    ///
    /// `Connection` and the like.
    pub async fn blockers(&self, pid: i32) -> Result<Vec<Blocker>> {
        let failed = |cause| classify("Cannot see for whom a session waits", cause);
        let rows = sqlx::query(
            "select distinct b.pid, coalesce(a.usename::text, '') as role, \
                    coalesce(a.application_name, '') as application \
             from unnest(pg_blocking_pids($1)) as b (pid) \
             left join pg_stat_activity a on a.pid = b.pid order by 1",
        )
        .bind(pid)
        .fetch_all(&mut *self.acquire().await?)
        .await
        .map_err(failed)?;
        let blocker = |row: &sqlx::postgres::PgRow| {
            Ok(Blocker {
                pid: row.try_get("pid")?,
                role: row.try_get("role")?,
                application: row.try_get("application")?,
            })
        };
        rows.iter().map(blocker).collect::<Result<_, sqlx::Error>>().map_err(failed)
    }

    /// Ends a session, with all that it waits for. One that has ended already is fine.
    ///
    /// # Errors
    ///
    /// `Auth` for a session of another role; `Connection` and the like.
    pub async fn end_session(&self, pid: i32) -> Result<()> {
        sqlx::query("select pg_terminate_backend($1)")
            .bind(pid)
            .execute(&mut *self.acquire().await?)
            .await
            .map(drop)
            .map_err(|cause| classify("Cannot end a session", cause).with("pid", pid))
    }
}
