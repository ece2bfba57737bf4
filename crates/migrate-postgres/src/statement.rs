//! Statements built at run time, with their values bound. The only place that vouches for SQL text
//! which is not a constant of the program.

use migrate_core::{Scalar, SqlStatement};
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::{Postgres, SqlSafeStr};

/// A statement of a [`SqlBuilder`](migrate_core::SqlBuilder), ready to run. The builder takes values
/// only as parameters and quotes every name.
pub fn bound(statement: &SqlStatement) -> Query<'_, Postgres, PgArguments> {
    #[expect(clippy::disallowed_methods, reason = "the text comes from SqlBuilder, see above")]
    let text = sqlx::AssertSqlSafe(statement.sql.as_str()).into_sql_str();
    statement.params.iter().fold(sqlx::query(text), |query, param| match param {
        Scalar::Bool(value) => query.bind(*value),
        Scalar::Number(value) => match value.to_i64() {
            Some(value) => query.bind(value),
            None => query.bind(value.to_string()),
        },
        Scalar::Float(value) => query.bind(value.get()),
        Scalar::Text(value) => query.bind(value.as_str()),
        Scalar::Bytes(value) => query.bind(value.as_slice()),
        Scalar::Uuid(value) => query.bind(*value),
        // The builder casts these from text to their type.
        Scalar::Date(value) => query.bind(value.to_string()),
        Scalar::Time(value) => query.bind(value.to_string()),
        Scalar::Timestamp(value) => query.bind(value.to_string()),
        Scalar::Instant(value) => query.bind(format!("{value}Z")),
        other => query.bind(other.to_string()),
    })
}

/// Runs a statement and returns how many rows it changed.
///
/// # Errors
///
/// The driver's, for [`classify`](crate::classify).
pub async fn execute(
    connection: &mut PgConnection,
    statement: &SqlStatement,
) -> Result<u64, sqlx::Error> {
    Ok(bound(statement).execute(connection).await?.rows_affected())
}

/// Runs statements without parameters in one message: the server makes one transaction of them, and
/// brings it to its end without hearing from this side again.
///
/// # Errors
///
/// The driver's, for [`classify`](crate::classify); then none of them has changed anything.
pub async fn execute_together<'a>(
    connection: &mut PgConnection,
    statements: impl IntoIterator<Item = &'a SqlStatement>,
) -> Result<(), sqlx::Error> {
    let all: Vec<&str> = statements.into_iter().map(|one| one.sql.as_str()).collect();
    #[expect(clippy::disallowed_methods, reason = "each text comes from SqlBuilder, see above")]
    let text = sqlx::AssertSqlSafe(all.join("; ")).into_sql_str();
    sqlx::raw_sql(text).execute(connection).await.map(drop)
}
