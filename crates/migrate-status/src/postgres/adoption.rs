//! The database side of starting a run: what is there, what is set aside, what is added.

use std::time::Duration;

use migrate_core::{
    Adoptions, Error, KnownTable, Outcome, Result, RunId, RunRequest, SharedEmptying, TableId,
    TableRef, TableRequest, code,
};
use migrate_postgres::{sqlstate, sqlx};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{corrupt, ledger};

/// Whoever begins a run holds targets for an instant; a repair for as long as an index takes.
const PATIENCE: &str = "set local lock_timeout = '30s'";

/// Takes a row lock per target, in one order for everybody, so that requests for one target are
/// decided one after the other.
pub(super) async fn lock_targets(
    connection: &mut PgConnection,
    tables: &[TableRequest],
) -> Result<()> {
    let (schemas, names) = targets(tables);
    let waited = |cause: sqlx::Error| {
        match sqlstate(&cause).as_deref() {
        Some("55P03") => Error::new(
            code::TARGET_BUSY,
            "Another process holds a target of this run",
        )
        .with_hint(
            "it begins a run, or brings back what a dead one set aside; run again when it has ended, \
             or look: select pid, query from pg_stat_activity where query like '%brings back%'",
        )
        .with_source(cause),
        _ => ledger(cause),
    }
    };
    sqlx::query(PATIENCE).execute(&mut *connection).await.map_err(ledger)?;
    sqlx::query(
        "insert into migration_status.migration_targets (target_schema, target_table) \
         select distinct * from unnest($1::text[], $2::text[]) as t (target_schema, target_table) \
         order by 1, 2 \
         on conflict do nothing",
    )
    .bind(&schemas)
    .bind(&names)
    .execute(&mut *connection)
    .await
    .map_err(waited)?;
    sqlx::query(
        "select from migration_status.migration_targets \
         where (target_schema, target_table) in (select * from unnest($1::text[], $2::text[])) \
         order by target_schema, target_table for update",
    )
    .bind(&schemas)
    .bind(&names)
    .execute(&mut *connection)
    .await
    .map_err(waited)?;
    sqlx::query("set local lock_timeout = 0").execute(connection).await.map_err(ledger)?;
    Ok(())
}

fn targets(tables: &[TableRequest]) -> (Vec<String>, Vec<String>) {
    tables
        .iter()
        .map(|table| (table.target.schema.clone().unwrap_or_default(), table.target.name.clone()))
        .unzip()
}

/// Every entry of the requested targets that is not superseded, oldest first.
pub(super) async fn known_tables(
    connection: &mut PgConnection,
    request: &RunRequest,
) -> Result<Vec<KnownTable>> {
    let (schemas, names) = targets(&request.tables);
    let rows = sqlx::query(
        "select t.table_id, t.run_id, t.target_schema, t.target_table, \
                t.fingerprint, t.status, r.status as run_status, \
                s.leader, s.table_count, \
                extract(epoch from greatest(now() - r.heartbeat_at, interval '0'))::bigint as silent \
         from migration_status.migration_table_status t \
         join migration_status.migration_runs r using (run_id) \
         left join lateral ( \
             select i.table_id as leader, \
                    jsonb_array_length(t.plan -> 'load' -> 'truncate') as table_count \
             from migration_status.migration_work_items i \
             where i.table_id = coalesce((t.plan ->> 'prepared_by')::bigint, t.table_id) \
               and i.kind = 'prepare' and i.status <> 'completed' \
               and jsonb_array_length(t.plan -> 'load' -> 'truncate') > 1) s on true \
         where (t.target_schema, t.target_table) in (select * from unnest($1::text[], $2::text[])) \
           and t.status <> 'superseded' \
           and (r.status not in ('completed', 'superseded') or r.run_id = $3) \
         order by t.table_id",
    )
    .bind(&schemas)
    .bind(&names)
    .bind(request.joined.map(|run| run.0))
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    rows.iter().map(|row| known_table(row, &request.tables).map_err(ledger)).collect()
}

