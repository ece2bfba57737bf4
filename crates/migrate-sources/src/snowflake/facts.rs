//! What Snowflake knows of a table without reading it.

use std::sync::Arc;

use migrate_core::arrow::array::{Array, AsArray, RecordBatch};
use migrate_core::arrow::datatypes::Decimal128Type;
use migrate_core::{ColumnName, Dialect, Result, RunContext, SqlBuilder, TableSchema, TableSize};

use super::session::SessionPool;
use super::statement::fetch;

/// What `INFORMATION_SCHEMA` says of a table; nothing for a view.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) size: TableSize,
    pub(super) clustering: Vec<ColumnName>,
    pub(super) comment: Option<String>,
}

impl Facts {
    /// # Errors
    ///
    /// What the server answers.
    pub(super) async fn of(sessions: &Arc<SessionPool>, schema: &TableSchema) -> Result<Self> {
        let table = &schema.table;
        let mut sql = SqlBuilder::new(Dialect::Snowflake);
        sql.text("SELECT \"ROW_COUNT\"::NUMBER(38,0) AS \"ROWS\", \"BYTES\"::NUMBER(38,0) AS \"BYTES\", \"CLUSTERING_KEY\", \"COMMENT\" FROM ");
        sql.names(table.database.as_deref());
        sql.text(".INFORMATION_SCHEMA.TABLES WHERE \"TABLE_SCHEMA\" = ");
        sql.value(&table.schema.as_deref().unwrap_or_default().into());
        sql.text(" AND \"TABLE_NAME\" = ").value(&table.name.as_str().into());
        let answer = fetch(sessions, &sql.finish(), &RunContext::new())
            .await
            .map_err(|error| error.with("table", table))?;
        let clustering = text(&answer, "CLUSTERING_KEY", 0)
            .map(|key| clustering_columns(key, schema))
            .unwrap_or_default();
        let size = TableSize { rows: number(&answer, "ROWS"), bytes: number(&answer, "BYTES") };
        let comment = text(&answer, "COMMENT", 0).filter(|text| !text.is_empty());
        Ok(Self { size, clustering, comment: comment.map(str::to_owned) })
    }
}

/// The columns of the primary key in their order, as far as one is declared.
///
/// # Errors
///
/// What the server answers.
pub(super) async fn primary_key(
    sessions: &Arc<SessionPool>,
    schema: &TableSchema,
) -> Result<Vec<ColumnName>> {
    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    sql.text("SHOW PRIMARY KEYS IN TABLE ").table(&schema.table);
    let answer = fetch(sessions, &sql.finish(), &RunContext::new())
        .await
        .map_err(|error| error.with("table", &schema.table))?;
    let mut columns: Vec<(Option<u64>, ColumnName)> = (0..answer.num_rows())
        .filter_map(|row| {
            Some((
                number_at(&answer, "key_sequence", row),
                text(&answer, "column_name", row)?.into(),
            ))
        })
        .collect();
    columns.sort();
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}

/// `LINEAR(REGION, "Day")`, as far as it names columns: an expression ends the list.
fn clustering_columns(key: &str, schema: &TableSchema) -> Vec<ColumnName> {
    let list = key.trim();
    let list = list.strip_prefix("LINEAR").unwrap_or(list).trim();
    let list = list.strip_prefix('(').and_then(|list| list.strip_suffix(')')).unwrap_or(list);
    list.split(',')
        .map_while(|item| Dialect::Snowflake.parse_identifier(item).ok().map(ColumnName::from))
        .take_while(|column| schema.column(column).is_some())
        .collect()
}

fn text<'a>(answer: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let values = answer.column_by_name(column)?.as_string_opt::<i32>()?;
    (row < values.len() && values.is_valid(row)).then(|| values.value(row))
}

fn number(answer: &RecordBatch, column: &str) -> Option<u64> {
    number_at(answer, column, 0)
}

fn number_at(answer: &RecordBatch, column: &str, row: usize) -> Option<u64> {
    let values = answer.column_by_name(column)?.as_primitive_opt::<Decimal128Type>()?;
    let value = (row < values.len() && values.is_valid(row)).then(|| values.value(row))?;
    u64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use migrate_core::{Column, ColumnType, TableRef};

    use super::*;

    #[test]
    fn a_clustering_key_is_its_columns_up_to_an_expression() {
        let columns = ["REGION", "Day, late", "AT"];
        let columns = columns.map(|name| Column::new(name, ColumnType::Date, "DATE")).to_vec();
        let schema = TableSchema::new(TableRef::bare("T"), columns);
        let found = |key| -> Vec<String> {
            clustering_columns(key, &schema).iter().map(|c| c.as_str().to_owned()).collect()
        };
        assert_eq!(found("LINEAR(region, AT)"), ["REGION", "AT"]);
        assert_eq!(found("(REGION, to_date(AT))"), ["REGION"]);
        assert_eq!(found("LINEAR(substr(REGION, 1, 2), AT)"), Vec::<String>::new());
        assert_eq!(
            found("LINEAR(\"Day, late\")"),
            Vec::<String>::new(),
            "rather none than a wrong one"
        );
    }
}
