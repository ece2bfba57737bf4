//! Replacing a table at once: what is published is what was loaded, or nothing.

use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, StringArray};
use migrate_core::{
    ColumnType, ErrorKind, LoadPlan, PlanFacts, Result, RunContext, Sink as _, TableRef, WriteMode,
    code,
};
use migrate_postgres::{Database, PostgresSettings};
use migrate_sinks::PgSink;

use crate::support::{Given, Target, batch, batches, chunk, plan};

/// Key, another row or key, text.
type Row = (i64, Option<i64>, Option<&'static str>);

fn given(rows: &[Row]) -> Vec<Given> {
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let others: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.2).collect::<StringArray>());
    vec![
        Given("k", ColumnType::Int64, keys),
        Given("o", ColumnType::Int64, others),
        Given("v", ColumnType::Text { max_chars: None }, texts),
    ]
}

async fn settled(target: &Target) -> Result<LoadPlan> {
    let mut plan = plan(&given(&[]));
    plan.mode = WriteMode::Replace { keys: Vec::new() };
    let settled = target.table("t").await.settle_plan(plan, PlanFacts::default()).await?;
    Ok(settled.plan)
}

async fn load(target: &Target, rows: &[Row]) -> Result<LoadPlan> {
    let plan = settled(target).await?;
    let table = target.table("t").await;
    table.prepare(&plan, None, &RunContext::new()).await?;
    let rows = batches(vec![Ok(batch(given(rows)))]);
    table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await?;
    Ok(plan)
}

async fn replace(target: &Target, rows: &[Row]) -> Result<()> {
    let plan = load(target, rows).await?;
    target.table("t").await.publish(&plan, None, &RunContext::new()).await
}

async fn rows_of(target: &Target) -> String {
    let sql =
        "select string_agg(concat_ws(':', k, coalesce(o::text, '-'), v), ' ' order by k) from t";
    target.text(sql).await.unwrap_or_default()
}

#[tokio::test]
async fn a_trigger_that_drops_rows_publishes_nothing() {
    // What a trigger may keep back: a new row, a row that has to go, a changed one.
    for (event, is_referenced) in
        [("insert", false), ("delete", false), ("delete", true), ("update", true), ("insert", true)]
    {
        let target = Target::with(
            "create table t (k bigint primary key, o bigint, v text); \
             insert into t values (1, 1, 'old'), (2, 2, 'old'), (3, 3, 'old'); \
             create function drop_row() returns trigger language plpgsql as \
                'begin if coalesce(old.k, new.k) in (2, 4) then return null; end if; \
                       return coalesce(new, old); end'; \
             create table uses (k bigint)",
        )
        .await;
        if is_referenced {
            target.execute("alter table uses add foreign key (k) references t").await;
        }
        let trigger = format!(
            "create trigger keep before {event} on t for each row execute function drop_row()"
        );
        target.execute(&trigger).await;
        let new = match event {
            "delete" => [(1, Some(1), Some("new")), (3, Some(3), Some("new"))].as_slice(),
            "update" => &[(1, Some(1), Some("new")), (2, Some(2), Some("new"))],
            _ => &[(1, Some(1), Some("new")), (4, Some(4), Some("new"))],
        };
        let error = replace(&target, new).await.expect_err(event);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{event}: {}", error.report());
        assert!(error.hint().is_some_and(|hint| hint.contains("trigger")), "{}", error.report());
        assert_eq!(rows_of(&target).await, "1:1:old 2:2:old 3:3:old", "{event} {is_referenced}");
        target.execute("alter table t disable trigger keep").await;
        replace(&target, new).await.expect("nothing is kept back");
    }
}

#[tokio::test]
async fn a_changed_row_whose_deletion_is_kept_back_is_noticed_although_the_number_is_right() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint, v text); \
         insert into t values (1, 1, 'old'), (2, 2, 'old'); \
         create function keep() returns trigger language plpgsql as 'begin return null; end'; \
         create trigger keep before delete on t for each row when (old.k = 2) \
            execute function keep()",
    )
    .await;
    let rows = [(1, Some(1), Some("new")), (2, Some(2), Some("new"))];
    let error = replace(&target, &rows).await.expect_err("one row stays old");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(rows_of(&target).await, "1:1:old 2:2:old");
}

