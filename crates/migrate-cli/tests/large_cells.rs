//! Cells of 16 MB in tables of 250 columns, under the smallest memory budget: through both sources and
//! in every write mode each value arrives as it was.

use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value as Json, json};
use snowflake_double::{ColumnNames, Double};

use crate::support::World;

const ROWS: i64 = 40;
const TEXTS: usize = 248;
const LARGE_BYTES: usize = 16_000_000;

/// Rows with a large cell. Two lie together.
fn is_large(id: i64) -> bool {
    matches!(id, 7 | 8 | 30)
}

fn body(id: i64) -> String {
    format!("{id:08}").repeat(if is_large(id) { LARGE_BYTES / 8 } else { 1 })
}

fn rows() -> RecordBatch {
    let ids = || 0..ROWS;
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("id".into(), Arc::new(Int64Array::from_iter_values(ids()))),
        ("body".into(), Arc::new(StringArray::from_iter_values(ids().map(body)))),
    ];
    for at in 0..TEXTS {
        let texts = StringArray::from_iter_values(ids().map(|id| format!("{id} of {at}")));
        columns.push((format!("t{at}"), Arc::new(texts)));
    }
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn write(path: &std::path::Path) {
    let rows = rows();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(20)).build();
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("a writer");
    writer.write(&rows).expect("rows");
    writer.close().expect("a footer");
}

/// Each target with what makes it another write mode.
fn modes() -> [(&'static str, Json); 6] {
    let keys = json!(["id"]);
    [
        ("copied", json!({})),
        ("upserted", json!({"uniqueness_columns": keys})),
        ("inserted", json!({"uniqueness_columns": keys, "insert_only_mode": true})),
        ("replaced", json!({"replace": "atomic"})),
        ("copied_apart", json!({"on_bad_row": "quarantine"})),
        ("upserted_apart", json!({"uniqueness_columns": keys, "on_bad_row": "quarantine"})),
    ]
}

/// Loads a table in every mode and compares each value.
async fn load(change: impl FnOnce(&World, &mut Json)) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wide.parquet");
    write(&file);
    let double = Double::builder().parquet("DB.PUBLIC.\"wide\"", &file, ColumnNames::Exact);
    let world = World::new(double, "").await;
    world.double.knobs().set_inline_rows(1);
    world.double.knobs().set_chunk_rows(2).expect("not zero");
    let texts = (0..TEXTS).map(|at| format!(", t{at} text")).collect::<Vec<_>>().concat();
    let mut tables = Vec::new();
    for (target, mut table) in modes() {
        world
            .execute(&format!("create table {target} (id bigint primary key, body text{texts})"))
            .await;
        table["source"] = json!("\"wide\"");
        table["target"] = json!(target);
        tables.push(table);
    }
    let mut config = world.config(&json!(tables));
    config["memory_budget"] = json!("32MiB");
    std::fs::copy(&file, world.path("wide.parquet")).expect("a copy");
    change(&world, &mut config);
    world.write_config(&config);
    let ended = world.run(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("memory_budget is 32 MiB"), "{}", ended.stderr);
    let others = (0..TEXTS).map(|at| format!(" and t{at} = id || ' of {at}'"));
    let others = others.collect::<Vec<_>>().concat();
    let body = format!(
        "body = repeat(lpad(id::text, 8, '0'), case when id in (7, 8, 30) then {} else 1 end)",
        LARGE_BYTES / 8
    );
    for (target, _) in modes() {
        let right = world.count(&format!("{target} where {body}{others}")).await;
        assert_eq!(right, ROWS.unsigned_abs(), "{target}");
    }
}

#[tokio::test]
async fn large_cells_arrive_from_snowflake_in_every_mode() {
    load(|_, _| {}).await;
}

#[tokio::test]
async fn large_cells_arrive_from_files_in_every_mode() {
    load(|world, config| {
        let source = &mut config["sources"][0];
        source["type"] = json!("parquet");
        source["path"] = json!(world.folder.path());
        for table in source["tables"].as_array_mut().expect("tables") {
            table["source"] = json!("wide");
        }
        let source = source.as_object_mut().expect("a source");
        source.retain(|key, _| !key.starts_with("source_sf"));
        config.as_object_mut().expect("a config").remove("snowflake");
    })
    .await;
}
