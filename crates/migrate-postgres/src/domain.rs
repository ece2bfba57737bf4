//! Who a database is, so that two addresses of one database are recognised as one.

use migrate_core::{CommitDomain, Result};
use sqlx::{PgConnection, Row};

use crate::error::classify;

/// The cluster's system identifier and the database's oid; where the role may not ask for the
/// identifier, the address stands in.
pub(crate) async fn identify(connection: &mut PgConnection, address: &str) -> Result<CommitDomain> {
    let failed =
        |cause| classify("Cannot ask PostgreSQL for its identity", cause).with("address", address);
    let row = sqlx::query(
        "select (select oid::bigint from pg_database where datname = current_database()) as oid, \
         has_function_privilege('pg_control_system()', 'execute') as may_ask",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let oid: i64 = row.try_get("oid").map_err(failed)?;
    if !row.try_get::<bool, _>("may_ask").map_err(failed)? {
        return Ok(CommitDomain::new(format!("{address}#{oid}")));
    }
    let system: i64 = sqlx::query_scalar("select system_identifier from pg_control_system()")
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    Ok(CommitDomain::new(format!("{system}/{oid}")))
}
