//! Databases for tests.

use std::process::{Command, Output};
use std::thread;

use postgres_sandbox::{ServerOptions, TestDatabase, TestServer};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinSet;

async fn count(maintenance_url: &str, name: &str) -> i64 {
    let mut connection = PgConnection::connect(maintenance_url).await.unwrap();
    let query = sqlx::query_scalar("select count(*) from pg_database where datname = $1");
    query.bind(name).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn each_database_is_fresh_and_goes_with_its_test() {
    let (first, second) = (TestDatabase::create().await, TestDatabase::create().await);
    let mut session = PgConnection::connect(first.url()).await.unwrap();
    session.execute("create table t (id int)").await.unwrap();
    let mut other = PgConnection::connect(second.url()).await.unwrap();
    other.execute("create table t (id int)").await.unwrap();
    let name = first.name().to_owned();
    let maintenance = TestServer::shared().url("postgres");
    assert_eq!(count(&maintenance, &name).await, 1);
    drop(first); // although a session is open
    assert_eq!(count(&maintenance, &name).await, 0);
}

#[tokio::test]
async fn several_databases_are_made_at_once() {
    let databases = TestDatabase::create_many(3).await;
    let mut names: Vec<_> = databases.iter().map(TestDatabase::name).collect();
    names.dedup();
    assert_eq!(names.len(), 3);
    for database in &databases {
        PgConnection::connect(database.url()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tests_share_one_server() {
    let mut tests = JoinSet::new();
    for _ in 0..24 {
        tests.spawn(async {
            let database = TestDatabase::create().await;
            let mut session = PgConnection::connect(database.url()).await.unwrap();
            session.execute("create table t (id int)").await.unwrap();
            database.name().to_owned()
        });
    }
    let names = tests.join_all().await;
    let maintenance = TestServer::shared().url("postgres");
    for name in names {
        assert_eq!(count(&maintenance, &name).await, 0, "{name}");
    }
}

#[tokio::test]
async fn the_database_of_a_panicking_test_is_kept() {
    let server = TestServer::private(ServerOptions::new());
    let name = thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let server = &server;
        let test = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let database = TestDatabase::create_on(server).await;
                sender.send(database.name().to_owned()).unwrap();
                panic!("this test fails on purpose");
            })
        });
        assert!(test.join().is_err());
        receiver.recv().unwrap()
    });
    assert_eq!(count(&server.url("postgres"), &name).await, 1);
}

/// Runs one of these tests in a process of its own, with a server that the environment names.
fn run_with_url(url: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cases::databases::several_databases_are_made_at_once"])
        .env("MIGRATE_TEST_DATABASE_URL", url)
        .output()
        .unwrap()
}

#[test]
fn a_server_that_the_environment_names_is_used() {
    let server = TestServer::private(ServerOptions::new().setting("log_statement", "ddl"));
    let output = run_with_url(&format!("{}?application_name=named", server.url("postgres")));
    assert!(output.status.success(), "{output:?}");
    let log = server.log_tail();
    assert!(log.contains("create database \"test_several_databases"), "{log}");
    assert!(log.contains("drop database if exists \"test_several_databases"), "{log}");
}

#[test]
fn without_a_server_tests_fail_and_say_what_to_do() {
    // Port 1 is reserved; nothing answers there.
    let output = run_with_url("postgres://ada:secret@127.0.0.1:1/postgres");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("Cannot connect") && text.contains("fix:"), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
