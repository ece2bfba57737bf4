//! What dead runs took away from targets: found, taken over by the plan of a later run, or noted as
//! brought back by a repair.

use migrate_core::{Error, LeftAside, Result, SetAside, TableId, TableRef, code};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::{corrupt, json, ledger, now, read_table};

/// Steps whose object is away: its preparation is committed, or an earlier run took it away already.
/// A macro, because two statements begin with it and a query's text is a constant.
macro_rules! away {
    ($rest:literal) => {
        concat!(
            "with away as ( \
                 select t.table_id, t.run_id, t.status, t.target, i.kind, i.item_id, \
                        t.plan -> ('$.load.restore[' || i.item_id || ']') as object \
                 from migration_work_items i join migration_table_status t using (table_id) \
                 where i.kind in ('rebuild', 'relink') \
                   and i.status not in ('completed', 'handed_over') \
                   and not exists (select 1 from migration_work_items s \
                                   where s.table_id = t.table_id and s.kind = 'set_aside' \
                                     and s.status <> 'completed') \
                   and (t.plan ->> ('$.load.restore[' || i.item_id || '].is_missing') \
                        or exists (select 1 from migration_work_items p \
                                   where p.table_id = coalesce(t.plan ->> '$.prepared_by', \
                                                               t.table_id) \
                                     and p.kind = 'prepare' and p.status = 'completed'))) ",
            $rest
        )
    };
}

const LIST: &str = away!(
    "select a.*, (select l.lease_holder from migration_work_items l \
                  where l.table_id = a.table_id and l.status = 'in_progress' \
                    and l.lease_until > ?3 limit 1) as holder \
     from away a \
     where (?1 is null or a.target = ?1) \
       and (a.status = 'superseded' or a.run_id is not \
           (select e.run_id from migration_table_status e where e.table_id = ?2)) \
     order by a.table_id, a.kind, a.item_id"
);

const TAKE_OVER: &str = away!(
    "update migration_work_items as i set status = 'handed_over' \
     from away a, migration_table_status e \
     where e.table_id = ?1 and (a.status = 'superseded' or a.run_id <> e.run_id) \
       and a.target = e.target and a.table_id <> e.table_id \
       and (i.table_id, i.kind, i.item_id) = (a.table_id, a.kind, a.item_id)"
);

pub(super) async fn left_aside(
    connection: &mut SqliteConnection,
    target: Option<&TableRef>,
    entry: Option<TableId>,
) -> Result<Vec<LeftAside>> {
    let rows = sqlx::query(LIST)
        .bind(target.map(json).transpose()?)
        .bind(entry.map(|entry| entry.0))
        .bind(now())
        .fetch_all(connection)
        .await
        .map_err(ledger)?;
    rows.iter().map(one).collect()
}

fn one(row: &SqliteRow) -> Result<LeftAside> {
    let object: String = row.try_get("object").map_err(ledger)?;
    let object: SetAside = serde_json::from_str(&object).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "What was set aside cannot be read by this version")
            .with_hint("use the version that planned the load")
            .with_source(cause)
    })?;
    let number: i64 = row.try_get("item_id").map_err(ledger)?;
    Ok(LeftAside {
        entry: TableId(row.try_get("table_id").map_err(ledger)?),
        number: u32::try_from(number).map_err(|_| corrupt("A step's number is negative"))?,
        target: read_table(row.try_get("target").map_err(ledger)?)?,
        object,
        holder: row.try_get("holder").map_err(ledger)?,
    })
}

/// The plan of this entry brings back what earlier runs of its target left; their steps are done.
pub(super) async fn take_over(connection: &mut SqliteConnection, entry: TableId) -> Result<()> {
    sqlx::query(TAKE_OVER).bind(entry.0).execute(connection).await.map_err(ledger)?;
    Ok(())
}

/// Completes the step, unless somebody has taken it up meanwhile.
pub(super) async fn brought_back(
    connection: &mut SqliteConnection,
    left: &LeftAside,
) -> Result<()> {
    sqlx::query(
        "update migration_work_items \
         set status = 'completed', lease_token = null, lease_until = null, error_code = null, \
             error_message = null \
         where table_id = ? and kind in ('rebuild', 'relink') and item_id = ? \
           and status <> 'completed' and (lease_until is null or lease_until < ?)",
    )
    .bind(left.entry.0)
    .bind(left.number)
    .bind(now())
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}
