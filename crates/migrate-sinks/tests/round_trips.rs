//! How often a merge waits for the server: by a proxy between both that counts answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use migrate_core::arrow::array::{ArrayRef, Int64Array};
use migrate_core::{ColumnType, RunContext, Sink as _, TableRef, WriteMode};
use migrate_postgres::{Database, PostgresSettings};
use migrate_sinks::PgSink;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::support::{Given, Target, batch, batches, chunk, plan};

/// What has passed.
#[derive(Debug, Default)]
struct Traffic {
    client_spoke: AtomicBool,
    round_trips: AtomicU64,
}

impl Traffic {
    async fn pass(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        is_client: bool,
    ) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            if is_client {
                self.client_spoke.store(true, Ordering::SeqCst);
            } else if self.client_spoke.swap(false, Ordering::SeqCst) {
                self.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            if to.write_all(buffer.get(..read).expect("read")).await.is_err() {
                break;
            }
        }
    }
}

/// The port of a proxy in front of a server, which passes as long as its tasks are kept.
async fn proxy(server: String, traffic: Arc<Traffic>) -> (u16, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("the server");
            let traffic = Arc::clone(&traffic);
            connections.spawn(async move {
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::join!(
                    traffic.pass(from_client, to_server, true),
                    traffic.pass(from_server, to_client, false),
                );
            });
        }
    });
    (port, tasks)
}

#[tokio::test]
async fn ten_thousand_rows_are_merged_in_a_hundredth_of_their_round_trips() {
    const ROWS: i64 = 10_000;
    let target = Target::with("create table t (k bigint primary key, v bigint)").await;
    let mut settings = PostgresSettings::from_url(target.server.url()).expect("url");
    let traffic = Arc::new(Traffic::default());
    let server = format!("{}:{}", settings.host, settings.port);
    let (port, _tasks) = proxy(server, Arc::clone(&traffic)).await;
    settings.port = port;
    settings.host = "127.0.0.1".into();
    let sink = PgSink::new(Database::connect(&settings, 1).await.expect("connects"));
    let table = sink.open(&TableRef::in_schema("public", "t")).await.expect("opens");
    for version in [1, 2] {
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
        let values: ArrayRef =
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(|key| key * version)));
        let columns =
            vec![Given("k", ColumnType::Int64, keys), Given("v", ColumnType::Int64, values)];
        let mut plan = plan(&columns);
        plan.mode = WriteMode::Upsert { keys: vec!["k".into()], version: None };
        let before = traffic.round_trips.load(Ordering::SeqCst);
        let rows = batches(vec![Ok(batch(columns))]);
        table.write_chunk(&plan, &chunk(), rows, None, &RunContext::new()).await.expect("merges");
        let trips = traffic.round_trips.load(Ordering::SeqCst) - before;
        assert!((4..=100).contains(&trips), "{trips} round trips");
    }
    assert_eq!(target.count("t where v = k * 2").await, ROWS);
}
