//! Creating the schema, and living with what is there.

use migrate_core::{ErrorKind, RunStore};
use migrate_postgres::sqlx;
use migrate_status::schema_sql;

use crate::support::Ledger;

/// The status tables as another tool of these users made them, with rows.
const FOREIGN: &str = "
create schema migration_status;
create table migration_status.migration_runs (
    run_id uuid primary key default gen_random_uuid(),
    started_at timestamp not null default now(), completed_at timestamp,
    status varchar(20) not null default 'running', config_hash varchar(64),
    total_sources int, total_tables int, completed_tables int, failed_tables int,
    total_rows_copied bigint, error_message text, metadata jsonb, created_by varchar(255),
    check (completed_at is null or completed_at >= started_at));
create table migration_status.migration_table_status (
    run_id uuid references migration_status.migration_runs on delete cascade,
    source_name text, source_database text, source_schema text, source_table text,
    target_database text, target_schema text, target_table text, status varchar(20),
    started_at timestamp, completed_at timestamp, total_chunks int, completed_chunks int,
    failed_chunks int, total_rows_copied bigint, indexes_disabled boolean,
    indexes_restored boolean, error_message text, metadata jsonb,
    primary key (run_id, source_database, source_schema, source_table));
create table migration_status.migration_chunk_status (
    run_id uuid, source_database text, source_schema text, source_table text, chunk_id int,
    chunk_range jsonb, status varchar(20), rows_copied int, started_at timestamp,
    completed_at timestamp, retry_count int, error_message text,
    primary key (run_id, source_database, source_schema, source_table, chunk_id));
create view migration_status.v_active_migrations as
    select run_id, status from migration_status.migration_runs where status = 'running';
create view migration_status.v_table_progress as
    select run_id, source_table, status from migration_status.migration_table_status;
insert into migration_status.migration_runs (status, config_hash) values ('completed', 'abc');
";

async fn number(ledger: &Ledger, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(ledger.pool()).await.expect(sql)
}

#[tokio::test]
async fn installing_twice_changes_nothing() {
    let ledger = Ledger::installed().await;
    ledger.store.install().await.expect("again");
    let versions = "select count(*) from migration_status.schema_migrations";
    assert_eq!(number(&ledger, versions).await, 4);
    let in_public = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname = 'public'";
    assert_eq!(number(&ledger, in_public).await, 0, "nothing of ours belongs there");
}

/// Whoever looks at the views meanwhile may hold what the next migration changes.
#[tokio::test]
async fn a_deadlock_does_not_keep_the_schema_from_being_made() {
    let ledger = Ledger::empty().await;
    // A sequence counts on when its transaction is undone.
    for sql in [
        "create sequence public.commands",
        "create function public.deadlock() returns event_trigger language plpgsql as $$ begin \
             if nextval('public.commands') in (3, 8) then \
                 raise exception 'a deadlock' using errcode = '40P01'; end if; end $$",
        "create event trigger deadlock on ddl_command_end execute function public.deadlock()",
    ] {
        ledger.execute(sql).await;
    }
    ledger.store.install().await.expect("tried again");
    let tried = number(&ledger, "select last_value from public.commands").await;
    assert!(tried > 8, "{tried}");
    ledger.store.install().await.expect("finds nothing to do");
}

#[tokio::test]
async fn eight_processes_may_install_at_once() {
    let ledger = Ledger::empty().await;
    let installs = (0..8).map(|_| ledger.store.install());
    for result in futures::future::join_all(installs).await {
        result.expect("one installs, the others find it done");
    }
}

#[tokio::test]
async fn tables_of_another_tool_are_kept_aside() {
    let ledger = Ledger::empty().await;
    sqlx::raw_sql(FOREIGN).execute(ledger.pool()).await.expect("foreign tables");
    ledger.store.install().await.expect("installs beside them");
    let kept =
        "select count(*) from migration_status_legacy.migration_runs where config_hash = 'abc'";
    assert_eq!(number(&ledger, kept).await, 1);
    let views = "select count(*) from migration_status_legacy.v_table_progress";
    assert_eq!(number(&ledger, views).await, 0, "their views still work");
    assert_eq!(number(&ledger, "select count(*) from migration_status.migration_runs").await, 0);
    ledger.store.install().await.expect("and again");
}

#[tokio::test]
async fn a_newer_ledger_is_refused() {
    let ledger = Ledger::installed().await;
    sqlx::query(
        "insert into migration_status.schema_migrations \
         (version, description, success, checksum, execution_time) values (99, 'x', true, '', 0)",
    )
    .execute(ledger.pool())
    .await
    .expect("pretends");
    let error = ledger.store.install().await.expect_err("newer");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn an_administrator_may_install_by_script() {
    let ledger = Ledger::empty().await;
    let script: &'static str = Box::leak(schema_sql().into_boxed_str());
    sqlx::raw_sql(script).execute(ledger.pool()).await.expect("script");
    ledger.store.install().await.expect("finds nothing to do");
    assert_eq!(number(&ledger, "select count(*) from migration_status.schema_migrations").await, 4);
}

/// The published script as it was before rows could be set aside.
fn first_version() -> String {
    let script = schema_sql();
    let second = script.find("-- Rows that the target refused").expect("the second migration");
    format!("{}commit;", &script[..second])
}

#[tokio::test]
async fn a_ledger_of_the_first_version_is_upgraded_with_its_rows() {
    let ledger = Ledger::empty().await;
    let old: &'static str = Box::leak(first_version().into_boxed_str());
    sqlx::raw_sql(old).execute(ledger.pool()).await.expect("the first version");
    sqlx::raw_sql(
        "insert into migration_status.migration_runs (run_id, created_by, status) \
             values (gen_random_uuid(), 'before', 'completed'); \
         insert into migration_status.migration_table_status \
             (run_id, source_name, source_table, target_schema, target_table, fingerprint, status) \
             select run_id, 's', 'T', 'public', 't', 'f', 'completed' \
             from migration_status.migration_runs; \
         insert into migration_status.migration_work_items (table_id, kind, item_id, status, rows_read) \
             select table_id, 'chunk', 0, 'completed', 7 \
             from migration_status.migration_table_status",
    )
    .execute(ledger.pool())
    .await
    .expect("rows of then");
    ledger.store.install().await.expect("upgrades");
    assert_eq!(
        number(&ledger, "select max(version) from migration_status.schema_migrations").await,
        4
    );
    let kept = "select sum(rows_read)::bigint from migration_status.migration_chunk_status \
                where rows_rejected = 0";
    assert_eq!(number(&ledger, kept).await, 7);
    let view = "select count(*) from migration_status.v_table_progress \
                where rejected_rows = 0 and unresolved_rows = 0";
    assert_eq!(number(&ledger, view).await, 1);
    ledger.store.install().await.expect("finds nothing to do");
}

#[test]
fn the_published_script_is_the_embedded_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sql/migration_status_schema.sql");
    #[expect(clippy::disallowed_methods, reason = "a switch for whoever changes the schema")]
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    if update {
        std::fs::write(path, schema_sql()).expect("writes the script");
    }
    let published = std::fs::read_to_string(path).expect("reads the script");
    assert!(published == schema_sql(), "out of date: run this test with UPDATE_GOLDEN=1");
}
