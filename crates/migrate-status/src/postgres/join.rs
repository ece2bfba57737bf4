//! Joining a run that other processes are at work on. Nothing is written.

use migrate_core::{
    Error, ErrorKind, JoinedRun, Outcome, Result, RunEntry, RunHandle, RunId, TableId, TableRef,
    TableRequest, join,
};
use migrate_postgres::sqlx;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::adoption::requested_target;
use super::install::is_installed;
use super::ledger;

pub(super) async fn join_run(
    connection: &mut PgConnection,
    run: RunId,
    tables: &[TableRequest],
) -> Result<RunHandle> {
    if !is_installed(connection).await? {
        return Err(unknown(run));
    }
    let row = sqlx::query(
        "select r.status, exists ( \
             select from migration_status.migration_work_items i \
             join migration_status.migration_table_status t using (table_id) \
             where t.run_id = r.run_id and i.status = 'in_progress' and i.lease_until > now() \
         ) as is_at_work \
         from migration_status.migration_runs r where r.run_id = $1",
    )
    .bind(run.0)
    .fetch_optional(&mut *connection)
    .await
    .map_err(ledger)?
    .ok_or_else(|| unknown(run))?;
    let entries = sqlx::query(
        "select table_id, source_database, source_schema, source_table, target_schema, \
                target_table, fingerprint, status \
         from migration_status.migration_table_status \
         where run_id = $1 and status <> 'superseded' order by table_id",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    let entries = entries.iter().map(|row| entry(row, tables)).collect::<Result<_, _>>();
    let joined = JoinedRun {
        id: run,
        // Words that are no outcome mean that there is none.
        outcome: Outcome::parse(row.try_get("status").map_err(ledger)?),
        is_at_work: row.try_get("is_at_work").map_err(ledger)?,
        entries: entries.map_err(ledger)?,
    };
    join(&joined, tables)
}

fn entry(row: &PgRow, requested: &[TableRequest]) -> Result<RunEntry, sqlx::Error> {
    Ok(RunEntry {
        id: TableId(row.try_get("table_id")?),
        source: TableRef {
            database: row.try_get("source_database")?,
            schema: row.try_get("source_schema")?,
            name: row.try_get("source_table")?,
        },
        target: requested_target(row, requested)?,
        fingerprint: row.try_get("fingerprint")?,
        outcome: Outcome::parse(row.try_get("status")?),
    })
}

fn unknown(run: RunId) -> Error {
    Error::new(ErrorKind::NotFound, "There is no such run in this database")
        .with("run", run)
        .with_hint(
            "look up its id in migration_status.v_active_migrations, and compare the target \
             databases of both configurations",
        )
}
