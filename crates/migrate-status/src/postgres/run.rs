//! Runs and the ends of tables.

use std::time::Duration;

use async_trait::async_trait;
use migrate_core::{
    Adoption, Adoptions, CommitDomain, Error, ErrorKind, Outcome, Result, RunHandle, RunId,
    RunRequest, RunStore, Snapshot, TableHandle, TableId, TableProgress, TableRequest, TableState,
    WriteSummary, adopt,
};
use migrate_postgres::sqlx;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};
use uuid::Uuid;

use super::join::join_run;
use super::queue::milliseconds;
use super::{PgStatusStore, adoption, count, ledger};

/// Makes this transaction durable before its answer, and with it every earlier one: what a process
/// keeps in mind for the rest of the run must not be lost in a crash of the server that it survives.
pub(super) const DURABLE: &str = "set local synchronous_commit = on";

#[async_trait]
impl RunStore for PgStatusStore {
    fn commit_domain(&self) -> Option<&CommitDomain> {
        Some(self.database.domain())
    }

    async fn install(&self) -> Result<()> {
        self.install_schema().await
    }

    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle> {
        let mut connection = self.database.acquire().await?;
        let mut tx = connection.begin().await.map_err(ledger)?;
        sqlx::query(DURABLE).execute(&mut *tx).await.map_err(ledger)?;
        adoption::lock_targets(&mut tx, &request.tables).await?;
        let known = adoption::known_tables(&mut tx, request).await?;
        let adoptions = adopt(request, &known)?;
        adoption::supersede(&mut tx, &adoptions.superseded).await?;
        let goes_on = |decision: &Adoption| match decision {
            Adoption::Resume(id, _) => Some(*id),
            Adoption::Done(..) | Adoption::Start => None,
        };
        let resumed: Vec<TableId> = adoptions.tables.iter().filter_map(goes_on).collect();
        adoption::reopen(&mut tx, &resumed).await?;
        adoption::open_run(&mut tx, &adoptions, request).await?;
        let mut tables = Vec::with_capacity(request.tables.len());
        let decided = adoptions.tables.iter().zip(adoptions.notes);
        for (table, (decision, notes)) in request.tables.iter().zip(decided) {
            let (id, run, state) = match *decision {
                Adoption::Done(id, run) => (id, run, TableState::Completed),
                Adoption::Resume(id, run) => (id, run, TableState::Resumed),
                Adoption::Start => {
                    let id = adoption::add_table(&mut tx, adoptions.run, table).await?;
                    (id, adoptions.run, TableState::New)
                }
            };
            tables.push(TableHandle { id, run, state, notes, has_leftovers: false });
        }
        let stale_runs = runs_of(&mut tx, &adoptions.superseded).await?;
        for run in stale_runs.into_iter().filter(|run| *run != adoptions.run) {
            close_run(&mut tx, run).await?;
        }
        let leftovers = adoption::leftovers(&mut tx, adoptions.run).await?;
        for (handle, table) in tables.iter_mut().zip(&request.tables) {
            handle.has_leftovers = leftovers.iter().any(|(schema, name)| {
                table.target.schema.as_ref() == Some(schema) && table.target.name == *name
            });
        }
        tx.commit().await.map_err(ledger)?;
        Ok(RunHandle { run: adoptions.run, resumed: adoptions.resumed, tables })
    }