/// The target of an entry, as the request writes it: all targets of this ledger are in its own
/// database, under whatever alias it was reached.
pub(super) fn requested_target(
    row: &PgRow,
    requested: &[TableRequest],
) -> Result<TableRef, sqlx::Error> {
    let (schema, name): (String, String) =
        (row.try_get("target_schema")?, row.try_get("target_table")?);
    Ok(requested
        .iter()
        .map(|table| &table.target)
        .find(|target| target.schema.as_ref() == Some(&schema) && target.name == name)
        .cloned()
        .unwrap_or_else(|| TableRef::in_schema(schema, name)))
}

fn known_table(row: &PgRow, requested: &[TableRequest]) -> Result<KnownTable, sqlx::Error> {
    let silent: i64 = row.try_get("silent")?;
    let target = requested_target(row, requested)?;
    let leader: Option<i64> = row.try_get("leader")?;
    let table_count: Option<i32> = row.try_get("table_count")?;
    let emptied_with = leader.zip(table_count).map(|(leader, tables)| SharedEmptying {
        leader: TableId(leader),
        table_count: usize::try_from(tables).unwrap_or_default(),
    });
    Ok(KnownTable {
        id: TableId(row.try_get("table_id")?),
        run: RunId(row.try_get("run_id")?),
        target,
        emptied_with,
        fingerprint: row.try_get("fingerprint")?,
        // Words that are no outcome, pending and in_progress and running, mean that there is none.
        outcome: Outcome::parse(row.try_get("status")?),
        run_outcome: Outcome::parse(row.try_get("run_status")?),
        silent_for: Duration::from_secs(super::count(silent)),
    })
}

/// Takes the right to write away from older entries, unless somebody is at work on one.
pub(super) async fn supersede(connection: &mut PgConnection, tables: &[TableId]) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = tables.iter().map(|table| table.0).collect();
    refuse_if_alive(connection, &ids).await?;
    // Without its token a worker that wakes up late finds no row to complete and rolls back. Items
    // before tables, as everywhere: whoever settles an item locks in that order.
    sqlx::query(
        "update migration_status.migration_work_items \
         set status = 'superseded', lease_token = null, lease_until = null \
         where table_id = any($1) and status not in ('completed', 'handed_over')",
    )
    .bind(&ids)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    sqlx::query(
        "update migration_status.migration_table_status \
         set status = 'superseded', completed_at = now() where table_id = any($1)",
    )
    .bind(&ids)
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

async fn refuse_if_alive(connection: &mut PgConnection, ids: &[i64]) -> Result<()> {
    let alive = sqlx::query(
        "select t.run_id, t.target_schema, t.target_table, i.lease_holder, \
                ceil(extract(epoch from i.lease_until - now()))::bigint as seconds \
         from migration_status.migration_work_items i \
         join migration_status.migration_table_status t using (table_id) \
         where i.table_id = any($1) and i.status = 'in_progress' and i.lease_until > now() \
         order by i.lease_until desc limit 1",
    )
    .bind(ids)
    .fetch_optional(connection)
    .await
    .map_err(ledger)?;
    let Some(row) = alive else { return Ok(()) };
    let text = |column: &str| row.try_get::<String, _>(column).map_err(ledger);
    let seconds: i64 = row.try_get("seconds").map_err(ledger)?;
    let run: Uuid = row.try_get("run_id").map_err(ledger)?;
    Err(Error::new(
        code::TARGET_BUSY,
        format!("Another run is at work on {}.{}", text("target_schema")?, text("target_table")?),
    )
    .with("run", run)
    .with("worker", text("lease_holder")?)
    .with_hint(format!(
        "stop that process or let it end; to help it instead: migrate worker --run {run}; if it \
         has died already, run again in {seconds} s, when its lease has run out"
    )))
}

/// Targets in which entries that the run has set aside left rows.
pub(super) async fn leftovers(
    connection: &mut PgConnection,
    run: RunId,
) -> Result<Vec<(String, String)>> {
    sqlx::query_as(
        "select distinct target_schema, target_table \
         from migration_status.migration_table_status \
         where run_id = $1 and status = 'superseded' and completed_chunks > 0",
    )
    .bind(run.0)
    .fetch_all(connection)
    .await
    .map_err(ledger)
}

