//! Names are names, whatever they are made of: no text of a table or column becomes SQL.

use std::sync::Arc;

use migrate_core::arrow::array::{Int64Array, StringArray};
use migrate_core::{
    ColumnName, ColumnType, Dialect, PlanFacts, RunContext, Sink, TableRef, WriteMode,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::support::{Given, Target, batch, batches, chunk, plan};

/// Texts that somebody would try, beside those that nobody would think of.
fn name() -> impl Strategy<Value = String> {
    let tried = prop_oneof![
        Just("\"; drop table bystander; --".to_owned()),
        Just("a\") or (\"b".to_owned()),
        Just("\\".to_owned()),
        Just("$1".to_owned()),
        Just("%I %s".to_owned()),
        Just("'".to_owned()),
        Just("*/ /* --\n".to_owned()),
        Just(" ".to_owned()),
    ];
    let any = "[^\0]{1,12}".prop_filter("the server cuts longer ones", |name| name.len() <= 63);
    prop_oneof![1 => tried, 3 => any]
}

#[test]
fn rows_are_merged_into_a_table_of_any_name() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let target = runtime.block_on(Target::with("create table bystander (id bigint)"));
    let mut runner =
        TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let names = (name(), name(), name()).prop_filter("two columns", |(_, key, text)| key != text);
    runner
        .run(&names, |(table, key, text)| {
            runtime.block_on(merged(&target, &table, &key, &text));
            Ok(())
        })
        .expect("every name is a name");
}

async fn merged(target: &Target, table: &str, key: &str, text: &str) {
    let quote = |name: &str| Dialect::Postgres.quote(name);
    let [t, k, v] = [table, key, text].map(quote);
    target.execute(&format!("create table {t} ({k} bigint primary key, {v} text)")).await;
    let sink = target.sink.open(&TableRef::in_schema("public", table)).await.expect("opens");
    for values in [["a", "b"], ["a", "c"]] {
        let columns = [key, text].map(|name| -> &'static str { name.to_owned().leak() });
        let given = vec![
            Given(columns[0], ColumnType::Int64, Arc::new(Int64Array::from(vec![1, 2]))),
            Given(
                columns[1],
                ColumnType::Text { max_chars: None },
                Arc::new(StringArray::from(values.to_vec())),
            ),
        ];
        let mut load = plan(&given);
        load.mode = WriteMode::Upsert { keys: vec![ColumnName::from(key)], version: None };
        let settled = sink.settle_plan(load, PlanFacts::default()).await.expect("plans");
        let rows = batches(vec![Ok(batch(given))]);
        let cx = RunContext::new();
        sink.write_chunk(&settled.plan, &chunk(), rows, None, &cx).await.expect("merges");
    }
    let found = target.text(&format!("select string_agg({v}, ' ' order by {k}) from {t}")).await;
    assert_eq!(found.as_deref(), Some("a c"), "{table:?} {key:?} {text:?}");
    let names = format!(
        "select (count(*) = 2 and bool_or(relname = {}))::text from pg_class \
         where relnamespace = 'public'::regnamespace and relkind = 'r'",
        Dialect::Postgres.literal(table)
    );
    assert_eq!(target.text(&names).await.as_deref(), Some("true"), "{table:?}");
    target.execute(&format!("drop table {t}")).await;
}
