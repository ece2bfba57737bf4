//! The two statements that make and remove a database.
//!
//! The only place of this crate where SQL is put together: names of databases cannot be bind
//! parameters.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::Error;
use crate::quoting::{sql_identifier, url_without_password};

/// A database is made in 0.05 s; a busy server that is shared by many test processes needs longer.
const LIMIT: Duration = Duration::from_mins(1);

/// A statement about one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    /// From `template0`, so that nothing that a site put into `template1` disturbs a test.
    Create,
    /// Also where sessions are connected to it; PostgreSQL 13 and newer can do that.
    Drop,
}

impl Statement {
    fn text(self, database: &str) -> String {
        let name = sql_identifier(database);
        match self {
            Self::Create => format!("create database {name} template template0"),
            Self::Drop => format!("drop database if exists {name} with (force)"),
        }
    }

    fn action(self, database: &str) -> String {
        match self {
            Self::Create => format!("create the database {database}"),
            Self::Drop => format!("drop the database {database}"),
        }
    }
}

/// Runs the statement for each name, over one connection to the server at that URL.
pub(crate) async fn execute(
    server_url: &str,
    statement: Statement,
    databases: &[String],
) -> Result<(), Error> {
    let work = async {
        let mut connection = connect(server_url).await?;
        for database in databases {
            run(&mut connection, &statement.text(database))
                .await
                .map_err(|source| failed(server_url, statement.action(database), source))?;
        }
        // The work is done; a server that breaks off here changes nothing about it.
        connection.close().await.map_err(|source| failed(server_url, "disconnect".into(), source))
    };
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| {
        let server = url_without_password(server_url);
        Err(Error::DatabaseTimeout { server, limit: LIMIT })
    })
}

async fn connect(url: &str) -> Result<PgConnection, Error> {
    let failed = |source| failed(url, "connect to a database".to_owned(), source);
    let options = PgConnectOptions::from_str(url).map_err(failed)?;
    options.connect().await.map_err(failed)
}

/// The text comes from [`Statement::text`], which quotes the one name in it.
#[expect(clippy::disallowed_methods, reason = "a quoted identifier, which cannot be a parameter")]
async fn run(connection: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    let text: sqlx::AssertSqlSafe<&str> = sqlx::AssertSqlSafe(text);
    sqlx::raw_sql(text).execute(connection).await.map(drop)
}

fn failed(url: &str, action: String, source: sqlx::Error) -> Error {
    let hint = "its user may create databases";
    Error::Database { action, server: url_without_password(url), hint, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_in_statements() {
        let name = r#"a"; drop table b; --"#;
        let text = Statement::Create.text(name);
        assert_eq!(text, r#"create database "a""; drop table b; --" template template0"#);
    }
}
