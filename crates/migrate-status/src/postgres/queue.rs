//! The queue of leased work.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use migrate_core::{
    Chunk, ChunkId, Claim, CommitRecord, Extent, Failure, Fence, Holder, Lease, LeaseToken,
    RejectPage, RejectedTable, Result, RunId, Settled, TableId, WorkItem, WorkKind, WorkQueue,
    WorkerId, WriteSummary,
};
use migrate_postgres::{execute, sqlx};
use serde_json::Value;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row};
use uuid::Uuid;

use super::record::{Completion, Ownership};
use super::reject::{Settlement, rejected_rows, rejected_tables};
use super::{PgStatusStore, corrupt, count, ledger};

/// An idle worker asks again after this time at the latest: another process may have settled
/// something.
const POLL: Duration = Duration::from_secs(1);

/// And not sooner than this: what is due may be locked by somebody who takes his time.
const REST: Duration = Duration::from_millis(100);

/// What a claim returns; the same for both ways to get an item.
macro_rules! claim_sql {
    ($candidates:literal, $also:literal) => {
        concat!(
            "update migration_status.migration_work_items i \
             set status = 'in_progress', lease_token = gen_random_uuid(), lease_holder = $3, \
                 lease_until = now() + $4 * interval '1 millisecond', \
                 started_at = coalesce(i.started_at, now())",
            $also,
            " from (select table_id, kind, item_id from migration_status.migration_work_items \
                    where table_id = $1 and kind = $2 and ",
            $candidates,
            " order by item_id limit 1 for update skip locked) c \
             where i.table_id = c.table_id and i.kind = c.kind and i.item_id = c.item_id \
             returning i.item_id, i.extent, i.expected_rows, i.estimated_rows, i.lease_token, \
                       i.retry_count"
        )
    };
}

const CLAIM_PENDING: &str = claim_sql!("status = 'pending' and not_before <= now()", "");
/// An item that has outlived ten workers probably kills them: it is not handed out again.
const CLAIM_EXPIRED: &str = claim_sql!(
    "status = 'in_progress' and lease_until < now() and crash_count < 9",
    ", crash_count = i.crash_count + 1"
);
const GIVE_UP_ON_KILLERS: &str = "\
    with killers as ( \
        update migration_status.migration_work_items \
        set status = 'failed', lease_token = null, lease_until = null, \
            crash_count = crash_count + 1, error_code = 'chunk_crashed', \
            error_message = 'Its worker died ten times; fix: look into the logs of the workers, \
lower memory_budget, then run again' \
        where table_id = $1 and kind = $2 and status = 'in_progress' \
          and lease_until < now() and crash_count >= 9 \
        returning kind = 'chunk' as is_chunk) \
    update migration_status.migration_table_status t \
    set failed_chunks = t.failed_chunks + k.failed_chunks \
    from (select count(*) filter (where is_chunk)::integer as failed_chunks from killers) k \
    where t.table_id = $1";

