//! The queue of leased work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use migrate_core::{
    Chunk, Claim, CommitRecord, Error, Failure, Holder, Lease, LeaseToken, Result, Settled,
    TableId, WorkItem, WorkKind, WorkQueue, WorkerId, WriteSummary, code,
};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::{SqliteStatusStore, corrupt, count, duration, json, ledger, milliseconds, now, whole};

/// An idle worker asks again after this time at the latest, and not sooner than the other.
const POLL: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_millis(20);

/// Crashes of one item after which it is not handed out again: it probably kills its workers.
const MAX_CRASHES: i64 = 10;

/// Sets columns of the item whose lease is bound to `?1` to `?4`.
macro_rules! settling {
    ($columns:literal) => {
        concat!(
            "update migration_work_items set ",
            $columns,
            " where table_id = ?1 and kind = ?2 and item_id = ?3 and lease_token = ?4 \
               and status = 'in_progress'"
        )
    };
}

#[async_trait]
impl WorkQueue for SqliteStatusStore {
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim> {
        let mut tx = self.write().await?;
        give_up_on_killers(&mut tx, table, kind).await?;
        let row = sqlx::query(
            "update migration_work_items as i \
             set crash_count = i.crash_count + (i.status = 'in_progress'), \
                 status = 'in_progress', lease_token = ?3, lease_holder = ?4, lease_until = ?5 \
             from (select item_id from migration_work_items \
                   where table_id = ?1 and kind = ?2 \
                     and (status = 'pending' and not_before <= ?6 \
                          or status = 'in_progress' and lease_until < ?6) \
                   order by status desc, item_id limit 1) c \
             where i.table_id = ?1 and i.kind = ?2 and i.item_id = c.item_id \
             returning item_id, chunk, retry_count, lease_token",
        )
        .bind(table.0)
        .bind(kind.to_string())
        .bind(Uuid::new_v4().to_string())
        .bind(&worker.0)
        .bind(now().saturating_add(milliseconds(ttl)))
        .bind(now())
        .fetch_optional(&mut *tx)
        .await
        .map_err(ledger)?;
        let claim = match row {
            Some(row) => Claim::Leased(Box::new(lease_of(table, kind, &row)?)),
            None => why_nothing(&mut tx, table, kind).await?,
        };
        self.commit(tx).await?;
        Ok(claim)
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        let tokens: Vec<String> = leases.iter().map(|token| token.0.to_string()).collect();
        let tokens = json(&tokens)?;
        let mut tx = self.write().await?;
        sqlx::query(
            "update migration_work_items set lease_until = ? \
             where lease_token in (select value from json_each(?)) and status = 'in_progress'",
        )
        .bind(now().saturating_add(milliseconds(ttl)))
        .bind(&tokens)
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        // A lease is not lost whose work has just been completed under it.
        let owned: Vec<String> = sqlx::query_scalar(
            "select lease_token from migration_work_items \
             where lease_token in (select value from json_each(?)) \
               and status in ('in_progress', 'completed')",
        )
        .bind(&tokens)
        .fetch_all(&mut *tx)
        .await
        .map_err(ledger)?;
        // Whoever holds a lease is at work: a run that another process has left paused is not.
        sqlx::query(
            "update migration_runs \
             set heartbeat_at = ?, status = 'running', completed_at = null \
             where run_id in (select t.run_id from migration_table_status t \
                              join migration_work_items i using (table_id) \
                              where i.lease_token in (select value from json_each(?)) \
                                and i.status in ('in_progress', 'completed')) \
               and status in ('running', 'paused')",
        )
        .bind(now())
        .bind(&tokens)
        .execute(&mut *tx)
        .await
        .map_err(ledger)?;
        self.commit(tx).await?;
        owned.iter().map(|token| read_token(token)).collect()
    }

