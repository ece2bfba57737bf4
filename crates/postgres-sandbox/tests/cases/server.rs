//! Starting, using and restarting servers.

use std::fs;
use std::process::Command;

use postgres_sandbox::{Error, Installation, Search, Server, ServerOptions};
use sqlx::Executor as _;

use super::{TemporaryFolder, connect, is_alive, start};

async fn setting(server: &Server, name: &str) -> String {
    let mut connection = connect(server).await;
    let query = sqlx::query_scalar("select current_setting($1)").bind(name);
    query.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_server_answers_and_leaves_nothing_behind() {
    let server = start(ServerOptions::new());
    let pid = server.pid().unwrap();
    let folder = server.folder().unwrap().to_path_buf();
    let mut connection = connect(&server).await;
    let version: String =
        sqlx::query_scalar("show server_version_num").fetch_one(&mut connection).await.unwrap();
    let major = server.installation().version().major().to_string();
    assert!(version.starts_with(&major), "{version}");
    assert!(is_alive(pid) && folder.exists());
    // The connection is still open: stopping does not wait for clients.
    server.stop().unwrap();
    assert!(!is_alive(pid) && !folder.exists());
}

#[tokio::test]
async fn dropping_a_server_stops_it() {
    let server = start(ServerOptions::new());
    let pid = server.pid().unwrap();
    let folder = server.folder().unwrap().to_path_buf();
    drop(server);
    assert!(!is_alive(pid) && !folder.exists());
}

#[tokio::test]
async fn two_servers_run_at_once() {
    let (first, second) = (start(ServerOptions::new()), start(ServerOptions::new()));
    assert_ne!(first.port(), second.port());
    connect(&first).await.execute("create table only_here (id int)").await.unwrap();
    let query = "select count(*) from pg_class where relname = 'only_here'";
    let count: i64 =
        sqlx::query_scalar(query).fetch_one(&mut connect(&second).await).await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn the_cluster_is_utf8_without_a_locale_and_in_utc() {
    let server = start(ServerOptions::new());
    assert_eq!(setting(&server, "server_encoding").await, "UTF8");
    let collation = "select datcollate from pg_database where datname = 'postgres'";
    let collation: String =
        sqlx::query_scalar(collation).fetch_one(&mut connect(&server).await).await.unwrap();
    assert_eq!(collation, "C");
    assert_eq!(setting(&server, "timezone").await, "UTC");
    assert_eq!(setting(&server, "listen_addresses").await, "127.0.0.1");
}

#[tokio::test]
async fn durability_and_settings_are_the_callers_choice() {
    let fast = start(ServerOptions::new());
    assert_eq!(setting(&fast, "fsync").await, "off");
    let options = ServerOptions::new().durable(true).setting("max_connections", "7");
    let durable = start(options.setting("search_path", "it's, public"));
    assert_eq!(setting(&durable, "fsync").await, "on");
    assert_eq!(setting(&durable, "full_page_writes").await, "on");
    assert_eq!(setting(&durable, "max_connections").await, "7");
    assert_eq!(setting(&durable, "search_path").await, "it's, public");
}

#[tokio::test]
async fn a_restart_keeps_data_and_port() {
    let mut server = start(ServerOptions::new());
    let (port, pid) = (server.port(), server.pid());
    connect(&server).await.execute("create table kept as select 7 as id").await.unwrap();
    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    let id: i32 = sqlx::query_scalar("select id from kept")
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
    assert_eq!(id, 7);
}

#[tokio::test]
async fn committed_rows_survive_an_immediate_stop() {
    let mut server = start(ServerOptions::new().durable(true));
    connect(&server).await.execute("create table kept as select 7 as id").await.unwrap();
    server.stop_now().unwrap();
    assert_eq!(server.pid(), None);
    server.restart().unwrap();
    assert!(server.log_tail().contains("automatic recovery"), "{}", server.log_tail());
    let id: i32 = sqlx::query_scalar("select id from kept")
        .fetch_one(&mut connect(&server).await)
        .await
        .unwrap();
    assert_eq!(id, 7);
}

#[tokio::test]
async fn a_killed_server_can_be_restarted() {
    let mut server = start(ServerOptions::new());
    let mut session = connect(&server).await;
    let killed = server.pid().unwrap();
    assert!(super::shell(&format!("kill -9 {killed}")));
    server.restart().unwrap();
    assert!(session.execute("select 1").await.is_err());
    assert_ne!(server.pid(), Some(killed));
    connect(&server).await.execute("select 1").await.unwrap();
}

#[test]
fn a_wrong_setting_is_shown_in_the_servers_words() {
    let installation = Installation::find(&Search::new()).unwrap();
    let options = ServerOptions::new().setting("no_such_setting", "1");
    let error = Server::start(&installation, options).unwrap_err();
    assert!(matches!(error, Error::StartFailed { .. }), "{error}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}

#[test]
fn a_kept_folder_stays_and_can_be_read() {
    let parent = TemporaryFolder::new();
    let server = start(ServerOptions::new().parent_folder(parent.path()).keep(true));
    let folder = server.folder().unwrap().to_path_buf();
    assert!(folder.starts_with(parent.path()));
    server.stop().unwrap();
    assert!(folder.join("data/PG_VERSION").is_file());
    // The next start removes the folders of dead servers, but not this one.
    start(ServerOptions::new().parent_folder(parent.path())).stop().unwrap();
    assert!(folder.join("server.log").is_file());
}

#[test]
fn a_start_removes_what_a_dead_server_left() {
    let parent = TemporaryFolder::new();
    let dead = parent.path().join("postgres-sandbox-1-2f-3");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("server.log"), "the power went off").unwrap();
    let server = start(ServerOptions::new().parent_folder(parent.path()));
    assert!(!dead.exists());
    assert!(server.folder().unwrap().exists());
}

#[test]
fn clients_can_use_tls() {
    let folder = TemporaryFolder::new();
    let (certificate, key) = (folder.path().join("crt.pem"), folder.path().join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"])
        .args(["-subj", "/CN=localhost", "-batch", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("this test needs the program openssl");
    assert!(made.status.success(), "{made:?}");
    let server = start(ServerOptions::new().tls(&certificate, &key));
    let answer = Command::new(server.bin("psql").unwrap())
        .arg(format!("{}?sslmode=require", server.url("postgres")))
        .args(["-Atc", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&answer.stdout).trim(), "t", "{answer:?}");
}

#[test]
fn the_psql_line_works_in_a_shell() {
    let server = start(ServerOptions::new());
    assert!(super::shell(&format!("{} -c 'select 1' >/dev/null", server.psql_line("postgres"))));
    assert!(matches!(server.bin("no-such-program"), Err(Error::MissingProgram { .. })));
}