#[async_trait]
impl WorkQueue for PgStatusStore {
    async fn claim(
        &self,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Claim> {
        if let Some(lease) = self.claim_one(CLAIM_PENDING, table, kind, worker, ttl).await? {
            return Ok(Claim::Leased(Box::new(lease)));
        }
        if let Some(lease) = self.claim_one(CLAIM_EXPIRED, table, kind, worker, ttl).await? {
            return Ok(Claim::Leased(Box::new(lease)));
        }
        self.why_nothing(table, kind).await
    }

    async fn renew(&self, leases: &[LeaseToken], ttl: Duration) -> Result<Vec<LeaseToken>> {
        let tokens: Vec<Uuid> = leases.iter().map(|token| token.0).collect();
        // A row that is locked is being settled by its own worker: it needs no renewal, and must
        // not keep the others from theirs. Nor is a lease lost whose work has just been completed.
        // Whoever holds a lease is at work: a run that another process has left paused is not.
        let owned = sqlx::query_scalar(
            "with owned as ( \
                 select table_id, kind, item_id, lease_token \
                 from migration_status.migration_work_items \
                 where lease_token = any($1) and status in ('in_progress', 'completed')), \
             free as ( \
                 select i.table_id, i.kind, i.item_id \
                 from migration_status.migration_work_items i \
                 where i.lease_token = any($1) and i.status = 'in_progress' \
                 for update skip locked), \
             renewed as ( \
                 update migration_status.migration_work_items i \
                 set lease_until = now() + $2 * interval '1 millisecond' \
                 from free \
                 where i.table_id = free.table_id and i.kind = free.kind \
                   and i.item_id = free.item_id), \
             alive as ( \
                 update migration_status.migration_runs r \
                 set heartbeat_at = now(), status = 'running', completed_at = null \
                 where r.run_id in (select t.run_id from owned o \
                                    join migration_status.migration_table_status t using (table_id)) \
                   and r.status in ('running', 'paused')) \
             select lease_token from owned",
        )
        .bind(&tokens)
        .bind(milliseconds(ttl))
        .fetch_all(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        Ok(owned.into_iter().map(LeaseToken).collect())
    }

    fn commit_record(&self, lease: &Lease) -> Option<Arc<dyn CommitRecord>> {
        Some(Arc::new(Completion::new(self.database.domain().clone(), lease)))
    }

    fn fence(&self, lease: &Lease) -> Option<Arc<dyn Fence>> {
        Some(Arc::new(Ownership::new(self.database.domain().clone(), lease)))
    }

    async fn complete(&self, lease: &Lease, summary: &WriteSummary) -> Result<Settled> {
        let record = Completion::new(self.database.domain().clone(), lease);
        let mut connection = self.database.acquire().await?;
        match execute(&mut connection, &record.statement(summary)).await.map_err(ledger)? {
            0 => self.settled_otherwise(lease).await,
            _ => Ok(Settled::Applied),
        }
    }

    async fn fail(&self, lease: &Lease, failure: &Failure) -> Result<Settled> {
        let settling = of_lease(
            "with settled as ( \
                 update migration_status.migration_work_items \
                 set status = case when $5::bigint is null then 'failed' else 'pending' end, \
                     not_before = now() + coalesce($5::bigint, 0) * interval '1 millisecond', \
                     retry_count = retry_count + 1, error_code = $6, error_message = $7, \
                     lease_token = null, lease_until = null \
                 where table_id = $1 and kind = $2 and item_id = $3 and lease_token = $4 \
                   and status = 'in_progress' \
                 returning table_id, status = 'failed' and kind = 'chunk' as is_failed_chunk) \
             update migration_status.migration_table_status t \
             set failed_chunks = t.failed_chunks + s.is_failed_chunk::integer \
             from settled s where t.table_id = s.table_id",
            lease,
        );
        self.settle(
            lease,
            settling
                .bind(failure.retry_in.map(milliseconds))
                .bind(failure.code)
                .bind(&failure.reason),
        )
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<Settled> {
        let settling = of_lease(
            "update migration_status.migration_work_items \
             set status = 'pending', not_before = now(), lease_token = null, lease_until = null \
             where table_id = $1 and kind = $2 and item_id = $3 and lease_token = $4 \
               and status = 'in_progress'",
            lease,
        );
        self.settle(lease, settling).await
    }

    async fn overrun(&self, lease: &Lease, most: u32, failure: &Failure) -> Result<Settled> {
        let settling = of_lease(
            "with settled as ( \
                 update migration_status.migration_work_items \
                 set status = case when overrun_count + 1 >= $5 then 'failed' else 'pending' end, \
                     not_before = now(), overrun_count = overrun_count + 1, error_code = $6, \
                     error_message = $7, lease_token = null, lease_until = null \
                 where table_id = $1 and kind = $2 and item_id = $3 and lease_token = $4 \
                   and status = 'in_progress' \
                 returning table_id, status = 'failed' and kind = 'chunk' as is_failed_chunk) \
             update migration_status.migration_table_status t \
             set failed_chunks = t.failed_chunks + s.is_failed_chunk::integer \
             from settled s where t.table_id = s.table_id",
            lease,
        );
        self.settle(
            lease,
            settling
                .bind(i32::try_from(most).unwrap_or(i32::MAX))
                .bind(failure.code)
                .bind(&failure.reason),
        )
        .await
    }

    async fn rejected_tables(&self, run: Option<RunId>) -> Result<Vec<RejectedTable>> {
        let mut connection = self.database.acquire().await?;
        rejected_tables(&mut connection, run).await
    }

    async fn rejected_rows(&self, table: TableId, after: i64) -> Result<RejectPage> {
        let mut connection = self.database.acquire().await?;
        rejected_rows(&mut connection, table, after).await
    }

    fn retry_record(&self, table: TableId, page: &RejectPage) -> Option<Arc<dyn CommitRecord>> {
        Some(Arc::new(Settlement::new(self.database.domain().clone(), table, page)))
    }
}

impl PgStatusStore {
    /// Runs a statement of [`of_lease`] that ends the lease.
    async fn settle(&self, lease: &Lease, settling: Settling<'_>) -> Result<Settled> {
        let mut connection = self.database.acquire().await?;
        match settling.execute(&mut *connection).await.map_err(ledger)?.rows_affected() {
            0 => {
                drop(connection);
                self.settled_otherwise(lease).await
            }
            _ => Ok(Settled::Applied),
        }
    }

    async fn claim_one(
        &self,
        sql: &'static str,
        table: TableId,
        kind: WorkKind,
        worker: &WorkerId,
        ttl: Duration,
    ) -> Result<Option<Lease>> {
        let row = sqlx::query(sql)
            .bind(table.0)
            .bind(kind_word(kind))
            .bind(&worker.0)
            .bind(milliseconds(ttl))
            .fetch_optional(&mut *self.database.acquire().await?)
            .await
            .map_err(ledger)?;
        row.map(|row| lease_of(table, kind, &row)).transpose()
    }

    async fn why_nothing(&self, table: TableId, kind: WorkKind) -> Result<Claim> {
        let row = sqlx::query(
            "select lease_holder, status, \
                    ceil(1000 * extract(epoch from \
                        case status when 'pending' then not_before else lease_until end \
                        - clock_timestamp()))::bigint as due_in_ms \
             from migration_status.migration_work_items \
             where table_id = $1 and kind = $2 and status in ('pending', 'in_progress') \
             order by 3 limit 1",
        )
        .bind(table.0)
        .bind(kind_word(kind))
        .fetch_optional(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        let Some(row) = row else { return self.drained(table, kind).await };
        let is_leased = row.try_get::<&str, _>("status").map_err(ledger)? == "in_progress";
        let due_in_ms: i64 = row.try_get("due_in_ms").map_err(ledger)?;
        if is_leased && due_in_ms <= 0 {
            sqlx::query(GIVE_UP_ON_KILLERS)
                .bind(table.0)
                .bind(kind_word(kind))
                .execute(&mut *self.database.acquire().await?)
                .await
                .map_err(ledger)?;
        }
        let due_in = Duration::from_millis(count(due_in_ms));
        let worker: Option<String> = row.try_get("lease_holder").map_err(ledger)?;
        let holder = worker
            .filter(|_| is_leased)
            .map(|worker| Holder { worker: WorkerId(worker), expires_in: due_in });
        // A lease that ends is settled before it expires, so look again soon.
        Ok(Claim::NotYet { retry_in: due_in.clamp(REST, POLL), holder })
    }

    async fn drained(&self, table: TableId, kind: WorkKind) -> Result<Claim> {
        let row = sqlx::query(
            "select count(*) filter (where status = 'completed') as completed, \
                    count(*) filter (where status <> 'completed') as failed \
             from migration_status.migration_work_items where table_id = $1 and kind = $2",
        )
        .bind(table.0)
        .bind(kind_word(kind))
        .fetch_one(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?;
        Ok(Claim::Drained {
            completed: count(row.try_get("completed").map_err(ledger)?),
            failed: count(row.try_get("failed").map_err(ledger)?),
        })
    }

    /// Why a settling statement changed nothing: the COMMIT whose answer was lost did land, or the
    /// lease is gone. The statement waited for a transaction in flight on the same row, so this
    /// answer is final.
    async fn settled_otherwise(&self, lease: &Lease) -> Result<Settled> {
        let (kind, item) = item_id(lease.item());
        let committed: Option<bool> = sqlx::query_scalar(
            "select status = 'completed' and lease_token = $4 \
             from migration_status.migration_work_items \
             where table_id = $1 and kind = $2 and item_id = $3",
        )
        .bind(lease.table().0)
        .bind(kind)
        .bind(item)
        .bind(lease.token().0)
        .fetch_optional(&mut *self.database.acquire().await?)
        .await
        .map_err(ledger)?
        .flatten();
        Ok(if committed == Some(true) { Settled::AlreadyCompleted } else { Settled::LeaseLost })
    }
}

type Settling<'q> = Query<'q, Postgres, PgArguments>;

/// A statement whose first four parameters are the key of the work and the token of its lease.
fn of_lease<'q>(sql: &'static str, lease: &Lease) -> Settling<'q> {
    let (kind, item) = item_id(lease.item());
    sqlx::query(sql).bind(lease.table().0).bind(kind).bind(item).bind(lease.token().0)
}

fn lease_of(table: TableId, kind: WorkKind, row: &PgRow) -> Result<Lease> {
    let token: Uuid = row.try_get("lease_token").map_err(ledger)?;
    let retries: i32 = row.try_get("retry_count").map_err(ledger)?;
    let item = match kind {
        WorkKind::Prepare => WorkItem::Prepare,
        WorkKind::Finish => WorkItem::Finish,
        WorkKind::Chunk => WorkItem::Chunk(chunk_of(row)?),
        WorkKind::SetAside => WorkItem::SetAside,
        WorkKind::Publish => WorkItem::Publish,
        WorkKind::Rebuild => WorkItem::Rebuild(item_number(row)?),
        WorkKind::Relink => WorkItem::Relink(item_number(row)?),
    };
    let attempt = u32::try_from(retries).unwrap_or_default().saturating_add(1);
    Ok(Lease::new(table, item, LeaseToken(token), attempt))
}

fn chunk_of(row: &PgRow) -> Result<Chunk> {
    let number = item_number(row)?;
    let extent: Value = row.try_get("extent").map_err(ledger)?;
    let extent: Extent = serde_json::from_value(extent).map_err(|cause| {
        migrate_core::Error::new(
            migrate_core::code::PLAN_UNREADABLE,
            "A stored chunk cannot be read",
        )
        .with("chunk", number)
        .with_hint("use the version that planned it, or start anew with --no-resume")
        .with_source(cause)
    })?;
    let rows = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(ledger);
    Ok(Chunk::new(ChunkId(number), extent)
        .with_rows(rows("expected_rows")?.map(count), rows("estimated_rows")?.map(count)))
}

fn item_number(row: &PgRow) -> Result<u32> {
    let number: i32 = row.try_get("item_id").map_err(ledger)?;
    u32::try_from(number).map_err(|_negative| corrupt("A step's number is negative"))
}

fn kind_word(kind: WorkKind) -> &'static str {
    match kind {
        WorkKind::Prepare => "prepare",
        WorkKind::SetAside => "set_aside",
        WorkKind::Chunk => "chunk",
        WorkKind::Publish => "publish",
        WorkKind::Rebuild => "rebuild",
        WorkKind::Relink => "relink",
        WorkKind::Finish => "finish",
    }
}

/// The key of an item within its table.
pub(super) fn item_id(item: &WorkItem) -> (&'static str, i32) {
    let number = match item {
        WorkItem::Chunk(chunk) => chunk.id.0,
        WorkItem::Rebuild(number) | WorkItem::Relink(number) => *number,
        WorkItem::Prepare | WorkItem::SetAside | WorkItem::Publish | WorkItem::Finish => 0,
    };
    (kind_word(item.kind()), i32::try_from(number).unwrap_or(i32::MAX))
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