    fn commit_record(&self, _lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        None
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        // The token stays, to tell whoever lost this answer that it did land.
        let completed = settling!(
            "status = 'completed', lease_until = null, error_code = null, error_message = null, \
             rows_read = ?5, rows_inserted = ?6, rows_updated = ?7, rows_skipped = ?8, \
             rows_rejected = ?9, bytes_sent = ?10"
        );
        let counts = |settling: Settling| {
            settling
                .bind(whole(summary.rows_read))
                .bind(whole(summary.rows_inserted))
                .bind(whole(summary.rows_updated))
                .bind(whole(summary.rows_skipped))
                .bind(whole(summary.rows_rejected))
                .bind(whole(summary.bytes))
        };
        self.settle(lease, completed, counts).await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        let status = if failure.retry_in.is_some() { "pending" } else { "failed" };
        let rest = milliseconds(failure.retry_in.unwrap_or_default());
        let failed = settling!(
            "status = ?5, not_before = ?6, retry_count = retry_count + 1, error_code = ?7, \
             error_message = ?8, lease_token = null, lease_until = null"
        );
        let why = |settling: Settling| {
            let settling = settling.bind(status).bind(now().saturating_add(rest));
            settling.bind(failure.code).bind(failure.reason.clone())
        };
        self.settle(lease, failed, why).await
    }

    async fn overrun(&self, lease: &Lease, most: u32, failure: &Failure) -> Result<Settled> {
        let overrun = settling!(
            "status = case when overrun_count + 1 >= ?5 then 'failed' else 'pending' end, \
             not_before = 0, overrun_count = overrun_count + 1, error_code = ?6, \
             error_message = ?7, lease_token = null, lease_until = null"
        );
        let why = |settling: Settling| {
            settling.bind(most).bind(failure.code).bind(failure.reason.clone())
        };
        self.settle(lease, overrun, why).await
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        let released =
            settling!("status = 'pending', not_before = 0, lease_token = null, lease_until = null");
        self.settle(lease, released, |settling| settling).await
    }
}

/// A statement that settles a lease; the lease itself is bound to `?1` to `?4`.
type Settling = Query<'static, Sqlite, SqliteArguments>;

impl SqliteStatusStore {
    /// Settles a lease, if it is still the item's.
    async fn settle(
        &self,
        lease: &Lease,
        statement: &'static str,
        bind_more: impl FnOnce(Settling) -> Settling + Send,
    ) -> Result<Settled> {
        let (kind, item) = item_id(lease.item());
        let settling = sqlx::query(statement)
            .bind(lease.table().0)
            .bind(kind)
            .bind(item)
            .bind(lease.token().0.to_string());
        let settling = bind_more(settling);
        let mut tx = self.write().await?;
        let changed = settling.execute(&mut *tx).await.map_err(ledger)?.rows_affected();
        let settled = settled(&mut tx, lease, changed).await?;
        self.commit(tx).await?;
        Ok(settled)
    }
}

async fn give_up_on_killers(
    connection: &mut SqliteConnection,
    table: TableId,
    kind: WorkKind,
) -> Result<()> {
    sqlx::query(
        "update migration_work_items \
         set status = 'failed', lease_token = null, lease_until = null, \
             error_code = 'chunk_crashed', \
             error_message = 'Its worker died ten times; fix: look into the logs of the workers, \
lower memory_budget, then run again' \
         where table_id = ? and kind = ? and status = 'in_progress' and lease_until < ? \
           and crash_count >= ?",
    )
    .bind(table.0)
    .bind(kind.to_string())
    .bind(now())
    .bind(MAX_CRASHES - 1)
    .execute(connection)
    .await
    .map_err(ledger)?;
    Ok(())
}

