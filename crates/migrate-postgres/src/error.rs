//! PostgreSQL's errors as kinds: what the caller does next.

use migrate_core::Error;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use crate::driver;
use crate::sqlstate::{about_data, verdict};

/// Turns a driver error into one of ours.
///
/// What the server says of the data, and what triggers say, is not passed on, because it quotes
/// cells; the names of the column and the constraint are. Of its other messages the primary line is.
pub fn classify(message: &'static str, cause: sqlx::Error) -> Error {
    let cause = inner(cause);
    let Some(database) = reported(&cause) else {
        let (code, hint) = driver::verdict(&cause);
        return Error::new(code, message).with_hint(hint).with_source(cause);
    };
    let (state, routine) = (database.code().to_owned(), database.routine());
    let (code, hint) = verdict(&state, routine);
    let sentence = about_data(&state, routine);
    let error = Error::new(code, message).with("sqlstate", state).with_hint(hint);
    let error = with_names(error, database);
    // The driver would add the line of the server's own source.
    match sentence {
        Some(sentence) => error.with_source(sentence),
        None => error.with_source(database.message().to_owned()),
    }
}

/// The SQLSTATE of a driver error, if the server sent one.
pub fn sqlstate(cause: &sqlx::Error) -> Option<String> {
    Some(reported(cause)?.code().to_owned())
}

/// What the server reported, if it was the server.
pub(crate) fn reported(cause: &sqlx::Error) -> Option<&PgDatabaseError> {
    cause.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

/// The failure of a statement within the driver's own migrations.
fn inner(cause: sqlx::Error) -> sqlx::Error {
    match cause {
        sqlx::Error::Migrate(migrating) => match *migrating {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => cause,
            other => sqlx::Error::Migrate(Box::new(other)),
        },
        other => other,
    }
}

/// The column and the constraint that an error is about, where the server names them.
fn with_names(error: Error, database: &PgDatabaseError) -> Error {
    let names = [("column", database.column()), ("constraint", database.constraint())];
    names.into_iter().fold(error, |error, (key, name)| match name {
        Some(name) => error.with(key, name),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use migrate_core::ErrorKind;

    use super::*;

    #[test]
    fn a_connection_that_is_lost_within_a_migration_is_a_lost_connection() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for migrating in [MigrateError::Execute(lost()), MigrateError::ExecuteMigration(lost(), 1)]
        {
            let error = classify("Failed", sqlx::Error::Migrate(Box::new(migrating)));
            assert_eq!(error.kind(), ErrorKind::Connection);
        }
    }
}
