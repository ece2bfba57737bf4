//! The engine inside another program: components by hand, progress to an observer of one's own.
//!
//! `cargo run -p migrate-examples --example embed_engine`
#![expect(clippy::print_stdout, reason = "an example speaks to the person who runs it")]

use std::num::NonZeroU32;
use std::sync::Arc;

use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use migrate_core::memory::{MemorySink, MemorySource, MemoryStore};
use migrate_core::{
    Column, ColumnType, Event, Observer, Outcome, Result, RunContext, TableRef, TableSchema,
};
use migrate_engine::{Migration, TableJob};

/// Gets every event of the run; a service would feed its metrics here.
#[derive(Debug)]
struct Printer;

impl Observer for Printer {
    fn on_event(&self, event: &Event) {
        println!("{event:?}");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let names: ArrayRef = Arc::new(StringArray::from(vec![Some("Ada"), None, Some("Grace")]));
    let people = RecordBatch::try_from_iter([("id", ids), ("name", names)]).expect("equal lengths");
    let (from, to) = (TableRef::bare("people"), TableRef::in_schema("public", "people"));

    let source = Arc::new(MemorySource::new().with_table(from.clone(), people));
    let sink = Arc::new(MemorySink::new().with_table(TableSchema::new(
        to.clone(),
        vec![
            Column::new("id", ColumnType::Int64, "bigint"),
            Column::new("name", ColumnType::Text { max_chars: None }, "text"),
        ],
    )));

    let migration = Migration::builder()
        .source(source)
        .sink(Arc::clone(&sink) as Arc<dyn migrate_core::Sink>)
        .status(Arc::new(MemoryStore::new()))
        .workers(NonZeroU32::new(2).expect("not zero"))
        .table(TableJob::copy(from, to.clone()))
        .build()?;
    let report = migration.run(&RunContext::new().with_observer(Arc::new(Printer))).await?;

    assert_eq!((report.outcome, report.row_count()), (Outcome::Completed, 3));
    println!("{} rows arrived", sink.rows(&to)?.map_or(0, |rows| rows.num_rows()));
    Ok(())
}