async fn why_nothing(
    connection: &mut SqliteConnection,
    table: TableId,
    kind: WorkKind,
) -> Result<Claim> {
    let row = sqlx::query(
        "select count(*) filter (where status = 'completed') as completed, \
                count(*) filter (where status not in ('completed', 'pending', 'in_progress')) \
                    as failed, \
                min(case status when 'pending' then not_before when 'in_progress' then lease_until \
                    end) as due_at, \
                (select h.lease_holder from migration_work_items h \
                 where h.table_id = ?1 and h.kind = ?2 and h.status = 'in_progress' \
                 order by h.lease_until limit 1) as holder \
         from migration_work_items where table_id = ?1 and kind = ?2",
    )
    .bind(table.0)
    .bind(kind.to_string())
    .fetch_one(connection)
    .await
    .map_err(ledger)?;
    let number = |column: &str| row.try_get::<i64, _>(column).map(count).map_err(ledger);
    let due_at: Option<i64> = row.try_get("due_at").map_err(ledger)?;
    let Some(due_at) = due_at else {
        return Ok(Claim::Drained { completed: number("completed")?, failed: number("failed")? });
    };
    let due_in = duration(due_at.saturating_sub(now()));
    let holder: Option<String> = row.try_get("holder").map_err(ledger)?;
    let holder = holder.map(|worker| Holder { worker: WorkerId(worker), expires_in: due_in });
    // A lease that ends is settled before it expires, so look again soon.
    Ok(Claim::NotYet { retry_in: due_in.clamp(REST, POLL), holder })
}

/// Why a settling statement changed nothing: its answer was lost once, or the lease is gone.
async fn settled(
    connection: &mut SqliteConnection,
    lease: &Lease,
    changed: u64,
) -> Result<Settled> {
    if changed > 0 {
        return Ok(Settled::Applied);
    }
    let (kind, item) = item_id(lease.item());
    let is_completed: bool = sqlx::query_scalar(
        "select exists (select 1 from migration_work_items \
         where table_id = ? and kind = ? and item_id = ? and lease_token = ? \
           and status = 'completed')",
    )
    .bind(lease.table().0)
    .bind(kind)
    .bind(item)
    .bind(lease.token().0.to_string())
    .fetch_one(connection)
    .await
    .map_err(ledger)?;
    Ok(if is_completed { Settled::AlreadyCompleted } else { Settled::LeaseLost })
}

fn lease_of(table: TableId, kind: WorkKind, row: &SqliteRow) -> Result<Lease> {
    let number: i64 = row.try_get("item_id").map_err(ledger)?;
    let item_number = u32::try_from(number).map_err(|_| corrupt("A step's number is negative"))?;
    let item = match kind {
        WorkKind::Prepare => WorkItem::Prepare,
        WorkKind::Finish => WorkItem::Finish,
        WorkKind::SetAside => WorkItem::SetAside,
        WorkKind::Publish => WorkItem::Publish,
        WorkKind::Chunk => WorkItem::Chunk(chunk_of(row, item_number)?),
        WorkKind::Rebuild => WorkItem::Rebuild(item_number),
        WorkKind::Relink => WorkItem::Relink(item_number),
    };
    let token: String = row.try_get("lease_token").map_err(ledger)?;
    let retries: i64 = row.try_get("retry_count").map_err(ledger)?;
    let attempt = u32::try_from(retries).unwrap_or_default().saturating_add(1);
    Ok(Lease::new(table, item, read_token(&token)?, attempt))
}

fn chunk_of(row: &SqliteRow, number: u32) -> Result<Chunk> {
    let chunk: Option<String> = row.try_get("chunk").map_err(ledger)?;
    let chunk = chunk.ok_or_else(|| corrupt("A chunk has no extent"))?;
    serde_json::from_str(&chunk).map_err(|cause| {
        Error::new(code::PLAN_UNREADABLE, "A stored chunk cannot be read")
            .with("chunk", number)
            .with_hint("use the version that planned it, or start anew with --no-resume")
            .with_source(cause)
    })
}

fn read_token(token: &str) -> Result<LeaseToken> {
    Uuid::parse_str(token).map(LeaseToken).map_err(|_| corrupt("A lease cannot be read"))
}

/// The key of an item within its table.
pub(super) fn item_id(item: &WorkItem) -> (&'static str, u32) {
    match item {
        WorkItem::Prepare => ("prepare", 0),
        WorkItem::SetAside => ("set_aside", 0),
        WorkItem::Chunk(chunk) => ("chunk", chunk.id.0),
        WorkItem::Publish => ("publish", 0),
        WorkItem::Rebuild(number) => ("rebuild", *number),
        WorkItem::Relink(number) => ("relink", *number),
        WorkItem::Finish => ("finish", 0),
    }
}
