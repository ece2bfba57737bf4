//! What a source says of itself and of its table.

use super::{SourceFixture, batches, columns, everything, open};
use crate::code;
use crate::column_type::ColumnType;
use crate::error::ErrorKind;
use crate::name::TableRef;
use crate::source::ScanRequest;
use crate::testkit::{Kept, ensure, refused, same};

pub(super) async fn it_answers_and_has_a_name(fixture: &dyn SourceFixture) -> Kept {
    let source = fixture.source();
    ensure(!source.name().is_empty(), "it has no name")?;
    source.check().await?;
    source.close().await;
    Ok(())
}

pub(super) async fn a_missing_table_is_refused_by_name(fixture: &dyn SourceFixture) -> Kept {
    let missing = TableRef { name: "no such table".into(), ..fixture.table() };
    let error = refused("a missing table", fixture.source().open(&missing, None).await)?;
    same("the error", &error.kind(), &ErrorKind::NotFound)?;
    ensure(error.to_string().contains("no such table"), "the error does not name it")?;
    ensure(error.hint().is_some(), "the error has no hint")
}

pub(super) async fn its_schema_describes_the_table(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let names: Vec<_> = table.schema().columns.iter().map(|column| column.name.clone()).collect();
    same("columns", &names, &columns())?;
    for column in &table.schema().columns {
        let fits = match column.name.as_str() {
            "row" | "id" => column.column_type.is_exact_number(),
            "name" => matches!(column.column_type, ColumnType::Text { .. }),
            _ => column.column_type == ColumnType::Date,
        };
        ensure(fits, format!("{} has type {}", column.name, column.column_type))?;
        let may_be_null = column.nullable || column.name.as_str() == "row";
        ensure(may_be_null, format!("{} has NULLs and denies it", column.name))?;
    }
    table.size().await?;
    table.declared_keys().await?;
    table.annotations().await?;
    Ok(())
}

pub(super) async fn an_unknown_column_is_refused_by_name(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let request = ScanRequest::new(vec!["row".into(), "no such column".into()], everything());
    let error = refused("an unknown column", batches(&*table, request).await)?;
    same("the error", &error.code(), &code::COLUMN_MISSING)?;
    ensure(error.to_string().contains("no such column"), "the error does not name it")
}
