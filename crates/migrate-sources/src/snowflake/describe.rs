//! What results do not tell of columns: shapes and vectors, comments.

use std::collections::BTreeMap;
use std::sync::Arc;

use migrate_core::arrow::array::{AsArray, RecordBatch, StringArray};
use migrate_core::{
    Column, ColumnName, ColumnType, Dialect, Error, ErrorKind, Result, RunContext, SqlBuilder,
    TableRef,
};

use super::session::SessionPool;
use super::statement::fetch;

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

/// The comments of the columns.
///
/// # Errors
///
/// What the server answers.
pub(super) async fn column_comments(
    sessions: &Arc<SessionPool>,
    table: &TableRef,
) -> Result<BTreeMap<ColumnName, String>> {
    let described = describe(sessions, table).await?;
    let comments = texts(&described, "name")?.iter().zip(texts(&described, "comment")?);
    Ok(comments
        .filter_map(|(name, comment)| {
            let comment = comment.filter(|text| !text.is_empty())?;
            Some((ColumnName::from(name?), comment.to_owned()))
        })
        .collect())
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
