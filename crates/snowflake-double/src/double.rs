//! A running double: the handle that a test or the demo holds.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::builder::{DoubleBuilder, Host};
use crate::error::Error;
use crate::knobs::Knobs;
use crate::log::{Outcome, Request, RequestKind};
use crate::server::State;
use crate::table::{Entry, Table, TableName};
use crate::value::Value;

/// How many connections were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCount {
    /// To the account, since the start.
    pub account: usize,
    /// To the storage of chunks, since the start.
    pub chunks: usize,
    /// To either, open now.
    pub open: usize,
}

/// A running double. Dropping it ends everything.
#[derive(Debug)]
pub struct Double {
    state: Arc<State>,
    base_url: String,
    servers: JoinSet<io::Result<()>>,
    host: Host,
}

impl Double {
    pub(crate) fn new(
        state: Arc<State>,
        base_url: String,
        servers: JoinSet<io::Result<()>>,
        host: Host,
    ) -> Self {
        Self { state, base_url, servers, host }
    }

    /// Starts to describe a double.
    pub fn builder() -> DoubleBuilder {
        DoubleBuilder::new()
    }

    /// Where the account is: `http://127.0.0.1:<port>`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Where chunks come from: another host name and port.
    pub fn chunk_url(&self) -> &str {
        &self.state.chunk_base
    }

    /// A handle to the knobs.
    pub fn knobs(&self) -> Knobs {
        self.state.knobs.clone()
    }