    async fn join_run(&self, run: RunId, tables: &[TableRequest]) -> Result<RunHandle> {
        join_run(&mut *self.database.acquire().await?, run, tables).await
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        let mut connection = self.database.acquire().await?;
        let is_installed: bool = sqlx::query_scalar(
            "select to_regclass('migration_status.migration_work_items') is not null",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(ledger)?;
        if !is_installed {
            return Ok(None);
        }
        adopt(request, &adoption::known_tables(&mut connection, request).await?).map(Some)
    }

    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot> {
        // The no-op update makes the row visible to `returning` for whoever came second.
        sqlx::query_scalar(
            "insert into migration_status.migration_snapshots as s (run_id, source_name, moment) \
             values ($1, $2, $3) \
             on conflict (run_id, source_name) do update set moment = s.moment returning moment",
        )
        .bind(run.0)
        .bind(source)
        .bind(moment.as_str())
        .fetch_one(&mut *self.database.acquire().await?)
        .await
        .map(|moment: String| Snapshot::new(moment))
        .map_err(ledger)
    }

    async fn keep_alive(&self, run: RunId, ttl: Duration) -> Result<()> {
        sqlx::query(
            "update migration_status.migration_runs \
             set alive_until = now() + $2 * interval '1 millisecond' \
             where run_id = $1 \
               and status not in ('completed', 'completed_with_rejects', 'superseded')",
        )
        .bind(run.0)
        .bind(milliseconds(ttl))
        .execute(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        Ok(())
    }

    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>> {
        let ids: Vec<i64> = tables.iter().map(|table| table.0).collect();
        let rows = sqlx::query(
            "select t.table_id, t.status, t.total_chunks, t.completed_chunks, t.failed_chunks, \
                    c.*, \
                    (select i.error_message from migration_status.migration_work_items i \
                     where i.table_id = t.table_id and i.status = 'failed' \
                     order by i.item_id limit 1) as first_failure \
             from migration_status.migration_table_status t \
             cross join lateral ( \
                 select coalesce(sum(i.rows_read), 0)::bigint as rows_read, \
                        coalesce(sum(i.rows_inserted), 0)::bigint as rows_inserted, \
                        coalesce(sum(i.rows_updated), 0)::bigint as rows_updated, \
                        coalesce(sum(i.rows_skipped), 0)::bigint as rows_skipped, \
                        coalesce(sum(i.rows_rejected), 0)::bigint as rows_rejected, \
                        coalesce(sum(i.bytes_sent), 0)::bigint as bytes_sent \
                 from migration_status.migration_work_items i \
                 where i.table_id = t.table_id and i.kind = 'chunk') c \
             where t.table_id = any($1)",
        )
        .bind(&ids)
        .fetch_all(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        rows.iter().map(|row| progress_of(row).map_err(ledger)).collect()
    }

    async fn finish_table(
        &self,
        table: TableId,
        outcome: Outcome,
        reason: Option<&str>,
    ) -> Result<()> {
        let mut connection = self.database.acquire().await?;
        let mut tx = connection.begin().await.map_err(ledger)?;
        sqlx::query(DURABLE).execute(&mut *tx).await.map_err(ledger)?;
        let complete = matches!(outcome, Outcome::Completed | Outcome::CompletedWithRejects);
        let run: Option<Uuid> = sqlx::query_scalar(
            "update migration_status.migration_table_status t \
             set status = $2, error_message = $3, completed_at = now(), \
                 indexes_restored = $4 and indexes_disabled \
             where table_id = $1 \
               and status not in ('completed', 'completed_with_rejects', 'superseded') \
               and ($4 or not exists ( \
                    select from migration_status.migration_work_items i \
                    where i.table_id = t.table_id and i.status = 'in_progress' \
                      and i.lease_until > now())) \
               and (not $4 or (t.plan is not null \
                    and ($2 = 'completed') = (t.rejected_rows = 0) and not exists ( \
                    select from migration_status.migration_work_items i \
                    where i.table_id = t.table_id and i.status <> 'completed'))) \
             returning run_id",
        )
        .bind(table.0)
        .bind(outcome.as_str())
        .bind(reason)
        .bind(complete)
        .fetch_optional(&mut *tx)
        .await
        .map_err(ledger)?;
        if let Some(run) = run {
            // With its last table, so that no crash leaves a run open in which nothing is to be done:
            // the same command would begin another one.
            close_run(&mut tx, RunId(run)).await?;
            return tx.commit().await.map_err(ledger);
        }
        let status: Option<String> = sqlx::query_scalar(
            "select status from migration_status.migration_table_status where table_id = $1",
        )
        .bind(table.0)
        .fetch_optional(&mut *tx)
        .await
        .map_err(ledger)?;
        match status.as_deref().and_then(Outcome::parse) {
            // Others are still at work on it.
            None if !complete => Ok(()),
            // Another process of the run was faster; what it found holds.
            Some(Outcome::Completed | Outcome::CompletedWithRejects) => Ok(()),
            Some(Outcome::Superseded) => {
                Err(Error::new(ErrorKind::LeaseLost, "A newer run has taken over the table")
                    .with_hint("nothing to do: the newer run loads it"))
            }
            _ => Err(Error::new(ErrorKind::Internal, "A table with work left cannot be completed")
                .with("table", table)
                .with_hint("report this with the log of the run")),
        }
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        let mut connection = self.database.acquire().await?;
        let mut tx = connection.begin().await.map_err(ledger)?;
        sqlx::query(DURABLE).execute(&mut *tx).await.map_err(ledger)?;
        let outcome = close_run(&mut tx, run).await?;
        tx.commit().await.map_err(ledger)?;
        Ok(outcome)
    }
}

fn progress_of(row: &PgRow) -> Result<TableProgress, sqlx::Error> {
    let number = |column: &str| row.try_get::<i32, _>(column).map(|value| count(value.into()));
    let mut progress = TableProgress::empty(TableId(row.try_get("table_id")?));
    progress.outcome = Outcome::parse(row.try_get("status")?);
    progress.chunk_count = number("total_chunks")?;
    progress.completed_chunk_count = number("completed_chunks")?;
    progress.failed_chunk_count = number("failed_chunks")?;
    let rows = |column: &str| row.try_get::<i64, _>(column).map(count);
    progress.counts = WriteSummary {
        rows_read: rows("rows_read")?,
        rows_inserted: rows("rows_inserted")?,
        rows_updated: rows("rows_updated")?,
        rows_skipped: rows("rows_skipped")?,
        rows_rejected: rows("rows_rejected")?,
        bytes: rows("bytes_sent")?,
    };
    progress.first_failure = row.try_get("first_failure")?;
    Ok(progress)
}

async fn runs_of(connection: &mut PgConnection, tables: &[TableId]) -> Result<Vec<RunId>> {
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = tables.iter().map(|table| table.0).collect();
    let runs = sqlx::query_scalar(
        "select distinct run_id from migration_status.migration_table_status \
         where table_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// Gives the run the outcome of its tables, once all of them have one.
async fn close_run(connection: &mut PgConnection, run: RunId) -> Result<Option<Outcome>> {
    sqlx::query("select from migration_status.migration_runs where run_id = $1 for update")
        .bind(run.0)
        .execute(&mut *connection)
        .await
        .map_err(ledger)?;
    let statuses: Vec<String> = sqlx::query_scalar(
        "select status from migration_status.migration_table_status where run_id = $1",
    )
    .bind(run.0)
    .fetch_all(&mut *connection)
    .await
    .map_err(ledger)?;
    let outcomes: Option<Vec<Outcome>> =
        statuses.iter().map(|status| Outcome::parse(status)).collect();
    let Some(outcome) = outcomes.map(Outcome::of_run) else { return Ok(None) };
    sqlx::query(
        "update migration_status.migration_runs r \
         set status = $2, completed_at = now(), heartbeat_at = now(), alive_until = null, \
             total_tables = t.total, completed_tables = t.completed, failed_tables = t.failed, \
             total_rows_copied = t.copied, error_message = t.message \
         from (select count(*) as total, \
                      count(*) filter (where status in ('completed', 'completed_with_rejects')) \
                          as completed, \
                      count(*) filter (where status in ('failed', 'partial')) as failed, \
                      coalesce(sum(total_rows_copied), 0) as copied, \
                      min(error_message) as message \
               from migration_status.migration_table_status where run_id = $1) t \
         where r.run_id = $1",
    )
    .bind(run.0)
    .bind(outcome.as_str())
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(Some(outcome))
}
