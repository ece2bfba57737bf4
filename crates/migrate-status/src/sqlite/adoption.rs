//! The database side of starting a run: what is there, what is set aside, what is added.

use migrate_core::{
    Adoptions, Error, KnownTable, Outcome, Result, RunId, RunRequest, SharedEmptying, TableId,
    TableRequest, code,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use super::{corrupt, duration, json, ledger, now, read_plan, read_table};

/// Every entry of the requested targets that is not superseded, oldest first.
pub(super) async fn known_tables(
    connection: &mut SqliteConnection,
    request: &RunRequest,
) -> Result<Vec<KnownTable>> {
    let targets = request.tables.iter().map(|table| json(&table.target));
    let targets = targets.collect::<Result<Vec<String>>>()?;
    let rows = sqlx::query(
        "select t.*, r.status as run_status, r.heartbeat_at \
         from migration_table_status t join migration_runs r using (run_id) \
         where t.target in (select value from json_each(?)) and t.status <> 'superseded' \
           and (r.status not in ('completed', 'superseded') or r.run_id = ?) \
         order by t.table_id",
    )
    .bind(json(&targets)?)
    .bind(request.joined.map(|run| run.0.to_string()))
    .fetch_all(&mut *connection)
    .await
    .map_err(ledger)?;
    let mut known = Vec::with_capacity(rows.len());
    for row in &rows {
        known.push(known_table(connection, row).await?);
    }
    Ok(known)
}

async fn known_table(connection: &mut SqliteConnection, row: &SqliteRow) -> Result<KnownTable> {
    let id: i64 = row.try_get("table_id").map_err(ledger)?;
    let heartbeat: i64 = row.try_get("heartbeat_at").map_err(ledger)?;
    let plan: Option<String> = row.try_get("plan").map_err(ledger)?;
    let word = |column: &str| row.try_get::<String, _>(column).map_err(ledger);
    Ok(KnownTable {
        id: TableId(id),
        run: run_id(&word("run_id")?)?,
        target: read_table(&word("target")?)?,
        fingerprint: word("fingerprint")?,
        // Words that are no outcome, such as pending and running, mean that there is none.
        outcome: Outcome::parse(&word("status")?),
        run_outcome: Outcome::parse(&word("run_status")?),
        silent_for: duration(now().saturating_sub(heartbeat)),
        emptied_with: match plan {
            Some(plan) => shared_emptying(connection, TableId(id), &plan).await?,
            None => None,
        },
    })
}

/// The step that empties several tables, while that is still to be done.
async fn shared_emptying(
    connection: &mut SqliteConnection,
    table: TableId,
    plan: &str,
) -> Result<Option<SharedEmptying>> {
    let plan = read_plan(plan)?;
    let (leader, table_count) = (plan.prepared_by.unwrap_or(table), plan.load.truncate.len());
    if table_count < 2 {
        return Ok(None);
    }
    let is_open: bool = sqlx::query_scalar(
        "select exists (select 1 from migration_work_items \
         where table_id = ? and kind = 'prepare' and status <> 'completed')",
    )
    .bind(leader.0)
    .fetch_one(connection)
    .await
    .map_err(ledger)?;
    Ok(is_open.then_some(SharedEmptying { leader, table_count }))
}

pub(super) fn run_id(text: &str) -> Result<RunId> {
    Uuid::parse_str(text).map(RunId).map_err(|_| corrupt("The id of a run cannot be read"))
}

/// Takes the right to write away from older entries, unless somebody is at work on one.
pub(super) async fn supersede(connection: &mut SqliteConnection, tables: &[TableId]) -> Result<()> {
    let ids = ids(tables)?;
    let alive = sqlx::query(
        "select t.run_id, t.target, i.lease_holder, i.lease_until \
         from migration_work_items i join migration_table_status t using (table_id) \
         where i.table_id in (select value from json_each(?)) and i.status = 'in_progress' \
           and i.lease_until > ? order by i.lease_until desc limit 1",
    )
    .bind(&ids)
    .bind(now())
    .fetch_optional(&mut *connection)
    .await
    .map_err(ledger)?;
    if let Some(row) = alive {
        return Err(busy(&row)?);
    }
    // Without its token a worker that wakes up late finds no row to complete.
    sqlx::query(
        "update migration_work_items \
         set status = 'superseded', lease_token = null, lease_until = null \
         where table_id in (select value from json_each(?)) \
           and status not in ('completed', 'handed_over')",
    )
    .bind(&ids)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    sqlx::query(
        "update migration_table_status set status = 'superseded', completed_at = ? \
         where table_id in (select value from json_each(?))",
    )
    .bind(now())
    .bind(&ids)
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

fn busy(row: &SqliteRow) -> Result<Error> {
    let word = |column: &str| row.try_get::<String, _>(column).map_err(ledger);
    let until: i64 = row.try_get("lease_until").map_err(ledger)?;
    let seconds = duration(until.saturating_sub(now())).as_secs() + 1;
    let (target, run) = (read_table(&word("target")?)?, word("run_id")?);
    Ok(Error::new(code::TARGET_BUSY, format!("Another run is at work on {target}"))
        .with("run", &run)
        .with("worker", word("lease_holder")?)
        .with_hint(format!(
            "stop that process or let it end; to help it instead: migrate worker --run {run}; if it \
             has died already, run again in {seconds} s, when its lease has run out"
        )))
}

/// The ids as a JSON array, which `SQLite` reads as a table.
pub(super) fn ids(tables: &[TableId]) -> Result<String> {
    json(&tables.iter().map(|table| table.0).collect::<Vec<_>>())
}

/// Whether entries that the run has set aside left rows in a target.
pub(super) async fn has_leftovers(
    connection: &mut SqliteConnection,
    run: RunId,
    table: &TableRequest,
) -> Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from migration_table_status t \
             join migration_work_items i using (table_id) \
             where t.run_id = ? and t.target = ? and t.status = 'superseded' \
               and i.kind = 'chunk' and i.status = 'completed')",
    )
    .bind(run.0.to_string())
    .bind(json(&table.target)?)
    .fetch_one(connection)
    .await
    .map_err(ledger)
}