    /// All requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.state.log.snapshot()
    }

    /// The texts of all statements that ran, in order; repeated request ids count once.
    pub fn statements(&self) -> Vec<String> {
        self.state
            .log
            .with(|requests| requests.iter().filter_map(ran).map(ToString::to_string).collect())
    }

    /// How many statements that ran fulfil a condition.
    pub fn count_statements(&self, condition: impl Fn(&str) -> bool) -> usize {
        self.state
            .log
            .with(|requests| requests.iter().filter_map(ran).filter(|sql| condition(sql)).count())
    }

    /// How many requests of a kind arrived.
    pub fn count_requests(&self, kind: RequestKind) -> usize {
        self.state
            .log
            .with(|requests| requests.iter().filter(|request| request.kind == kind).count())
    }

    /// The ids of the statements that an abort ended.
    pub fn aborted(&self) -> Vec<String> {
        let is_aborted = |request: &&Request| {
            let has_ended = matches!(request.outcome, Outcome::Answered { code: None, .. });
            request.kind == RequestKind::Abort && has_ended
        };
        self.state.log.with(|requests| {
            requests
                .iter()
                .filter(is_aborted)
                .filter_map(|request| request.query_id.as_ref().map(ToString::to_string))
                .collect()
        })
    }

    /// Waits until the log fulfils a condition, without polling.
    ///
    /// # Errors
    ///
    /// [`Error::NotSeen`] with the log if it does not within `most`.
    pub async fn wait_for(
        &self,
        most: Duration,
        condition: impl Fn(&[Request]) -> bool + Send + Sync,
    ) -> Result<(), Error> {
        self.state
            .log
            .wait(most, condition)
            .await
            .map_err(|seen| Error::NotSeen { waited: most, seen })
    }

    /// Waits until no statement runs any more, whoever still waits for its answer.
    ///
    /// # Errors
    ///
    /// [`Error::NotSeen`] with the statements that run on after `most`.
    pub async fn wait_idle(&self, most: Duration) -> Result<(), Error> {
        let running = self.state.store.running();
        let ended = async {
            for statement in &running {
                // The sender lives in the statement, so the channel cannot close.
                if statement.done.subscribe().wait_for(Option::is_some).await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(most, ended).await.map_err(|_| {
            let sql =
                self.state.store.running().iter().map(|it| it.sql.to_string()).collect::<Vec<_>>();
            Error::NotSeen { waited: most, seen: format!("running: {}", sql.join("; ")) }
        })
    }

    /// Connections so far.
    pub fn connections(&self) -> ConnectionCount {
        let (account, chunks) = (&self.state.account_connections, &self.state.chunk_connections);
        ConnectionCount {
            account: account.accepted(),
            chunks: chunks.accepted(),
            open: account.open() + chunks.open(),
        }
    }

    /// Sessions that were opened and not closed.
    pub fn open_sessions(&self) -> usize {
        self.state.sessions.count()
    }

    /// Ends the tokens of all sessions: their next request gets 390112.
    pub fn expire_sessions(&self) {
        self.state.sessions.expire_all();
    }

    /// Moves the double's clock forward: tokens, links and past versions grow older.
    pub fn advance_clock(&self, time: Duration) {
        self.state.clock.advance(time);
    }

    /// Adds a table.
    ///
    /// # Errors
    ///
    /// What is wrong with the table; [`Error::TableExists`].
    pub fn create_table(&self, table: Table) -> Result<(), Error> {
        let now = self.state.clock.change();
        self.state.catalog().create(table, now)
    }

    /// Replaces a table by another one of its name; earlier versions are gone.
    ///
    /// # Errors
    ///
    /// What is wrong with the table.
    pub fn replace_table(&self, table: Table) -> Result<(), Error> {
        let now = self.state.clock.change();
        self.state.catalog().replace(table, now)
    }

    /// Drops a table.
    ///
    /// # Errors
    ///
    /// [`Error::TableMissing`], [`Error::TableName`].
    pub fn drop_table(&self, name: &str) -> Result<(), Error> {
        let name = TableName::parse(name)?;
        self.state.catalog().drop_table(&name)
    }

    /// Adds rows to a table. Statements that read an earlier instant do not see them.
    ///
    /// # Errors
    ///
    /// [`Error::TableMissing`], [`Error::TableName`], [`Error::Row`].
    pub fn insert<R: IntoIterator<Item = Value>>(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<(), Error> {
        let name = TableName::parse(name)?;
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let now = self.state.clock.change();
        self.state.catalog().insert(&name, &rows, now)
    }

    /// Replaces all rows of a table. Statements that read an earlier instant see the old ones.
    ///
    /// # Errors
    ///
    /// [`Error::TableMissing`], [`Error::TableName`], [`Error::Row`].
    pub fn replace_rows<R: IntoIterator<Item = Value>>(
        &self,
        name: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<(), Error> {
        let name = TableName::parse(name)?;
        let rows: Vec<Vec<Value>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let now = self.state.clock.change();
        self.state.catalog().replace_rows(&name, &rows, now)
    }

    /// Lets every `AT(...)` on a table fail as beyond the retention.
    ///
    /// # Errors
    ///
    /// [`Error::TableMissing`], [`Error::TableName`].
    pub fn deny_time_travel(&self, name: &str) -> Result<(), Error> {
        let name = TableName::parse(name)?;
        self.state.catalog().set_time_travel(&name, false)
    }

    /// Answers each statement that fulfils the condition once and hands the same rows out to every
    /// equal one, with the bodies made ahead. For benchmarks of clients, over tables that do not
    /// change.
    pub fn keep_answers(&self, is_wanted: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.state.kept.keep(Box::new(is_wanted));
    }

    /// How long past versions of tables stay from now on.
    pub fn set_retention(&self, retention: Duration) {
        self.state.catalog().retention = retention;
    }

    /// Bytes that the newest versions of all tables take.
    pub fn table_bytes(&self) -> usize {
        self.state.catalog().entries().map(Entry::bytes).sum()
    }

    /// Ends the servers and waits until their ports are free.
    pub async fn shutdown(mut self) {
        self.servers.shutdown().await;
        self.state.running().abort_all();
    }
}

/// The statement of a request that made one run.
fn ran(request: &Request) -> Option<&Arc<str>> {
    let is_new = request.kind == RequestKind::Query && !request.is_repeated;
    // Without an id the request was refused or lost before a statement came of it.
    request.sql.as_ref().filter(|_| is_new && request.query_id.is_some())
}

impl Drop for Double {
    fn drop(&mut self) {
        self.servers.abort_all();
        self.state.running().abort_all();
        // Threads that evaluate cannot be aborted, only told.
        self.state.store.cancel_all();
        self.host.end();
    }
}
