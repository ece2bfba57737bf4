//! The sink of PostgreSQL keeps every rule of a sink.

use std::sync::Arc;
use std::time::Duration;

use migrate_core::testkit::Testkit;
use migrate_core::testkit::sink::{LeaseState, Row, SinkFixture};
use migrate_core::{
    CommitDomain, CommitRecord, RejectedRow, Result, Scalar, Sink, SqlStatement, TableRef,
    WriteSummary, async_trait,
};
use migrate_postgres::sqlx;

use crate::support::Target;

const TABLES: &str = "\
    create table t (id bigint primary key, name text constraint allowed check (name <> 'refused')); \
    create index t_again on t (id desc); \
    create table ledger (number bigint primary key, rows bigint); \
    insert into ledger values (1); \
    create table kept (number bigint)";

#[derive(Debug)]
struct LedgerRecord {
    domain: CommitDomain,
    number: i64,
}

fn whole(value: u64) -> Scalar {
    Scalar::from(i64::try_from(value).expect("small"))
}

impl CommitRecord for LedgerRecord {
    fn domain(&self) -> &CommitDomain {
        &self.domain
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        SqlStatement {
            sql: "update ledger set rows = $1 where number = $2".into(),
            params: vec![whole(summary.rows_inserted), self.number.into()],
        }
    }

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        let values: Vec<_> = (1..=rows.len()).map(|at| format!("(${at}::bigint)")).collect();
        Some(SqlStatement {
            sql: format!("insert into kept values {}", values.join(", ")),
            params: rows.iter().map(|row| whole(row.number)).collect(),
        })
    }

    fn within(&self, most_rows: u64) -> Option<SqlStatement> {
        Some(SqlStatement {
            sql: "select from (select count(*) as found from kept) k where found <= $1".into(),
            params: vec![whole(most_rows)],
        })
    }
}

struct PgTarget(Target);

impl std::fmt::Debug for PgTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgTarget")
    }
}

#[async_trait]
impl SinkFixture for PgTarget {
    fn sink(&self) -> Arc<dyn Sink> {
        Arc::new(self.0.sink.clone())
    }

    fn table(&self) -> TableRef {
        TableRef::in_schema("public", "t")
    }

    async fn rows(&self) -> Result<Vec<Row>> {
        let rows = sqlx::query_as("select id, name from t").fetch_all(self.0.pool()).await;
        Ok(rows.expect("rows"))
    }

    async fn record(&self, lease: LeaseState) -> Result<Option<Arc<dyn CommitRecord>>> {
        let domain = self.0.database.domain().clone();
        let number = if lease == LeaseState::Held { 1 } else { 2 };
        Ok(Some(Arc::new(LedgerRecord { domain, number })))
    }

    async fn is_recorded(&self) -> Result<bool> {
        Ok(self.0.count("ledger where rows is not null").await == 1)
    }

    fn refused_name(&self) -> Option<&'static str> {
        Some("refused")
    }
}

#[tokio::test]
async fn the_sink_of_postgres_keeps_every_rule() {
    let kit = Testkit::new().with_patience(|| tokio::time::sleep(Duration::from_mins(2)));
    let report = kit.sink(|| async { Ok(PgTarget(Target::with(TABLES).await)) }).await;
    report.expect_kept();
    let skipped = [
        "a_chunk_written_again_replaces_what_it_wrote",
        "a_record_is_refused_where_none_is_declared",
    ];
    assert_eq!(report.skipped(), skipped);
}