#[tokio::test]
async fn foreign_keys_that_follow_an_update_are_refused_and_named() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint unique, v text); \
         create table uses (o bigint constraint follows references t (o) on update cascade)",
    )
    .await;
    let error = settled(&target).await.expect_err("follows");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("follows of uses"), "{error}");
    // The key by which rows are replaced never changes.
    target.execute("alter table uses drop constraint follows").await;
    target.execute("alter table uses add foreign key (o) references t (k) on update cascade").await;
    settled(&target).await.expect("nothing follows");
}

#[tokio::test]
async fn a_role_that_sees_only_some_rows_replaces_none() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint, v text); \
         insert into t values (1, null, 'seen'), (2, null, 'hidden'); \
         create policy part on t using (v <> 'hidden'); \
         alter table t enable row level security; \
         do $$ begin create role clerk login password 'clerk'; \
               exception when duplicate_object or unique_violation then null; end $$; \
         grant all on t to clerk",
    )
    .await;
    let mut settings = PostgresSettings::from_url(target.server.url()).expect("url");
    settings.user = "clerk".into();
    settings.password = Some("clerk".to_owned().into());
    let database = Database::connect(&settings, 1).await.expect("connects");
    let sink = PgSink::new(database);
    let table = sink.open(&TableRef::in_schema("public", "t")).await.expect("opens");
    let mut plan = plan(&given(&[]));
    plan.mode = WriteMode::Replace { keys: Vec::new() };
    let error = table.settle_plan(plan, PlanFacts::default()).await.expect_err("hidden rows");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().is_some_and(|hint| hint.contains("owner")), "{}", error.report());
    settled(&target).await.expect("the owner sees all rows");
}

#[tokio::test]
async fn rows_of_one_table_may_stop_following_each_other() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint references t, v text); \
         insert into t values (1, null, 'a'), (2, 1, 'b')",
    )
    .await;
    replace(&target, &[(2, None, Some("b"))]).await.expect("a legal change");
    assert_eq!(rows_of(&target).await, "2:-:b");
}

#[tokio::test]
async fn a_referenced_table_whose_key_may_be_null_is_replaced() {
    let target = Target::with(
        "create table t (k bigint unique, o bigint unique, v text); \
         create table uses (k bigint references t (k)); \
         insert into t values (1, 10, 'a'), (null, 20, 'b'); insert into uses values (1)",
    )
    .await;
    replace(&target, &[(1, Some(20), Some("c")), (3, Some(10), None)]).await.expect("replaces");
    assert_eq!(rows_of(&target).await, "1:20:c 3:10");
    replace(&target, &[(3, Some(1), None)]).await.expect_err("1 is still referenced");
    assert_eq!(rows_of(&target).await, "1:20:c 3:10");
}

#[tokio::test]
async fn a_row_that_breaks_a_condition_is_named_while_it_is_loaded() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint not null check (o < 100), v text)",
    )
    .await;
    let null = [(1, Some(1), None), (2, None, None)];
    let error = load(&target, &null).await.expect_err("NULL");
    assert_eq!(error.code(), code::VALUE_REFUSED);
    assert_eq!(error.context("key"), Some("\"k\"=2"), "{}", error.report());
    assert_eq!(error.context("column"), Some("o"), "{}", error.report());
    let error = load(&target, &[(1, Some(1), None), (3, Some(100), None)]).await;
    let error = error.expect_err("the check");
    assert_eq!(error.context("key"), Some("\"k\"=3"), "{}", error.report());
    // A trigger may give the row what it lacks.
    target
        .execute(
            "create function fill() returns trigger language plpgsql as \
             'begin new.o = coalesce(new.o, 0); return new; end'",
        )
        .await;
    target
        .execute("create trigger fill before insert on t for each row execute function fill()")
        .await;
    replace(&target, &null).await.expect("filled");
    assert_eq!(rows_of(&target).await, "1:1 2:0");
}

