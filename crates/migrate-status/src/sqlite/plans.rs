//! Plans and their chunks, stored at once; windows of incremental reads.

use async_trait::async_trait;
use migrate_core::{
    BadRows, LastWindow, LeftAside, NewPlan, Outcome, PlanStore, Result, TableId, TablePlan,
    TableRef,
};
use sqlx::{Row, SqliteConnection};

use super::queue::item_id;
use super::repair::{brought_back, left_aside, take_over};
use super::runs::taken_over;
use super::{SqliteStatusStore, json, ledger, read_plan};

#[async_trait]
impl PlanStore for SqliteStatusStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        stored_plan(&mut *self.read().await?, table).await
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        let Some(mut connection) = self.read_if_installed().await? else { return Ok(None) };
        last_window(&mut connection, target, scope).await
    }

    async fn left_aside(
        &self,
        target: Option<&TableRef>,
        entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        let Some(mut connection) = self.read_if_installed().await? else {
            return Ok(Vec::new());
        };
        left_aside(&mut connection, target, entry).await
    }

    async fn brought_back(&self, left: &LeftAside) -> Result<()> {
        let mut tx = self.write().await?;
        brought_back(&mut tx, left).await?;
        self.commit(tx).await
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        let mut tx = self.write().await?;
        let mut stored = Vec::with_capacity(plans.len());
        for new in plans {
            stored.push(save(&mut tx, new).await?);
        }
        self.commit(tx).await?;
        Ok(stored)
    }

    async fn change_bad_rows(&self, table: TableId, bad_rows: BadRows) -> Result<()> {
        let mut tx = self.write().await?;
        if let Some(mut plan) = stored_plan(&mut tx, table).await? {
            plan.load.bad_rows = bad_rows;
            sqlx::query("update migration_table_status set plan = ? where table_id = ?")
                .bind(json(&plan)?)
                .bind(table.0)
                .execute(&mut *tx)
                .await
                .map_err(ledger)?;
        }
        self.commit(tx).await
    }
}

async fn stored_plan(
    connection: &mut SqliteConnection,
    table: TableId,
) -> Result<Option<TablePlan>> {
    let plan: Option<Option<String>> =
        sqlx::query_scalar("select plan from migration_table_status where table_id = ?")
            .bind(table.0)
            .fetch_optional(connection)
            .await
            .map_err(ledger)?;
    plan.flatten().as_deref().map(read_plan).transpose()
}

async fn save(connection: &mut SqliteConnection, new: &NewPlan<'_>) -> Result<TablePlan> {
    if let Some(stored) = stored_plan(connection, new.table).await? {
        return Ok(stored);
    }
    let changed = sqlx::query(
        "update migration_table_status set plan = ?, status = 'in_progress' \
         where table_id = ? and status <> 'superseded'",
    )
    .bind(json(new.plan)?)
    .bind(new.table.0)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    if changed.rows_affected() == 0 {
        return Err(taken_over());
    }
    take_over(connection, new.table).await?;
    let steps = new.plan.steps();
    let steps = steps.iter().map(|step| {
        let (kind, number) = item_id(step);
        // The preparation sets aside.
        let status = if kind == "set_aside" { "completed" } else { "pending" };
        (kind, number, status, None)
    });
    let chunks = new.chunks.iter().map(|chunk| ("chunk", chunk.id.0, "pending", Some(chunk)));
    let items: Vec<_> = steps.chain(chunks).collect();
    // All of them in one statement, however many there are.
    sqlx::query(
        "insert into migration_work_items (table_id, kind, item_id, status, chunk) \
         select ?, value ->> 0, value ->> 1, value ->> 2, \
                case json_type(value, '$[3]') when 'object' then value -> 3 end \
         from json_each(?)",
    )
    .bind(new.table.0)
    .bind(json(&items)?)
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(new.plan.clone())
}

/// A window counts once its table is completed: every chunk of it is committed.
async fn last_window(
    connection: &mut SqliteConnection,
    target: &TableRef,
    scope: &str,
) -> Result<Option<LastWindow>> {
    let rows = sqlx::query(
        "select table_id, source, status, plan from migration_table_status \
         where target = ? and plan is not null order by table_id desc",
    )
    .bind(json(target)?)
    .fetch_all(&mut *connection)
    .await
    .map_err(ledger)?;
    // From the newest entry to the one with the window: what has happened to the target since.
    let mut later = Vec::new();
    for row in &rows {
        let word = |column: &str| row.try_get::<String, _>(column).map_err(ledger);
        let table = TableId(row.try_get("table_id").map_err(ledger)?);
        let (source, plan) = (word("source")?, read_plan(&word("plan")?)?);
        let outcome = Outcome::parse(&word("status")?);
        let is_complete =
            matches!(outcome, Some(Outcome::Completed | Outcome::CompletedWithRejects));
        let window = plan.window.as_ref().filter(|window| is_complete && window.scope == scope);
        let Some((window, high)) = window.and_then(|one| Some((one, one.high.clone()?))) else {
            later.push((table, source, plan));
            continue;
        };
        let mut last = LastWindow {
            high,
            rows_at_high: Some(window.rows_at_high),
            is_latest: true,
            is_void: false,
        };
        for (table, other, plan) in &later {
            let (has_rows, has_emptied) = done(connection, *table, plan).await?;
            last.is_latest &= !(has_rows && *other == source);
            last.is_void |= has_emptied;
        }
        return Ok(Some(last));
    }
    Ok(None)
}

/// Whether an entry has committed a chunk, and whether the rows that were in its target before are
/// gone.
async fn done(
    connection: &mut SqliteConnection,
    table: TableId,
    plan: &TablePlan,
) -> Result<(bool, bool)> {
    let row = sqlx::query(
        "select exists (select 1 from migration_work_items where table_id = ?1 \
                        and kind = 'chunk' and status = 'completed') as has_rows, \
                exists (select 1 from migration_work_items where table_id = ?2 \
                        and kind = 'prepare' and status = 'completed') as is_prepared, \
                exists (select 1 from migration_work_items where table_id = ?1 \
                        and kind = 'publish' and status = 'completed') as is_published",
    )
    .bind(table.0)
    .bind(plan.prepared_by.unwrap_or(table).0)
    .fetch_one(connection)
    .await
    .map_err(ledger)?;
    let is = |column: &str| row.try_get::<bool, _>(column).map_err(ledger);
    let empties = !plan.load.truncate.is_empty();
    Ok((is("has_rows")?, (empties && is("is_prepared")?) || is("is_published")?))
}
