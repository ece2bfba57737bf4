//! Completion of leased work as one statement, for a sink to commit with its data.

use migrate_core::{
    CommitDomain, CommitRecord, Dialect, Fence, LEASE_LOST_SQLSTATE, Lease, RejectedRow, Scalar,
    SqlBuilder, SqlStatement, TableId, WriteSummary, value::Decimal,
};

use super::queue::item_id;
use super::reject::{keep, within};

/// Completes one lease. It changes exactly one row while the token still owns the work, none
/// otherwise; the table's counters advance in the same statement.
#[derive(Debug)]
pub(super) struct Completion {
    domain: CommitDomain,
    table: i64,
    kind: &'static str,
    item: i32,
    token: uuid::Uuid,
}

impl Completion {
    pub(super) fn new(domain: CommitDomain, lease: &Lease) -> Self {
        let (kind, item) = item_id(lease.item());
        Self { domain, table: lease.table().0, kind, item, token: lease.token().0 }
    }
}

/// Whether a lock `l` of a session `a` of ours may be the mark of a lease: a lock that nobody waits for,
/// by which the next holder finds the session. Its number is the hash of `migrate`, table, kind and item.
pub(super) const HOLDS_MARK: &str = "l.locktype = 'advisory' and l.granted and l.objsubid = 1 \
     and a.usename = current_user and a.datname = current_database()";

/// The number of the lock `l`.
pub(super) const LOCKED_MARK: &str = "((l.classid::bigint << 32) | l.objid::bigint)";

/// The row of a lease, while it is owned.
fn owned(sql: &mut SqlBuilder, (table, kind, item): (i64, &str, i32), token: uuid::Uuid) {
    sql.text(" where table_id = ").value(&Scalar::from(table)).text(" and kind = ");
    sql.value(&Scalar::from(kind)).text(" and item_id = ").value(&Scalar::from(i64::from(item)));
    sql.text(" and lease_token = ").value(&Scalar::from(token));
    sql.text(" and status = 'in_progress'");
}

impl CommitRecord for Completion {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        let number = |value: u64| Scalar::Number(Decimal::from(value));
        let is_chunk = i64::from(self.kind == "chunk");
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text(
            "with settled as (\
                 update migration_status.migration_work_items \
                 set status = 'completed', completed_at = clock_timestamp(), lease_until = null, \
                     error_code = null, error_message = null, rows_read = ",
        );
        sql.value(&number(summary.rows_read)).text(", rows_inserted = ");
        sql.value(&number(summary.rows_inserted)).text(", rows_updated = ");
        sql.value(&number(summary.rows_updated)).text(", rows_skipped = ");
        sql.value(&number(summary.rows_skipped)).text(", rows_rejected = ");
        sql.value(&number(summary.rows_rejected)).text(", bytes_sent = ");
        sql.value(&number(summary.bytes));
        owned(&mut sql, (self.table, self.kind, self.item), self.token);
        sql.text(
            " \
                 returning table_id, rows_inserted + rows_updated + rows_skipped as rows_copied, \
                           rows_rejected) \
             update migration_status.migration_table_status t \
             set completed_chunks = t.completed_chunks + ",
        );
        sql.value(&Scalar::from(is_chunk));
        sql.text(
            "::integer, total_rows_copied = t.total_rows_copied + s.rows_copied, \
                 rejected_rows = t.rejected_rows + s.rows_rejected \
             from settled s where t.table_id = s.table_id",
        );
        sql.finish()
    }

    fn enter(&self) -> Option<SqlStatement> {
        let mark = format!("migrate {} {} {}", self.table, self.kind, self.item);
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text(
            "select pg_advisory_xact_lock_shared(m.mark), \
                 (select count(pg_terminate_backend(l.pid)) \
                  from pg_locks l join pg_stat_activity a using (pid) \
                  where ",
        );
        sql.text(HOLDS_MARK).text(" and ").text(LOCKED_MARK);
        sql.text(
            " = m.mark and l.pid <> pg_backend_pid()) \
             from migration_status.migration_work_items, \
                  (select hashtextextended(",
        );
        sql.value(&Scalar::from(mark.as_str())).text(", 0) as mark) m");
        owned(&mut sql, (self.table, self.kind, self.item), self.token);
        Some(sql.finish())
    }

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        Some(keep(TableId(self.table), self.item, rows))
    }

    fn within(&self, most_rows: u64) -> Option<SqlStatement> {
        Some(within(TableId(self.table), most_rows))
    }
}

/// Holds a step to its lease within one message of several statements. These take no parameters; what
/// is written into them are numbers and words of this program.
#[derive(Debug)]
pub(super) struct Ownership {
    domain: CommitDomain,
    item: String,
    token: uuid::Uuid,
}

impl Ownership {
    pub(super) fn new(domain: CommitDomain, lease: &Lease) -> Self {
        let (kind, item) = item_id(lease.item());
        let table = lease.table().0;
        let item = format!("table_id = {table} and kind = '{kind}' and item_id = {item}");
        Self { domain, item, token: lease.token().0 }
    }

    fn unless_found(&self, condition: &str, locking: &str) -> SqlStatement {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text(&format!(
            "do $lease$ begin \
             perform from migration_status.migration_work_items where {} and {condition}{locking}; \
             if not found then \
                 raise exception 'another worker owns this work now' using errcode = '{LEASE_LOST_SQLSTATE}'; \
             end if; end $lease$",
            self.item
        ));
        sql.finish()
    }
}

impl Fence for Ownership {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    fn before(&self) -> SqlStatement {
        let owned = format!("status = 'in_progress' and lease_token = '{}'", self.token);
        self.unless_found(&owned, "")
    }

    fn after(&self) -> SqlStatement {
        self.unless_found("status not in ('completed', 'superseded', 'handed_over')", " for share")
    }
}
