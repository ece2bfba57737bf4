//! Creating and upgrading the status schema, and setting aside what another tool left there.

use migrate_core::value::Bytes;
use migrate_core::{Error, ErrorKind, Result, Retry};
use migrate_postgres::{classify, sqlx};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgConnection, Row, SqlSafeStr};

use super::{PgStatusStore, ledger};

/// Numbered and forward only; a released one never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "status", include_str!("../../migrations/0001_status.sql")),
    (2, "rejected_rows", include_str!("../../migrations/0002_rejected_rows.sql")),
    (3, "overruns", include_str!("../../migrations/0003_overruns.sql")),
    (4, "alive_until", include_str!("../../migrations/0004_alive_until.sql")),
];

/// Where the driver remembers which migrations have run: with us, never in the user's `public`.
const VERSION_TABLE: &str = "migration_status.schema_migrations";

/// Whoever reads the views while they are changed can make a deadlock, of which this is the victim. A
/// migration that failed has left nothing.
const TRIES_AGAIN: u32 = 3;

/// Any number will do, as long as every process of this tool takes the same: one installs at a time.
const INSTALL_LOCK: i64 = 0x6D69_6772_6174_6501;

fn migrations() -> Vec<Migration> {
    let migration = |(version, description, sql): &(i64, &'static str, &'static str)| {
        Migration::new(
            *version,
            (*description).into(),
            MigrationType::Simple,
            (*sql).into_sql_str(),
            false,
        )
    };
    MIGRATIONS.iter().map(migration).collect()
}

/// The whole schema as one script, for administrators who create it themselves.
///
/// It also notes its own versions, so that the tool finds nothing left to do.
pub fn schema_sql() -> String {
    let mut script = format!(
        "-- The status tables of the migration engine, as the tool itself creates them.\n\
         -- Run this once per target database where the tool's role may not create a schema.\n\
         begin;\n\
         create schema if not exists migration_status;\n\
         create table {VERSION_TABLE} (\n    \
             version bigint primary key,\n    \
             description text not null,\n    \
             installed_on timestamptz not null default now(),\n    \
             success boolean not null,\n    \
             checksum bytea not null,\n    \
             execution_time bigint not null\n\
         );\n\n"
    );
    for migration in migrations() {
        let checksum = Bytes::from(migration.checksum.to_vec());
        let note = format!(
            "\ninsert into {VERSION_TABLE} (version, description, success, checksum, execution_time)\n\
             values ({}, '{}', true, '\\x{checksum}', 0);\n",
            migration.version, migration.description
        );
        script.push_str(migration.sql.as_str());
        script.push_str(&note);
    }
    script.push_str("commit;\n");
    script
}

impl PgStatusStore {
    pub(super) async fn install_schema(&self) -> Result<()> {
        let mut connection = self.database.acquire().await?;
        let newest = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
        // Creating something that exists asks for rights that a role may lack; look first.
        match installed_version(&mut connection).await? {
            Some(version) if version == newest => return Ok(()),
            Some(version) if version > newest => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "The status tables were made by a newer version of this tool",
                )
                .with("found", version)
                .with("known", newest)
                .with_hint("use that version, or a newer one"));
            }
            _ => {}
        }
        lock(&mut connection).await?;
        let mut outcome = create(&mut connection).await;
        for _again in 0..TRIES_AGAIN {
            match &outcome {
                Err(error) if error.kind().retry() == Retry::AfterDelay => {
                    outcome = create(&mut connection).await;
                }
                _ => break,
            }
        }
        // What went wrong first is what counts; a connection that cannot unlock keeps nothing.
        match unlock(&mut connection).await {
            Ok(()) => outcome,
            Err(error) => {
                drop(connection.detach());
                outcome.and(Err(error))
            }
        }
    }
}

async fn create(connection: &mut PgConnection) -> Result<()> {
    set_foreign_tables_aside(connection).await?;
    let exists: bool = sqlx::query_scalar("select to_regnamespace('migration_status') is not null")
        .fetch_one(&mut *connection)
        .await
        .map_err(ledger)?;
    let mut migrator = Migrator::with_migrations(migrations());
    migrator.dangerous_set_table_name(VERSION_TABLE);
    if !exists {
        migrator.create_schema("migration_status");
    }
    migrator.set_locking(false);
    migrator.run_direct(None, connection, false).await.map_err(|cause| {
        let cause = sqlx::Error::Migrate(Box::new(cause));
        let error = classify("Cannot create the status tables", cause);
        if error.kind() != ErrorKind::Auth {
            return error;
        }
        error.with_hint(
            "let the role create a schema in this database, or have an administrator run \
             sql/migration_status_schema.sql",
        )
    })
}

/// Whether there is a ledger, of whatever version.
pub(super) async fn is_installed(connection: &mut PgConnection) -> Result<bool> {
    sqlx::query_scalar("select to_regclass('migration_status.schema_migrations') is not null")
        .fetch_one(connection)
        .await
        .map_err(ledger)
}

async fn installed_version(connection: &mut PgConnection) -> Result<Option<i64>> {
    if !is_installed(connection).await? {
        return Ok(None);
    }
    sqlx::query_scalar("select max(version) from migration_status.schema_migrations where success")
        .fetch_one(connection)
        .await
        .map_err(ledger)
}

/// Another tool used this schema name for tables of the same names. They are kept, elsewhere.
async fn set_foreign_tables_aside(connection: &mut PgConnection) -> Result<()> {
    let found = sqlx::query(
        "select to_regclass('migration_status.migration_runs') is not null \
                and to_regclass('migration_status.schema_migrations') is null as foreign_tables, \
                to_regnamespace('migration_status_legacy') is not null as taken",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(ledger)?;
    if !found.try_get::<bool, _>("foreign_tables").map_err(ledger)? {
        return Ok(());
    }
    if found.try_get::<bool, _>("taken").map_err(ledger)? {
        return Err(Error::new(
            ErrorKind::Conflict,
            "Schema migration_status holds tables of another tool, and migration_status_legacy \
             exists already",
        )
        .with_hint("rename one of the two schemas"));
    }
    sqlx::query("alter schema migration_status rename to migration_status_legacy")
        .execute(connection)
        .await
        .map_err(|cause| {
            ledger(cause).with_hint(
                "have the schema's owner run: alter schema migration_status rename to \
                 migration_status_legacy",
            )
        })?;
    tracing::warn!(
        "schema migration_status held tables of another tool; they are kept in schema \
         migration_status_legacy"
    );
    Ok(())
}

async fn lock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_lock($1)")
        .bind(INSTALL_LOCK)
        .execute(connection)
        .await
        .map_err(ledger)?;
    Ok(())
}

async fn unlock(connection: &mut PgConnection) -> Result<()> {
    sqlx::query("select pg_advisory_unlock($1)")
        .bind(INSTALL_LOCK)
        .execute(connection)
        .await
        .map_err(ledger)?;
    Ok(())
}