/// What came back, by a repair or because chunks had failed, while chunks were left: the rest of the
/// load does without it as well. Nobody may have noted that it is back, so everything is looked at. When
/// it was first set aside stays known: something may be away.
const SET_ASIDE_AGAIN: &str = "\
    update migration_status.migration_work_items i \
    set status = 'pending', lease_token = null, lease_until = null, \
        completed_at = case when i.kind = 'set_aside' then i.completed_at end \
    where i.table_id = any($1) and i.kind in ('set_aside', 'rebuild', 'relink') \
      and i.status = 'completed' \
      and exists (select from migration_status.migration_work_items c \
                  where c.table_id = i.table_id and c.kind = 'chunk' and c.status <> 'completed')";

/// Puts failed work of a resumed entry back into the queue, with a new count of tries.
pub(super) async fn reopen(connection: &mut PgConnection, tables: &[TableId]) -> Result<()> {
    let ids: Vec<i64> = tables.iter().map(|table| table.0).collect();
    // Counted, because others may be at work: what fails from now on stays counted.
    sqlx::query(
        "with reopened as ( \
             update migration_status.migration_work_items \
             set status = 'pending', retry_count = 0, crash_count = 0, overrun_count = 0, \
                 not_before = now(), error_code = null, error_message = null \
             where table_id = any($1) and status = 'failed' \
             returning table_id, kind) \
         update migration_status.migration_table_status t \
         set failed_chunks = t.failed_chunks - r.chunks \
         from (select table_id, count(*)::integer as chunks from reopened \
               where kind = 'chunk' group by table_id) r \
         where t.table_id = r.table_id",
    )
    .bind(&ids)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    sqlx::query(SET_ASIDE_AGAIN).bind(&ids).execute(&mut *connection).await.map_err(ledger)?;
    sqlx::query(
        "update migration_status.migration_work_items set not_before = now(), retry_count = 0 \
         where table_id = any($1) and status = 'pending'",
    )
    .bind(&ids)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    sqlx::query(
        "update migration_status.migration_table_status \
         set status = case when plan is null then 'pending' else 'in_progress' end, \
             completed_at = null, error_message = null \
         where table_id = any($1)",
    )
    .bind(&ids)
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

/// Creates the run, or opens it again.
pub(super) async fn open_run(
    connection: &mut PgConnection,
    adoptions: &Adoptions,
    request: &RunRequest,
) -> Result<()> {
    let mut sources: Vec<&str> =
        request.tables.iter().map(|table| table.source_name.as_str()).collect();
    sources.sort_unstable();
    sources.dedup();
    sqlx::query(
        "insert into migration_status.migration_runs \
             (run_id, created_by, total_sources, alive_until) \
         values ($1, $2, $3, now() + interval '1 minute') \
         on conflict (run_id) do update \
         set status = 'running', alive_until = excluded.alive_until, completed_at = null, heartbeat_at = now(), error_message = null",
    )
    .bind(adoptions.run.0)
    .bind(&request.invoked_by)
    .bind(i32::try_from(sources.len()).unwrap_or(i32::MAX))
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

/// Adds a table to the run.
pub(super) async fn add_table(
    connection: &mut PgConnection,
    run: RunId,
    table: &TableRequest,
) -> Result<TableId> {
    let schema = table
        .target
        .schema
        .as_deref()
        .ok_or_else(|| corrupt("A PostgreSQL target needs a schema"))?;
    sqlx::query_scalar(
        "insert into migration_status.migration_table_status \
            (run_id, source_name, source_database, source_schema, source_table, \
             target_database, target_schema, target_table, fingerprint) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning table_id",
    )
    .bind(run.0)
    .bind(&table.source_name)
    .bind(&table.source.database)
    .bind(&table.source.schema)
    .bind(&table.source.name)
    .bind(&table.target.database)
    .bind(schema)
    .bind(&table.target.name)
    .bind(&table.fingerprint)
    .fetch_one(connection)
    .await
    .map(TableId)
    .map_err(ledger)
}
