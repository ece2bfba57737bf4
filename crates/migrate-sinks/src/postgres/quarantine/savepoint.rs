//! The one savepoint of a chunk that sets bad rows aside.
//!
//! It stays where it is when rows are taken back, and moves on when rows are in, in one round trip
//! each. So a chunk has as many subtransactions as pieces, not one for every try.

use migrate_postgres::sqlx;
use sqlx::PgConnection;

/// Everything so far stays, whatever is taken back later.
pub(super) async fn open(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(connection, "savepoint good_rows").await
}

/// What has been written since stays.
pub(super) async fn settle(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(connection, "release savepoint good_rows; savepoint good_rows").await
}

/// Takes back what has been written since.
pub(super) async fn revert(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    run(connection, "rollback to savepoint good_rows").await
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(connection).await?;
    Ok(())
}
