//! Plans and their chunks, stored at once.

use async_trait::async_trait;
use migrate_core::{Chunk, Error, ErrorKind, PlanStore, Result, TableId, TablePlan, code};
use migrate_postgres::sqlx;
use serde_json::Value;
use sqlx::Row;

use super::{PgStatusStore, bigint, ledger};

#[async_trait]
impl PlanStore for PgStatusStore {
    async fn load_plan(&self, table: TableId) -> Result<Option<TablePlan>> {
        let plan: Option<Option<Value>> = sqlx::query_scalar(
            "select plan from migration_status.migration_table_status where table_id = $1",
        )
        .bind(table.0)
        .fetch_optional(self.database.pool())
        .await
        .map_err(ledger)?;
        plan.flatten().map(read_plan).transpose()
    }

    async fn save_plan(
        &self,
        table: TableId,
        plan: &TablePlan,
        chunks: &[Chunk],
    ) -> Result<TablePlan> {
        let mut tx = self.database.pool().begin().await.map_err(ledger)?;
        let row = sqlx::query(
            "select plan, status from migration_status.migration_table_status \
             where table_id = $1 for update",
        )
        .bind(table.0)
        .fetch_one(&mut *tx)
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
                 status = 'in_progress' \
             where table_id = $1",
        )
        .bind(table.0)
        .bind(json(plan)?)
        .bind(&plan.strategy)
        .bind(i32::try_from(chunks.len()).unwrap_or(i32::MAX))
        .bind(plan.estimated_rows.map(bigint))
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        sqlx::query(
            "insert into migration_status.migration_work_items (table_id, kind, item_id) \
             select $1, kind, 0 from unnest(array['prepare', 'finish']) as kind \
             where kind = 'finish' or not $2",
        )
        .bind(table.0)
        .bind(plan.prepared_by.is_some())
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        let ids: Vec<i32> =
            chunks.iter().map(|chunk| i32::try_from(chunk.id.0).unwrap_or(i32::MAX)).collect();
        let extents = chunks.iter().map(|chunk| json(&chunk.extent)).collect::<Result<Vec<_>>>()?;
        let expected: Vec<_> = chunks.iter().map(|chunk| chunk.expected_rows.map(bigint)).collect();
        let estimated: Vec<_> =
            chunks.iter().map(|chunk| chunk.estimated_rows.map(bigint)).collect();
        sqlx::query(
            "insert into migration_status.migration_work_items \
                (table_id, kind, item_id, extent, expected_rows, estimated_rows) \
             select $1, 'chunk', c.* \
             from unnest($2::integer[], $3::jsonb[], $4::bigint[], $5::bigint[]) as c",
        )
        .bind(table.0)
        .bind(&ids)
        .bind(&extents)
        .bind(&expected)
        .bind(&estimated)
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        tx.commit().await.map_err(ledger)?;
        Ok(plan.clone())
    }
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|cause| {
        Error::new(ErrorKind::Internal, "A plan cannot be written as JSON").with_source(cause)
    })
}

fn read_plan(stored: Value) -> Result<TablePlan> {
    serde_json::from_value(stored).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "The stored plan cannot be read by this version")
            .with_hint("use the version that made it, or start anew with --no-resume")
            .with_source(cause)
    })
}
