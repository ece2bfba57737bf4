//! Windows of incremental reads: one row per run and table, and the last one that was completed.

use migrate_core::{Error, LastWindow, Result, Scalar, TableId, TableRef, WatermarkWindow, code};
use migrate_postgres::sqlx;
use serde_json::Value;
use sqlx::{PgConnection, Row};

use super::plan::json;
use super::{bigint, count, ledger};

pub(super) async fn save_window(
    connection: &mut PgConnection,
    table: TableId,
    window: &WatermarkWindow,
) -> Result<()> {
    let text = |bound: &Option<Scalar>| bound.as_ref().map(ToString::to_string);
    sqlx::query(
        "insert into migration_status.migration_watermarks \
            (table_id, scope, watermark_column, low_value, high_value, high, rows_at_high, \
             reads_nulls, overlap_seconds) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(table.0)
    .bind(&window.scope)
    .bind(window.column.as_str())
    .bind(text(&window.low))
    .bind(text(&window.high))
    .bind(window.high.as_ref().map(json).transpose()?)
    .bind(bigint(window.rows_at_high))
    .bind(window.reads_nulls)
    .bind(bigint(window.overlap_seconds))
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

/// A window counts once its table is completed: every chunk of it is committed.
pub(super) async fn last_window(
    connection: &mut PgConnection,
    target: &TableRef,
    scope: &str,
) -> Result<Option<LastWindow>> {
    let is_installed: bool = sqlx::query_scalar(
        "select to_regclass('migration_status.migration_watermarks') is not null",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(ledger)?;
    if !is_installed {
        return Ok(None);
    }
    let row = sqlx::query(
        "select w.high, w.rows_at_high, not exists ( \
             select from migration_status.migration_table_status later \
             where later.table_id > t.table_id and later.completed_chunks > 0 \
               and (later.target_schema, later.target_table) = (t.target_schema, t.target_table) \
               and (later.source_database, later.source_schema, later.source_table) \
                   is not distinct from (t.source_database, t.source_schema, t.source_table)) \
             as is_latest, \
             exists ( \
                 select from migration_status.migration_table_status later \
                 where later.table_id > t.table_id \
                   and (later.target_schema, later.target_table) = (t.target_schema, t.target_table) \
                   and exists ( \
                       select from migration_status.migration_work_items done \
                       where done.status = 'completed' \
                         and (done.kind = 'prepare' and later.plan #> '{load,truncate,0}' is not null \
                              and done.table_id = coalesce((later.plan ->> 'prepared_by')::bigint, \
                                                           later.table_id) \
                              or done.kind = 'publish' and done.table_id = later.table_id))) \
             as is_void \
         from migration_status.migration_watermarks w \
         join migration_status.migration_table_status t using (table_id) \
         where t.target_schema = $1 and t.target_table = $2 and w.scope = $3 \
           and t.status in ('completed', 'completed_with_rejects') and w.high is not null \
         order by t.table_id desc limit 1",
    )
    .bind(target.schema.as_deref().unwrap_or_default())
    .bind(&target.name)
    .bind(scope)
    .fetch_optional(connection)
    .await
    .map_err(ledger)?;
    let Some(row) = row else { return Ok(None) };
    let high: Value = row.try_get("high").map_err(ledger)?;
    let high = serde_json::from_value(high).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "The last window cannot be read by this version")
            .with("table", target)
            .with_hint("use the version that made it")
            .with_source(cause)
    })?;
    Ok(Some(LastWindow {
        high,
        rows_at_high: Some(count(row.try_get("rows_at_high").map_err(ledger)?)),
        is_latest: row.try_get("is_latest").map_err(ledger)?,
        is_void: row.try_get("is_void").map_err(ledger)?,
    }))
}
