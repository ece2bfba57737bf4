//! What dead runs took away from targets: found, taken over by the plan of a later run, or noted as
//! brought back by a repair.

use migrate_core::{Error, LeftAside, Result, SetAside, TableId, TableRef, code};
use migrate_postgres::sqlx;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::install::is_installed;
use super::return_fence::at_work;
use super::{corrupt, ledger};

/// Steps whose object is away: its preparation is committed, or an earlier run took it away already.
/// A macro, because two statements begin with it and a query's text is a constant.
macro_rules! away {
    ($($rest:expr),+) => {
        concat!(
            "with away as ( \
                 select t.table_id, t.run_id, t.status, i.kind, i.item_id, t.target_database, \
                        t.target_schema, t.target_table, \
                        t.plan #> array['load', 'restore', i.item_id::text] as object \
                 from migration_status.migration_work_items i \
                 join migration_status.migration_table_status t using (table_id) \
                 where i.kind in ('rebuild', 'relink') \
                   and i.status not in ('completed', 'handed_over') \
                   and not exists (select from migration_status.migration_work_items s \
                                   where s.table_id = t.table_id and s.kind = 'set_aside' \
                                     and s.status <> 'completed' \
                                     and s.completed_at is null) \
                   and ((t.plan #> array['load', 'restore', i.item_id::text, 'is_missing'])::boolean \
                        or exists (select from migration_status.migration_work_items p \
                                   where p.table_id = coalesce((t.plan ->> 'prepared_by')::bigint, \
                                                               t.table_id) \
                                     and p.kind = 'prepare' and p.status = 'completed'))) ",
            $($rest),+
        )
    };
}

const LIST: &str = away!(
    "select a.*, (select coalesce( \
                      (select h.lease_holder from migration_status.migration_work_items h \
                       where h.table_id = e.table_id and h.status = 'in_progress' \
                         and h.lease_until > now() limit 1), r.created_by) \
                  from migration_status.migration_table_status e \
                  join migration_status.migration_runs r using (run_id) \
                  where (e.target_schema, e.target_table) in ((a.target_schema, a.target_table), \
                      (coalesce(a.object #>> '{table,schema}', ''), a.object #>> '{table,name}')) \
                    and ",
    at_work!(),
    " limit 1) as holder \
     from away a \
     where ($1::text is null or (a.target_schema = $1 and a.target_table = $2)) \
       and (a.status = 'superseded' or a.run_id is distinct from \
           (select e.run_id from migration_status.migration_table_status e where e.table_id = $3)) \
     order by a.table_id, a.kind, a.item_id"
);

const TAKE_OVER: &str = away!(
    "update migration_status.migration_work_items i set status = 'handed_over' \
     from away a, migration_status.migration_table_status e \
     where e.table_id = $1 and (a.status = 'superseded' or a.run_id <> e.run_id) \
       and (a.target_schema, a.target_table) = (e.target_schema, e.target_table) \
       and (i.table_id, i.kind, i.item_id) = (a.table_id, a.kind, a.item_id)"
);

pub(super) async fn left_aside(
    connection: &mut PgConnection,
    target: Option<&TableRef>,
    entry: Option<TableId>,
) -> Result<Vec<LeftAside>> {
    if !is_installed(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(LIST)
        .bind(target.map(|table| table.schema.clone().unwrap_or_default()))
        .bind(target.map(|table| table.name.as_str()))
        .bind(entry.map(|entry| entry.0))
        .fetch_all(connection)
        .await
        .map_err(ledger)?;
    rows.iter().map(one).collect()
}

fn one(row: &PgRow) -> Result<LeftAside> {
    let object: Value = row.try_get("object").map_err(ledger)?;
    let object: SetAside = serde_json::from_value(object).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "What was set aside cannot be read by this version")
            .with_hint("use the version that planned the load")
            .with_source(cause)
    })?;
    let number: i32 = row.try_get("item_id").map_err(ledger)?;
    Ok(LeftAside {
        entry: TableId(row.try_get("table_id").map_err(ledger)?),
        number: u32::try_from(number).map_err(|_| corrupt("A step's number is negative"))?,
        target: TableRef {
            database: row.try_get("target_database").map_err(ledger)?,
            schema: Some(row.try_get("target_schema").map_err(ledger)?),
            name: row.try_get("target_table").map_err(ledger)?,
        },
        object,
        holder: row.try_get("holder").map_err(ledger)?,
    })
}

/// The plan of this entry brings back what earlier runs of its target left; their steps are done.
pub(super) async fn take_over(connection: &mut PgConnection, entry: TableId) -> Result<()> {
    sqlx::query(TAKE_OVER).bind(entry.0).execute(connection).await.map_err(ledger)?;
    Ok(())
}
