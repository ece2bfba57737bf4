//! A server that crashes, restarts, only reads for a while, or is gone: the run waits and goes on, or
//! says why it cannot and is gone on with by the same command. The rows are the source's in the end.

use std::time::Duration;

use migrate_postgres::sqlx::{Executor, PgConnection};
use postgres_sandbox::{Error, Server, ServerOptions, TestDatabase, TestServer};
use serde_json::{Value as Json, json};
use snowflake_double::{Double, RequestKind};
use tokio::process::Child;

use crate::support::{Ended, ORDERS, World, ended, orders, orders_in_chunks};

const ROWS: i64 = 2000;
const ITEMS: &str = "migration_status.migration_work_items";
/// Sessions of the program in this database.
const OURS: &str = "pg_stat_activity where application_name = 'migrate from snowflake' \
                    and datname = current_database()";

/// A world in a server of its own, in which each chunk takes a while. The target has rows that do not
/// belong there, so that it is not enough to copy: it must have been emptied, and once.
struct Outage {
    // Before its server, which has to run when the database is dropped.
    world: World,
    server: Option<Server>,
}

impl Outage {
    async fn new(options: ServerOptions, change: impl FnOnce(&mut Json)) -> Self {
        let server = tokio::task::spawn_blocking(|| TestServer::private(options)).await;
        let server = server.expect("joins");
        let database = TestDatabase::create_on(&server).await;
        let double = Double::builder().table(orders(ROWS));
        let world = World::in_database(database, double, ORDERS).await;
        world.execute("insert into orders (id) select -n from generate_series(1, 500) n").await;
        world.double.knobs().set_inline_rows(0);
        world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(60));
        let mut tables = orders_in_chunks();
        tables[0]["truncate_onstart"] = json!(true);
        let mut config = world.config(&tables);
        config["postgres"]["connect_timeout_seconds"] = json!(1);
        change(&mut config);
        world.write_config(&config);
        Self { world, server: Some(server) }
    }

    /// Does something to the server; that blocks.
    async fn server(
        &mut self,
        what: impl FnOnce(&mut Server) -> Result<(), Error> + Send + 'static,
    ) {
        let mut server = self.server.take().expect("there");
        let done = tokio::task::spawn_blocking(move || {
            what(&mut server).expect("the server does it");
            server
        });
        self.server = Some(done.await.expect("joins"));
    }

    /// Waits until a condition on the status tables holds while the program runs.
    async fn until(&self, child: Child, condition: &str) -> Child {
        let installed = format!("to_regclass('{ITEMS}') is not null");
        let child = self.world.until_with(child, &installed).await;
        self.world.until_with(child, condition).await
    }

    async fn completed_chunks(&self) -> u64 {
        self.world.count(&format!("{ITEMS} where kind = 'chunk' and status = 'completed'")).await
    }

    async fn holds_exactly_the_source(&self, ended: &Ended) {
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let rows = "select count(*) || ' ' || count(distinct id) || ' ' || min(id) || ' ' || max(id) \
                    from orders";
        assert_eq!(self.world.text(rows).await.as_deref(), Some("2000 2000 0 1999"));
        let table = "select status || ' ' || completed_chunks || ' ' || total_rows_copied \
                     from migration_status.migration_table_status";
        assert_eq!(self.world.text(table).await.as_deref(), Some("completed 20 2000"));
        let open = format!("{ITEMS} where status <> 'completed'");
        assert_eq!(self.world.count(&open).await, 0);
    }
}

fn chunks_completed(least: u32) -> String {
    format!("select count(*) >= {least} from {ITEMS} where kind = 'chunk' and status = 'completed'")
}

/// Nothing but commits that ask for it makes this server write its log, once its log writer is
/// stopped.
fn forgetful() -> ServerOptions {
    ServerOptions::new().setting("bgwriter_lru_maxpages", "0").setting("autovacuum", "off")
}

/// From now on asynchronous commits stay in the memory of the server.
async fn stop_log_writer(world: &World) {
    let pid = "select pid::text from pg_stat_activity where backend_type = 'walwriter'";
    let pid = world.text(pid).await.expect("runs");
    let stopped = tokio::process::Command::new("kill").args(["-STOP", &pid]).status().await;
    assert!(stopped.expect("kill is there").success());
}

async fn crash_and_restart(outage: &mut Outage) {
    outage.server(|server| server.stop_now().and_then(|()| server.restart())).await;
}

#[tokio::test]
async fn commits_that_a_crash_of_the_server_took_along_are_found_and_made_again() {
    let mut outage = Outage::new(forgetful(), |_| {}).await;
    let child = outage.world.start(&[]);
    let child = outage.until(child, &chunks_completed(3)).await;
    stop_log_writer(&outage.world).await;
    let child = outage.until(child, &chunks_completed(7)).await;
    let before = outage.completed_chunks().await;
    crash_and_restart(&mut outage).await;
    let after = outage.completed_chunks().await;
    assert!(after < before, "{before} chunks were committed, {after} are left: none was lost");
    let ended = ended(child).await;
    outage.holds_exactly_the_source(&ended).await;
    let runs = outage.world.count("migration_status.migration_runs").await;
    assert_eq!(runs, 1, "the process went on by itself");
}

