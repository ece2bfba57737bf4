//! Rows that were set aside: what is kept of them, who may load them again, and their settlement in
//! the transaction that loads them.

use migrate_core::{
    CommitDomain, CommitRecord, Dialect, RejectPage, RejectState, RejectedRow, RejectedTable,
    Result, RunId, Scalar, SqlBuilder, SqlStatement, TableId, WriteSummary, value::Decimal,
};
use migrate_postgres::sqlx;
use sqlx::{PgConnection, Row};

use super::plan::read_plan;
use super::{bigint, count, ledger};

/// Rows of one page; a statement of the settlement takes one parameter for each.
const PAGE_ROWS: i64 = 500;

/// Bytes of values in one page, but for its last row.
const PAGE_BYTES: i64 = 8 << 20;

/// Later parts of runs that have read all of a target's rows from the same source again, or emptied
/// the target: what they hold of a row is newer than what was set aside before. Entries of one
/// target that began together stand side by side.
macro_rules! outdated {
    ($what:literal) => {
        concat!(
            "(select ",
            $what,
            " from migration_status.migration_table_status l \
              where (l.target_schema, l.target_table) = (t.target_schema, t.target_table) \
                and l.table_id > t.table_id and l.started_at > t.started_at and l.plan is not null \
                and (jsonb_array_length(coalesce(l.plan -> 'load' -> 'truncate', '[]')) > 0 \
                     or l.plan -> 'load' ->> 'mode' = 'replace' \
                     or (l.plan -> 'window' is null \
                         and (l.source_database, l.source_schema, l.source_table) \
                             is not distinct from (t.source_database, t.source_schema, t.source_table))) \
              order by l.table_id desc limit 1)"
        )
    };
}

/// Keeps rows of a chunk.
pub(super) fn keep(table: TableId, chunk: i32, rows: &[RejectedRow]) -> SqlStatement {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text(
        "insert into migration_status.rejected_rows \
            (run_id, table_id, chunk_id, row_number, row_key, row_values, error_code, reason, \
             sqlstate, column_name, constraint_name) \
         select t.run_id, t.table_id, ",
    );
    sql.value(&Scalar::from(i64::from(chunk)));
    sql.text(
        "::integer, r.* from migration_status.migration_table_status t cross join \
         (select null::bigint, null, null::json, null, null, null, null, null where false",
    );
    for row in rows {
        sql.text(" union all select ").value(&Scalar::Number(Decimal::from(row.number)));
        sql.text("::bigint, ");
        optional(&mut sql, row.key.as_deref());
        sql.text(", ").value(&Scalar::from(row.values.as_str())).text("::json, ");
        facts(&mut sql, row);
    }
    sql.text(") as r where t.table_id = ").value(&Scalar::from(table.0));
    sql.finish()
}

fn facts(sql: &mut SqlBuilder, row: &RejectedRow) {
    sql.value(&Scalar::from(row.code)).text("::text, ");
    sql.value(&Scalar::from(row.reason.as_str())).text("::text");
    for fact in [&row.sqlstate, &row.column, &row.constraint] {
        sql.text(", ");
        optional(sql, fact.as_deref());
    }
}

fn optional(sql: &mut SqlBuilder, text: Option<&str>) {
    match text {
        // A key may spell U+0000, which no text of PostgreSQL can hold.
        Some(text) => {
            sql.value(&Scalar::from(text.replace('\0', "\u{fffd}"))).text("::text");
        }
        None => {
            sql.text("null::text");
        }
    }
}

/// Finds one row while a table has no more rows set aside than it may.
pub(super) fn within(table: TableId, most_rows: u64) -> SqlStatement {
    let mut sql = SqlBuilder::new(Dialect::Postgres);
    sql.text("select from migration_status.migration_table_status where table_id = ");
    sql.value(&Scalar::from(table.0)).text(" and rejected_rows <= ");
    sql.value(&Scalar::from(bigint(most_rows)));
    sql.finish()
}

/// The settlement of a page of rows that are loaded again.
#[derive(Debug)]
pub(super) struct Settlement {
    domain: CommitDomain,
    table: TableId,
    ids: Vec<i64>,
}

impl Settlement {
    pub(super) fn new(domain: CommitDomain, table: TableId, page: &RejectPage) -> Self {
        Self { domain, table, ids: page.ids.clone() }
    }

    fn id_of(&self, row: &RejectedRow) -> i64 {
        let at = row.number.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.ids.get(at).copied()).unwrap_or_default()
    }
}