/// Puts failed work of a resumed entry back into the queue, with a new count of tries. What came
/// back, by a repair or because chunks had failed, while chunks were left, goes away again.
pub(super) async fn reopen(connection: &mut SqliteConnection, table: TableId) -> Result<()> {
    for sql in [
        "update migration_work_items \
         set status = 'pending', retry_count = 0, crash_count = 0, overrun_count = 0, not_before = 0, \
             error_code = null, error_message = null \
         where table_id = ? and status in ('failed', 'pending')",
        "update migration_work_items as i \
         set status = 'pending', lease_token = null, lease_until = null \
         where i.table_id = ? and i.kind in ('set_aside', 'rebuild', 'relink') \
           and i.status = 'completed' \
           and exists (select 1 from migration_work_items c where c.table_id = i.table_id \
                       and c.kind = 'chunk' and c.status <> 'completed') \
           and exists (select 1 from migration_work_items r where r.table_id = i.table_id \
                       and r.kind in ('rebuild', 'relink') and r.status = 'completed')",
        "update migration_table_status \
         set status = 'in_progress', completed_at = null, error_message = null \
         where table_id = ?",
    ] {
        sqlx::query(sql).bind(table.0).execute(&mut *connection).await.map_err(ledger)?;
    }
    Ok(())
}

/// Creates the run, or opens it again.
pub(super) async fn open_run(
    connection: &mut SqliteConnection,
    adoptions: &Adoptions,
    request: &RunRequest,
) -> Result<()> {
    sqlx::query(
        "insert into migration_runs (run_id, created_by, started_at, heartbeat_at) \
         values (?1, ?2, ?3, ?3) \
         on conflict (run_id) do update \
         set status = 'running', completed_at = null, heartbeat_at = excluded.heartbeat_at",
    )
    .bind(adoptions.run.0.to_string())
    .bind(&request.invoked_by)
    .bind(now())
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

/// Adds a table to the run.
pub(super) async fn add_table(
    connection: &mut SqliteConnection,
    run: RunId,
    table: &TableRequest,
) -> Result<TableId> {
    sqlx::query_scalar(
        "insert into migration_table_status \
            (run_id, source_name, source, target, fingerprint, started_at) \
         values (?, ?, ?, ?, ?, ?) returning table_id",
    )
    .bind(run.0.to_string())
    .bind(&table.source_name)
    .bind(json(&table.source)?)
    .bind(json(&table.target)?)
    .bind(&table.fingerprint)
    .bind(now())
    .fetch_one(connection)
    .await
    .map(TableId)
    .map_err(ledger)
}
