//! What results do not tell of a table: shapes and vectors, the primary key, comments.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::arrow::array::{AsArray, RecordBatch, StringArray};
use migrate_core::{
    Annotations, Column, ColumnName, ColumnType, Dialect, Error, ErrorKind, Result, RunContext,
    SqlBuilder, TableRef,
};

use super::session::SessionPool;
use super::statement::{counts, fetch};

/// Gives columns the types that they were declared with where a result only shows another one:
/// shapes arrive as objects or texts, and vectors without their dimension.
///
/// # Errors
///
/// What the server answers.
pub(super) async fn with_declared_types(
    sessions: &Arc<SessionPool>,
    table: &TableRef,
    columns: Vec<Column>,
) -> Result<Vec<Column>> {
    let may_hide = |column: &Column| {
        matches!(column.native_type.as_str(), "OBJECT" | "VECTOR" | "GEOGRAPHY" | "GEOMETRY")
    };
    if !columns.iter().any(may_hide) {
        return Ok(columns);
    }
    let described = describe(sessions, table).await?;
    let declared = texts(&described, "type")?;
    let of_name: BTreeMap<&str, &str> =
        texts(&described, "name")?.iter().flatten().zip(declared.iter().flatten()).collect();
    Ok(columns
        .into_iter()
        .map(|mut column| {
            let declared = of_name.get(column.name.as_str()).copied().unwrap_or_default();
            if let Some(column_type) = hidden_type(declared) {
                column.column_type = column_type;
                declared.clone_into(&mut column.native_type);
            }
            column
        })
        .collect())
}

/// Types that results do not show as what they are.
fn hidden_type(declared: &str) -> Option<ColumnType> {
    let upper = declared.to_uppercase();
    let (name, parameters) = upper.split_once('(').unwrap_or((&upper, ""));
    match name.trim() {
        "GEOGRAPHY" => Some(ColumnType::Geography),
        "GEOMETRY" => Some(ColumnType::Geometry),
        // VECTOR(FLOAT, 256)
        "VECTOR" => {
            let dimension = parameters.trim_end_matches(')').rsplit(',').next();
            let dimension = dimension.and_then(|number| number.trim().parse().ok());
            Some(ColumnType::Vector { dimension })
        }
        _ => None,
    }
}

/// Primary key and comments.
///
/// # Errors
///
/// What the server answers.
pub(super) async fn annotations(
    sessions: &Arc<SessionPool>,
    table: &TableRef,
) -> Result<Annotations> {
    let described = describe(sessions, table).await?;
    let mut annotations = Annotations::default();
    for (name, comment) in texts(&described, "name")?.iter().zip(texts(&described, "comment")?) {
        if let (Some(name), Some(comment)) = (name, comment.filter(|text| !text.is_empty())) {
            annotations.column_comments.insert(ColumnName::from(name), comment.to_owned());
        }
    }
    annotations.comment = comment_of(sessions, table).await?;

    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    sql.text("SHOW PRIMARY KEYS IN TABLE ").table(table);
    let keys = fetch(sessions, &sql.finish(), &RunContext::new()).await;
    let keys = keys.map_err(|error| error.with("table", table))?;
    let sequence = keys.schema_ref().index_of("key_sequence").unwrap_or(usize::MAX);
    let names = texts(&keys, "column_name")?;
    let mut columns: Vec<_> = counts(&keys, sequence)?
        .into_iter()
        .zip(names.iter().flatten().map(ColumnName::from))
        .collect();
    columns.sort_unstable();
    annotations.primary_key = columns.into_iter().map(|(_, name)| name).collect();
    Ok(annotations)
}

async fn comment_of(sessions: &Arc<SessionPool>, table: &TableRef) -> Result<Option<String>> {
    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    sql.text("SELECT \"COMMENT\" FROM ").names(table.database.as_deref());
    sql.text(".INFORMATION_SCHEMA.TABLES WHERE \"TABLE_SCHEMA\" = ");
    sql.value(&table.schema.as_deref().unwrap_or_default().into());
    sql.text(" AND \"TABLE_NAME\" = ").value(&table.name.as_str().into());
    let answer = fetch(sessions, &sql.finish(), &RunContext::new()).await;
    let answer = answer.map_err(|error| error.with("table", table))?;
    let comments = texts(&answer, "COMMENT")?;
    Ok(comments.iter().flatten().find(|text| !text.is_empty()).map(str::to_owned))
}

async fn describe(sessions: &Arc<SessionPool>, table: &TableRef) -> Result<RecordBatch> {
    let mut sql = SqlBuilder::new(Dialect::Snowflake);
    sql.text("DESCRIBE TABLE ").table(table);
    let described = fetch(sessions, &sql.finish(), &RunContext::new()).await;
    described.map_err(|error| error.with("table", table))
}

/// A column of texts by its name.
fn texts<'a>(answer: &'a RecordBatch, name: &str) -> Result<&'a StringArray> {
    let column = answer.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    column.ok_or_else(|| {
        Error::new(ErrorKind::Internal, "Snowflake describes a table in another form than known")
            .with("column", name)
            .with_hint("report this with the log of the run")
    })
}