#[tokio::test]
async fn a_key_that_the_source_has_twice_is_named_when_it_is_published() {
    for (tables, rows, key) in [
        (
            "create table t (k bigint primary key, o bigint, v text)",
            [(7, Some(1), None), (7, Some(2), None)],
            "\"k\"=7",
        ),
        (
            "create table t (k bigint primary key, o bigint unique, v text)",
            [(1, Some(9), None), (2, Some(9), None)],
            "\"o\"=9",
        ),
        (
            "create table t (k bigint primary key, o bigint, v text); \
             create table uses (k bigint references t)",
            [(7, Some(1), None), (7, Some(2), None)],
            "\"k\"=7",
        ),
    ] {
        let target = Target::with(tables).await;
        let error = replace(&target, &rows).await.expect_err("twice");
        assert_eq!(error.context("key"), Some(key), "{}", error.report());
        assert!(error.hint().is_some_and(|hint| hint.contains("twice")), "{}", error.report());
        assert_eq!(target.count("t").await, 0);
    }
}

#[tokio::test]
async fn a_row_that_a_trigger_refuses_or_drops_when_it_is_shown_is_named() {
    for is_referenced in [false, true] {
        let target = Target::with(
            "create table t (k bigint primary key, o bigint not null check (o < 100), v text); \
             insert into t select k, k, 'old' from generate_series(1, 20) k; \
             create function spoil() returns trigger language plpgsql as $$ begin \
                if new.v = 'raise' then raise exception 'no'; end if; \
                if new.v = 'null' then new.o := null; end if; \
                if new.v = 'check' then new.o := 100; end if; \
                if new.v = 'long' then new.o := (new.o::text || '000000000000000000')::bigint; end if; \
                if new.v = 'orphan' then new.o := 99; end if; \
                if new.v = 'drop' then return null; end if; \
                new.v := new.v || '!'; return new; end $$; \
             create trigger spoil before insert or update on t for each row execute function spoil(); \
             create table uses (k bigint); create table parent (id bigint primary key); \
             insert into parent select generate_series(1, 39); \
             alter table t add foreign key (o) references parent",
        )
        .await;
        if is_referenced {
            target.execute("alter table uses add foreign key (k) references t").await;
        }
        for bad in ["raise", "null", "check", "long", "orphan", "drop"] {
            let rows: Vec<Row> =
                (1..40).map(|k| (k, Some(k), Some(if k == 33 { bad } else { "new" }))).collect();
            let error = replace(&target, &rows).await.expect_err(bad);
            let said = format!("{bad} {is_referenced}: {}", error.report());
            assert_eq!(error.context("key"), Some("\"k\"=33"), "{said}");
            assert_eq!(target.count("t where v = 'old'").await, 20, "{said}");
        }
    }
}

#[tokio::test]
async fn an_identity_that_nobody_may_update_is_inserted_or_refused_in_the_plan() {
    let target = Target::with(
        "create table t (k bigint primary key, o bigint generated always as identity unique, v text); \
         create table uses (o bigint)",
    )
    .await;
    replace(&target, &[(1, Some(7), Some("a")), (2, Some(8), Some("b"))]).await.expect("inserts");
    replace(&target, &[(1, Some(9), Some("a")), (3, Some(8), Some("c"))]).await.expect("anew");
    assert_eq!(rows_of(&target).await, "1:9:a 3:8:c");
    target.execute("alter table uses add foreign key (o) references t (o)").await;
    let error = settled(&target).await.expect_err("would have to be updated");
    let remedy = r#"alter table "public"."t" alter column "o" set generated by default"#;
    assert!(error.hint().is_some_and(|hint| hint.starts_with(remedy)), "{}", error.report());
    target.execute(remedy).await;
    replace(&target, &[(1, Some(10), Some("a"))]).await.expect("updates");
    assert_eq!(rows_of(&target).await, "1:10:a");
}
