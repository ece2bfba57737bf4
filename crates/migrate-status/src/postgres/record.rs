//! Completion of leased work as one statement, for a sink to commit with its data.

use migrate_core::{
    CommitDomain, CommitRecord, Dialect, Lease, RejectedRow, Scalar, SqlBuilder, SqlStatement,
    TableId, WriteSummary, value::Decimal,
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
        sql.value(&number(summary.bytes)).text(" where table_id = ");
        sql.value(&Scalar::from(self.table)).text(" and kind = ");
        sql.value(&Scalar::from(self.kind)).text(" and item_id = ");
        sql.value(&Scalar::from(i64::from(self.item))).text(" and lease_token = ");
        sql.value(&Scalar::from(self.token));
        sql.text(
            " and status = 'in_progress' \
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

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        Some(keep(TableId(self.table), self.item, rows))
    }

    fn within(&self, most_rows: u64) -> Option<SqlStatement> {
        Some(within(TableId(self.table), most_rows))
    }
}