#[tokio::test]
async fn a_crash_right_after_preparing_undoes_nothing_of_it() {
    let beside = |config: &mut Json| {
        let table = &mut config["sources"][0]["tables"][0];
        table["truncate_onstart"] = json!(false);
        table["replace"] = json!("atomic");
    };
    for (change, is_emptied) in [((|_| {}) as fn(&mut Json), true), (beside, false)] {
        let mut outage = Outage::new(forgetful(), change).await;
        outage.world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(700));
        let prepared = format!(
            "select coalesce(bool_and(status = 'completed'), false) \
             from {ITEMS} where kind = 'prepare'"
        );
        stop_log_writer(&outage.world).await;
        let child = outage.world.start(&[]);
        let child = outage.until(child, &prepared).await;
        crash_and_restart(&mut outage).await;
        if is_emptied {
            assert_eq!(outage.world.count("orders where id < 0").await, 0, "emptied for good");
        }
        outage.world.double.knobs().set_latency(RequestKind::Chunk, Duration::from_millis(10));
        let ended = ended(child).await;
        outage.holds_exactly_the_source(&ended).await;
    }
}

#[tokio::test]
async fn a_server_that_is_restarted_twice_in_mid_copy_is_waited_for() {
    let mut outage = Outage::new(ServerOptions::new(), |_| {}).await;
    let mut child = outage.world.start(&[]);
    for least in [3, 9] {
        child = outage.until(child, &chunks_completed(least)).await;
        outage.server(Server::restart).await;
    }
    let ended = ended(child).await;
    outage.holds_exactly_the_source(&ended).await;
}

#[tokio::test]
async fn a_server_that_is_gone_for_good_ends_the_run_which_the_same_command_goes_on_with() {
    let mut outage = Outage::new(ServerOptions::new(), |_| {}).await;
    let child = outage.world.start(&[]);
    let child = outage.until(child, &chunks_completed(3)).await;
    outage.server(Server::stop_now).await;
    let gone = ended(child).await;
    assert!(matches!(gone.code, Some(1 | 4)), "{:?}: {}", gone.code, gone.stderr);
    let last = gone.stderr.lines().rfind(|line| line.contains("| ERROR |")).expect("an error");
    assert!(last.contains("fix: start the server"), "{}", gone.stderr);
    assert!(!gone.stdout.contains("completed:"), "{}", gone.stdout);

    outage.server(Server::restart).await;
    let again = outage.world.run(&[]).await;
    assert!(again.stderr.contains("Resuming run"), "{}", again.stderr);
    outage.holds_exactly_the_source(&again).await;
}

/// Makes sessions that begin from now on read only, or no more, through one that began before.
async fn read_only(session: &mut PgConnection, on: bool) {
    let statement = if on {
        "do $$ begin execute format('alter database %I set default_transaction_read_only = on', \
         current_database()); end $$"
    } else {
        "do $$ begin execute format('alter database %I set default_transaction_read_only = off', \
         current_database()); end $$"
    };
    session.execute(statement).await.expect(statement);
}

#[tokio::test]
async fn a_server_that_only_reads_for_a_while_is_waited_for() {
    let outage = Outage::new(ServerOptions::new(), |_| {}).await;
    let mut administrator = outage.world.hold("select").await;
    let child = outage.world.start(&[]);
    let child = outage.until(child, &chunks_completed(3)).await;
    read_only(&mut administrator, true).await;
    let end_all = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where application_name = 'migrate from snowflake' \
                     and datname = current_database()";
    administrator.execute(end_all).await.expect("ends them");
    let before = outage.completed_chunks().await;
    // A new session of the program has been refused to write.
    let refused = format!(
        "select count(*) > 0 from {OURS} and query like '%migration_work_items%' \
         and query not like 'select %' and state = 'idle' and pid <> pg_backend_pid()"
    );
    let child = outage.until(child, &refused).await;
    assert_eq!(outage.completed_chunks().await, before, "nothing was written meanwhile");
    read_only(&mut administrator, false).await;
    let ended = ended(child).await;
    assert!(ended.stderr.contains("the server only reads"), "{}", ended.stderr);
    outage.holds_exactly_the_source(&ended).await;
}

#[tokio::test]
async fn a_server_that_only_reads_from_the_start_is_named_with_the_next_step() {
    let outage = Outage::new(ServerOptions::new(), |_| {}).await;
    let mut administrator = outage.world.hold("select").await;
    read_only(&mut administrator, true).await;
    let refused = outage.world.run(&[]).await;
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("fix: the server only reads"), "{}", refused.stderr);
    read_only(&mut administrator, false).await;
    let ended = outage.world.run(&[]).await;
    outage.holds_exactly_the_source(&ended).await;
}
