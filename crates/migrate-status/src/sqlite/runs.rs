//! Runs and the ends of tables.

use async_trait::async_trait;
use migrate_core::{
    Adoption, Adoptions, CommitDomain, Error, ErrorKind, JoinedRun, Outcome, Result, RunEntry,
    RunHandle, RunId, RunRequest, RunStore, Snapshot, TableHandle, TableId, TableProgress,
    TableRequest, TableState, WriteSummary, adopt, join,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{SqliteStatusStore, adoption, count, ledger, now, read_table};

#[async_trait]
impl RunStore for SqliteStatusStore {
    fn commit_domain(&self) -> Option<&CommitDomain> {
        None
    }

    async fn install(&self) -> Result<()> {
        self.install_schema().await
    }

    async fn begin_run(&self, request: &RunRequest) -> Result<RunHandle> {
        let mut tx = self.write().await?;
        let known = adoption::known_tables(&mut tx, request).await?;
        let adoptions = adopt(request, &known)?;
        adoption::supersede(&mut tx, &adoptions.superseded).await?;
        adoption::open_run(&mut tx, &adoptions, request).await?;
        let mut tables = Vec::with_capacity(request.tables.len());
        let decided = adoptions.tables.iter().zip(adoptions.notes);
        for (table, (decision, notes)) in request.tables.iter().zip(decided) {
            let (id, run, state) = match *decision {
                Adoption::Done(id, run) => (id, run, TableState::Completed),
                Adoption::Resume(id, run) => {
                    adoption::reopen(&mut tx, id).await?;
                    (id, run, TableState::Resumed)
                }
                Adoption::Start => {
                    let id = adoption::add_table(&mut tx, adoptions.run, table).await?;
                    (id, adoptions.run, TableState::New)
                }
            };
            let has_leftovers = adoption::has_leftovers(&mut tx, adoptions.run, table).await?;
            tables.push(TableHandle { id, run, state, notes, has_leftovers });
        }
        for run in runs_of(&mut tx, &adoptions.superseded).await? {
            if run != adoptions.run {
                close_run(&mut tx, run).await?;
            }
        }
        self.commit(tx).await?;
        Ok(RunHandle { run: adoptions.run, resumed: adoptions.resumed, tables })
    }

    async fn join_run(&self, run: RunId, tables: &[TableRequest]) -> Result<RunHandle> {
        let Some(mut connection) = self.read_if_installed().await? else {
            return Err(unknown(run));
        };
        join(&run_to_join(&mut connection, run).await?, tables)
    }

    async fn preview_run(&self, request: &RunRequest) -> Result<Option<Adoptions>> {
        let Some(mut connection) = self.read_if_installed().await? else { return Ok(None) };
        adopt(request, &adoption::known_tables(&mut connection, request).await?).map(Some)
    }

    async fn pin_snapshot(&self, run: RunId, source: &str, moment: &Snapshot) -> Result<Snapshot> {
        // The no-op update makes the row visible to `returning` for whoever came second.
        let mut tx = self.write().await?;
        let pinned: String = sqlx::query_scalar(
            "insert into migration_snapshots as s (run_id, source_name, moment) values (?, ?, ?) \
             on conflict (run_id, source_name) do update set moment = s.moment returning moment",
        )
        .bind(run.0.to_string())
        .bind(source)
        .bind(moment.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(ledger)?;
        self.commit(tx).await?;
        Ok(Snapshot::new(pinned))
    }

    async fn progress(&self, tables: &[TableId]) -> Result<Vec<TableProgress>> {
        let rows = sqlx::query(
            "select t.table_id, t.status, \
                    count(*) filter (where i.kind = 'chunk') as chunks, \
                    count(*) filter (where i.kind = 'chunk' and i.status = 'completed') as done, \
                    count(*) filter (where i.kind = 'chunk' and i.status = 'failed') as failed, \
                    sum(i.rows_read) as rows_read, sum(i.rows_inserted) as rows_inserted, \
                    sum(i.rows_updated) as rows_updated, sum(i.rows_skipped) as rows_skipped, \
                    sum(i.rows_rejected) as rows_rejected, sum(i.bytes_sent) as bytes_sent, \
                    (select f.error_message from migration_work_items f \
                     where f.table_id = t.table_id and f.status = 'failed' \
                     order by f.item_id limit 1) as first_failure \
             from migration_table_status t left join migration_work_items i using (table_id) \
             where t.table_id in (select value from json_each(?)) \
             group by t.table_id, t.status order by t.table_id",
        )
        .bind(adoption::ids(tables)?)
        .fetch_all(&mut *self.read().await?)
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
        let mut tx = self.write().await?;
        let complete = matches!(outcome, Outcome::Completed | Outcome::CompletedWithRejects);
        let run: Option<String> = sqlx::query_scalar(
            "update migration_table_status as t \
             set status = ?2, error_message = ?3, completed_at = ?5 \
             where table_id = ?1 \
               and status not in ('completed', 'completed_with_rejects', 'superseded') \
               and (?4 or not exists ( \
                   select 1 from migration_work_items h \
                   where h.table_id = t.table_id and h.status = 'in_progress' \
                     and h.lease_until > ?5)) \
               and (not ?4 or (t.plan is not null \
                    and (?2 = 'completed') = not exists ( \
                        select 1 from migration_work_items r \
                        where r.table_id = t.table_id and r.rows_rejected > 0) \
                    and not exists ( \
                        select 1 from migration_work_items i \
                        where i.table_id = t.table_id and i.status <> 'completed'))) \
             returning run_id",
        )
        .bind(table.0)
        .bind(outcome.as_str())
        .bind(reason)
        .bind(complete)
        .bind(now())
        .fetch_optional(&mut *tx)
        .await
        .map_err(ledger)?;
        if let Some(run) = run {
            // With its last table, so that no crash leaves a run open in which nothing is to be done.
            close_run(&mut tx, adoption::run_id(&run)?).await?;
            return self.commit(tx).await;
        }
        let status: Option<String> =
            sqlx::query_scalar("select status from migration_table_status where table_id = ?")
                .bind(table.0)
                .fetch_optional(&mut *tx)
                .await
                .map_err(ledger)?;
        match status.as_deref().and_then(Outcome::parse) {
            // Another process of the run was faster; what it found holds.
            Some(Outcome::Completed | Outcome::CompletedWithRejects) => Ok(()),
            Some(Outcome::Superseded) => Err(taken_over()),
            // Another process is at work on it.
            _ if !complete => Ok(()),
            _ => Err(Error::new(ErrorKind::Internal, "A table with work left cannot be completed")
                .with("table", table)
                .with_hint("report this with the log of the run")),
        }
    }

    async fn finish_run(&self, run: RunId) -> Result<Option<Outcome>> {
        let mut tx = self.write().await?;
        let outcome = close_run(&mut tx, run).await?;
        self.commit(tx).await?;
        Ok(outcome)
    }
}

fn unknown(run: RunId) -> Error {
    Error::new(ErrorKind::NotFound, "There is no such run in this status file")
        .with("run", run)
        .with_hint("use the id that the first process has told, and the same status file")
}

async fn run_to_join(connection: &mut SqliteConnection, run: RunId) -> Result<JoinedRun> {
    let row = sqlx::query(
        "select r.status, exists ( \
             select 1 from migration_work_items i join migration_table_status t using (table_id) \
             where t.run_id = r.run_id and i.status = 'in_progress' and i.lease_until > ?2 \
         ) as is_at_work \
         from migration_runs r where r.run_id = ?1",
    )
    .bind(run.0.to_string())
    .bind(now())
    .fetch_optional(&mut *connection)
    .await
    .map_err(ledger)?
    .ok_or_else(|| unknown(run))?;
    let entries = sqlx::query(
        "select table_id, source, target, fingerprint, status from migration_table_status \
         where run_id = ? and status <> 'superseded' order by table_id",
    )
    .bind(run.0.to_string())
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    let entry = |row: &SqliteRow| {
        let word = |column: &str| row.try_get::<String, _>(column).map_err(ledger);
        Ok(RunEntry {
            id: TableId(row.try_get("table_id").map_err(ledger)?),
            source: read_table(&word("source")?)?,
            target: read_table(&word("target")?)?,
            fingerprint: word("fingerprint")?,
            outcome: Outcome::parse(&word("status")?),
        })
    };
    Ok(JoinedRun {
        id: run,
        // Words that are no outcome mean that there is none.
        outcome: Outcome::parse(row.try_get("status").map_err(ledger)?),
        is_at_work: row.try_get("is_at_work").map_err(ledger)?,
        entries: entries.iter().map(entry).collect::<Result<_>>()?,
    })
}

pub(super) fn taken_over() -> Error {
    Error::new(ErrorKind::LeaseLost, "A newer run has taken over the table")
        .with_hint("nothing to do: the newer run loads it")
}

fn progress_of(row: &SqliteRow) -> Result<TableProgress, sqlx::Error> {
    let number = |column: &str| {
        row.try_get::<Option<i64>, _>(column).map(|value| count(value.unwrap_or_default()))
    };
    let mut progress = TableProgress::empty(TableId(row.try_get("table_id")?));
    progress.outcome = Outcome::parse(row.try_get("status")?);
    progress.chunk_count = number("chunks")?;
    progress.completed_chunk_count = number("done")?;
    progress.failed_chunk_count = number("failed")?;
    progress.counts = WriteSummary {
        rows_read: number("rows_read")?,
        rows_inserted: number("rows_inserted")?,
        rows_updated: number("rows_updated")?,
        rows_skipped: number("rows_skipped")?,
        rows_rejected: number("rows_rejected")?,
        bytes: number("bytes_sent")?,
    };
    progress.first_failure = row.try_get("first_failure")?;
    Ok(progress)
}

async fn runs_of(connection: &mut SqliteConnection, tables: &[TableId]) -> Result<Vec<RunId>> {
    let runs: Vec<String> = sqlx::query_scalar(
        "select distinct run_id from migration_table_status \
         where table_id in (select value from json_each(?))",
    )
    .bind(adoption::ids(tables)?)
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    runs.iter().map(|run| adoption::run_id(run)).collect()
}

/// Gives the run the outcome of its tables, once all of them have one.
async fn close_run(connection: &mut SqliteConnection, run: RunId) -> Result<Option<Outcome>> {
    let statuses: Vec<String> =
        sqlx::query_scalar("select status from migration_table_status where run_id = ?")
            .bind(run.0.to_string())
            .fetch_all(&mut *connection)
            .await
            .map_err(ledger)?;
    let outcomes: Option<Vec<Outcome>> =
        statuses.iter().map(|status| Outcome::parse(status)).collect();
    let Some(outcome) = outcomes.map(Outcome::of_run) else { return Ok(None) };
    sqlx::query(
        "update migration_runs set status = ?2, completed_at = ?3, heartbeat_at = ?3 \
         where run_id = ?1",
    )
    .bind(run.0.to_string())
    .bind(outcome.as_str())
    .bind(now())
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(Some(outcome))
}