impl CommitRecord for Settlement {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    /// Settles what was not set aside again. Rows that another process has settled meanwhile make the
    /// number wrong: it held their locks until it was done, and this statement waits for them.
    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        let loaded = (self.ids.len() as u64).saturating_sub(summary.rows_rejected);
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text(
            "with settled as ( \
                 update migration_status.rejected_rows r \
                 set resolved_at = now(), retried_at = now(), retry_count = r.retry_count + 1 \
                 from migration_status.migration_table_status t \
                 where t.table_id = r.table_id and r.table_id = ",
        );
        sql.value(&Scalar::from(self.table.0)).text(" and r.reject_id in (");
        for (position, id) in self.ids.iter().enumerate() {
            sql.text(if position == 0 { "" } else { ", " }).value(&Scalar::from(*id));
        }
        // The rows that are refused again were marked a moment ago, at this transaction's time.
        sql.text(
            ") and r.resolved_at is null and r.retried_at is distinct from now() \
               and not exists ",
        );
        sql.text(outdated!("1"));
        sql.text(" returning r.reject_id) select where (select count(*) from settled) = ");
        sql.value(&Scalar::from(bigint(loaded)));
        sql.finish()
    }

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        let mut sql = SqlBuilder::new(Dialect::Postgres);
        sql.text(
            "update migration_status.rejected_rows r \
             set retried_at = now(), retry_count = r.retry_count + 1, error_code = n.error_code, \
                 reason = n.reason, sqlstate = n.sqlstate, column_name = n.column_name, \
                 constraint_name = n.constraint_name \
             from (select null::bigint, null, null, null, null, null where false",
        );
        for row in rows {
            sql.text(" union all select ").value(&Scalar::from(self.id_of(row)));
            sql.text("::bigint, ");
            facts(&mut sql, row);
        }
        sql.text(
            ") as n (reject_id, error_code, reason, sqlstate, column_name, constraint_name) \
             where r.reject_id = n.reject_id and r.resolved_at is null and r.table_id = ",
        );
        sql.value(&Scalar::from(self.table.0));
        Some(sql.finish())
    }
}

pub(super) async fn rejected_tables(
    connection: &mut PgConnection,
    run: Option<RunId>,
) -> Result<Vec<RejectedTable>> {
    let rows = sqlx::query(concat!(
        "select t.run_id, t.table_id, t.plan, t.status, r.row_count, ",
        outdated!("l.run_id"),
        " as outdated_by \
         from migration_status.migration_table_status t \
         join (select table_id, count(*) as row_count from migration_status.rejected_rows \
               where resolved_at is null group by table_id) r using (table_id) \
         where t.plan is not null and ($1::uuid is null or t.run_id = $1) \
         order by t.table_id"
    ))
    .bind(run.map(|run| run.0))
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    rows.iter()
        .map(|row| {
            let plan = read_plan(row.try_get("plan").map_err(ledger)?)?;
            let run = RunId(row.try_get("run_id").map_err(ledger)?);
            let table = TableId(row.try_get("table_id").map_err(ledger)?);
            let row_count = count(row.try_get("row_count").map_err(ledger)?);
            let status: &str = row.try_get("status").map_err(ledger)?;
            let mut found = RejectedTable::new(run, table, plan, row_count);
            found.state = match row.try_get("outdated_by").map_err(ledger)? {
                Some(later) => RejectState::Outdated(RunId(later)),
                None if status == "completed_with_rejects" => RejectState::Due,
                None => RejectState::Unfinished,
            };
            Ok(found)
        })
        .collect()
}

pub(super) async fn rejected_rows(
    connection: &mut PgConnection,
    table: TableId,
    after: i64,
) -> Result<RejectPage> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select reject_id, row_values from ( \
             select reject_id, row_values::text as row_values, \
                    sum(octet_length(row_values::text)) over (order by reject_id) \
                        - octet_length(row_values::text) as bytes_before \
             from (select reject_id, row_values from migration_status.rejected_rows \
                   where table_id = $1 and resolved_at is null and reject_id > $2 \
                   order by reject_id limit $3) r) p \
         where bytes_before < $4 order by reject_id",
    )
    .bind(table.0)
    .bind(after)
    .bind(PAGE_ROWS)
    .bind(PAGE_BYTES)
    .fetch_all(connection)
    .await
    .map_err(ledger)?;
    Ok(RejectPage::new(rows))
}
