//! Plans and their chunks, stored at once.

use std::sync::Arc;

use async_trait::async_trait;
use migrate_core::{
    BadRows, Chunk, Error, ErrorKind, Fence, LEASE_LOST_SQLSTATE, LastWindow, LeftAside, NewPlan,
    PlanStore, Result, TableId, TablePlan, TableRef, code,
};
use migrate_postgres::{execute, sqlstate, sqlx};
use serde_json::Value;
use sqlx::{Connection, PgConnection, Row};

use super::left_aside::{left_aside, take_over};
use super::queue::item_id;
use super::return_fence::ReturnFence;
use super::run::DURABLE;
use super::window::{last_window, save_window};
use super::{PgStatusStore, bigint, ledger};

#[async_trait]
impl PlanStore for PgStatusStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        let plan: Option<Option<Value>> = sqlx::query_scalar(
            "select plan from migration_status.migration_table_status where table_id = $1",
        )
        .bind(table.0)
        .fetch_optional(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        plan.flatten().map(read_plan).transpose()
    }

    async fn last_window(&self, target: &TableRef, scope: &str) -> Result<Option<LastWindow>> {
        let mut connection = self.database.acquire().await?;
        last_window(&mut connection, target, scope).await
    }

    async fn left_aside(
        &self,
        target: Option<&TableRef>,
        entry: Option<TableId>,
    ) -> Result<Vec<LeftAside>> {
        let mut connection = self.database.acquire().await?;
        left_aside(&mut connection, target, entry).await
    }

    async fn give_up_chunks(&self, left: &LeftAside) -> Result<()> {
        let fence = ReturnFence::new(self.database.domain().clone(), left, None);
        let mut connection = self.database.acquire().await?;
        match execute(&mut connection, &fence.giving_up()).await {
            Ok(_) => Ok(()),
            Err(cause) if sqlstate(&cause).as_deref() == Some(LEASE_LOST_SQLSTATE) => {
                Err(Error::new(ErrorKind::Conflict, "A run is at work on the table")
                    .with("table", &left.target)
                    .with_hint("let it end: it brings everything back itself"))
            }
            Err(cause) => Err(ledger(cause)),
        }
    }

    fn return_fence(&self, left: &LeftAside, entry: Option<TableId>) -> Option<Arc<dyn Fence>> {
        Some(Arc::new(ReturnFence::new(self.database.domain().clone(), left, entry)))
    }

    async fn brought_back(&self, left: &LeftAside) -> Result<()> {
        let fence = ReturnFence::new(self.database.domain().clone(), left, None);
        let mut connection = self.database.acquire().await?;
        execute(&mut connection, &fence.is_back()).await.map(drop).map_err(ledger)
    }

    async fn save_plans(&self, plans: &[NewPlan<'_>]) -> Result<Vec<TablePlan>> {
        let mut connection = self.database.acquire().await?;
        let mut tx = connection.begin().await.map_err(ledger)?;
        sqlx::query(DURABLE).execute(&mut *tx).await.map_err(ledger)?;
        // One order of locks for everybody.
        let ids: Vec<i64> = plans.iter().map(|new| new.table.0).collect();
        sqlx::query(
            "select from migration_status.migration_table_status \
             where table_id = any($1) order by table_id for update",
        )
        .bind(&ids)
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        let mut stored = Vec::with_capacity(plans.len());
        for new in plans {
            stored.push(save(&mut tx, new).await?);
        }
        tx.commit().await.map_err(ledger)?;
        Ok(stored)
    }

    async fn change_bad_rows(&self, table: TableId, bad_rows: BadRows) -> Result<()> {
        sqlx::query(
            "update migration_status.migration_table_status \
             set plan = jsonb_set(plan, '{load,bad_rows}', $2) where table_id = $1",
        )
        .bind(table.0)
        .bind(json(&bad_rows)?)
        .execute(self.database.pool())
        .await
        .map_err(ledger)?;
        Ok(())
    }
}

async fn save(connection: &mut PgConnection, new: &NewPlan<'_>) -> Result<TablePlan> {
    let row = sqlx::query(
        "select plan, status from migration_status.migration_table_status where table_id = $1",
    )
    .bind(new.table.0)
    .fetch_one(&mut *connection)
    .await
    .map_err(ledger)?;
    if let Some(stored) = row.try_get::<Option<Value>, _>("plan").map_err(ledger)? {
        return read_plan(stored);
    }
    if row.try_get::<&str, _>("status").map_err(ledger)? == "superseded" {
        return Err(Error::new(ErrorKind::LeaseLost, "A newer run has taken over the table")
            .with_hint("nothing to do: the newer run loads it"));
    }
    sqlx::query(
        "update migration_status.migration_table_status \
         set plan = $2, strategy = $3, total_chunks = $4, estimated_rows = $5, \
             status = 'in_progress', indexes_disabled = $6 \
         where table_id = $1",
    )
    .bind(new.table.0)
    .bind(json(new.plan)?)
    .bind(&new.plan.strategy)
    .bind(i32::try_from(new.chunks.len()).unwrap_or(i32::MAX))
    .bind(new.plan.estimated_rows.map(bigint))
    .bind(!new.plan.load.restore.is_empty())
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    let (kinds, numbers): (Vec<_>, Vec<_>) = new.plan.steps().iter().map(item_id).unzip();
    sqlx::query(
        "insert into migration_status.migration_work_items (table_id, kind, item_id, status) \
         select $1, s.kind, s.number, \
                case s.kind when 'set_aside' then 'completed' else 'pending' end \
         from unnest($2::text[], $3::integer[]) as s (kind, number)",
    )
    .bind(new.table.0)
    .bind(&kinds)
    .bind(&numbers)
    .execute(&mut *connection)
    .await
    .map_err(ledger)?;
    take_over(connection, new.table).await?;
    save_chunks(connection, new).await?;
    if let Some(window) = &new.plan.window {
        save_window(connection, new.table, window).await?;
    }
    Ok(new.plan.clone())
}

/// All chunks in one statement, however many there are.
async fn save_chunks(connection: &mut PgConnection, new: &NewPlan<'_>) -> Result<()> {
    let column = |value: fn(&Chunk) -> Option<u64>| -> Vec<Option<i64>> {
        new.chunks.iter().map(|chunk| value(chunk).map(bigint)).collect()
    };
    let ids: Vec<i32> =
        new.chunks.iter().map(|chunk| i32::try_from(chunk.id.0).unwrap_or(i32::MAX)).collect();
    let extents = new.chunks.iter().map(|chunk| json(&chunk.extent)).collect::<Result<Vec<_>>>()?;
    sqlx::query(
        "insert into migration_status.migration_work_items \
            (table_id, kind, item_id, extent, expected_rows, estimated_rows) \
         select $1, 'chunk', c.* \
         from unnest($2::integer[], $3::jsonb[], $4::bigint[], $5::bigint[]) as c",
    )
    .bind(new.table.0)
    .bind(&ids)
    .bind(&extents)
    .bind(column(|chunk| chunk.expected_rows))
    .bind(column(|chunk| chunk.estimated_rows))
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|cause| {
        Error::new(ErrorKind::Internal, "A plan cannot be written as JSON").with_source(cause)
    })
}

pub(super) fn read_plan(stored: Value) -> Result<TablePlan> {
    serde_json::from_value(stored).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "The stored plan cannot be read by this version")
            .with_hint("use the version that made it, or start anew with --no-resume")
            .with_source(cause)
    })
}
