//! Sessions and the pool, when a server is restarted, reads only, or has no connection left.

use std::time::Duration;

use migrate_core::{ErrorKind, Retry};
use migrate_postgres::{APPLICATION_NAME, Database, PostgresSettings, classify, sqlx};
use postgres_sandbox::{Server, ServerOptions, TestDatabase, TestServer};

const CONNECT: Duration = Duration::from_secs(1);

async fn private(options: ServerOptions) -> Server {
    tokio::task::spawn_blocking(|| TestServer::private(options)).await.expect("joins")
}

fn settings(url: &str) -> PostgresSettings {
    let mut settings = PostgresSettings::from_url(url).expect("url");
    settings.connect_timeout = CONNECT;
    settings
}

async fn write(database: &Database) -> migrate_core::Result<()> {
    let mut connection = database.acquire().await?;
    let written = sqlx::query("insert into t values (1)").execute(&mut *connection).await;
    written.map(drop).map_err(|cause| classify("Cannot write", cause))
}

#[tokio::test]
async fn a_session_that_only_reads_is_not_used_again_when_the_failover_is_over() {
    let test = TestDatabase::create().await;
    let database = Database::connect(&settings(test.url()), 1).await.expect("connects");
    let other = Database::connect(&settings(test.url()), 1).await.expect("connects");
    let run = async |sql: &'static str| {
        let mut connection = other.acquire().await.expect("acquires");
        sqlx::raw_sql(sql).execute(&mut *connection).await.expect(sql);
    };
    run("create table t (id bigint); \
         do $$ begin execute format('alter database %I set default_transaction_read_only = on', \
         current_database()); end $$")
    .await;
    let refused = write(&database).await.expect_err("reads only");
    assert_eq!(
        (refused.kind(), refused.context("sqlstate")),
        (ErrorKind::Connection, Some("25006"))
    );
    run("set client_min_messages = warning; \
         do $$ begin execute format('alter database %I set default_transaction_read_only = off', \
         current_database()); end $$")
    .await;
    write(&database).await.expect("a new session writes");
}

#[tokio::test]
async fn a_pool_that_cannot_connect_says_why() {
    let mut server = private(ServerOptions::new()).await;
    let test = TestDatabase::create_on(&server).await;
    let database = Database::connect(&settings(test.url()), 2).await.expect("connects");
    database.acquire().await.expect("acquires");
    server = tokio::task::spawn_blocking(move || {
        server.stop_now().expect("stops");
        server
    })
    .await
    .expect("joins");
    let error = database.acquire().await.expect_err("down");
    assert_eq!(error.kind(), ErrorKind::Connection);
    assert!(error.report().to_string().contains("start the server"), "{}", error.report());
    let _server = tokio::task::spawn_blocking(move || {
        server.restart().expect("restarts");
        server
    })
    .await
    .expect("joins");
    database.acquire().await.expect("the same pool goes on");
}

#[tokio::test]
async fn a_pool_without_a_connection_left_says_whose_limit_it_is() {
    let test = TestDatabase::create().await;
    let database = Database::connect(&settings(test.url()), 1).await.expect("connects");
    let mut only = database.acquire().await.expect("acquires");
    let own = database.acquire().await.expect_err("ours is used up");
    assert_eq!(own.kind(), ErrorKind::ResourceExhausted);
    assert!(own.context("sqlstate").is_none(), "{own}");

    sqlx::raw_sql(
        "create role limited login connection limit 0; \
         do $$ begin execute format('grant connect on database %I to limited', \
         current_database()); end $$",
    )
    .execute(&mut *only)
    .await
    .expect("makes a role");
    let mut limited = settings(test.url());
    limited.user = "limited".into();
    let refused = Database::connect(&limited, 1).await.expect_err("limit 0");
    assert_eq!(refused.kind().retry(), Retry::AfterDelay);
    assert_eq!(refused.context("sqlstate"), Some("53300"));
    assert!(refused.hint().is_some_and(|hint| hint.contains("max_connections")), "{refused}");
    sqlx::raw_sql(
        "do $$ begin execute format('revoke connect on database %I from limited', \
         current_database()); end $$; drop role limited",
    )
    .execute(&mut *only)
    .await
    .expect("drops it");
}

#[tokio::test]
async fn limits_of_the_role_do_not_reach_the_sessions_of_a_load() {
    let test = TestDatabase::create().await;
    let database = Database::connect(&settings(test.url()), 1).await.expect("connects");
    let mut connection = database.acquire().await.expect("acquires");
    sqlx::raw_sql(
        "do $$ begin \
         execute format('alter database %I set lock_timeout = ''1h''', current_database()); \
         execute format('alter database %I set statement_timeout = ''1h''', current_database()); \
         execute format('alter database %I set default_transaction_isolation = serializable', \
                        current_database()); \
         end $$",
    )
    .execute(&mut *connection)
    .await
    .expect("sets limits");
    drop(connection);
    let database = Database::connect(&settings(test.url()), 1).await.expect("connects");
    let mut connection = database.acquire().await.expect("acquires");
    let set: (String, String, String, String) = sqlx::query_as(
        "select current_setting('lock_timeout'), current_setting('statement_timeout'), \
                current_setting('transaction_isolation'), current_setting('application_name')",
    )
    .fetch_one(&mut *connection)
    .await
    .expect("asks");
    let expected = ["0", "0", "read committed", APPLICATION_NAME].map(str::to_owned);
    assert_eq!(<[String; 4]>::from(set), expected);
}
