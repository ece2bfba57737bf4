//! The builder of a double: what exists before it starts, and the start itself.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::clock::Clock;
use crate::double::Double;
use crate::error::Error;
use crate::knobs::Knobs;
use crate::log::Log;
use crate::server::{self, Bound, Connections, KeptAnswers, State};
use crate::session::Sessions;
use crate::sql::Account;
use crate::store::Store;
use crate::table::{Catalog, ColumnNames, Table};
use crate::user::User;

/// Threads that serve requests. Evaluation and rendering have threads of their own.
const SERVER_THREADS: usize = 2;
/// Stack of all threads; expressions may nest deeply.
const STACK_BYTES: usize = 8 << 20;

/// Describes a double before it starts.
#[derive(Debug)]
#[must_use]
pub struct DoubleBuilder {
    account: String,
    users: Vec<User>,
    tables: Vec<Table>,
    schemas: Vec<(String, String)>,
    warehouses: Vec<String>,
    roles: Vec<String>,
    chunk_host: String,
    retention: Duration,
    knobs: Knobs,
    failure: Option<Error>,
}

impl DoubleBuilder {
    pub(crate) fn new() -> Self {
        Self {
            account: "ACME".to_owned(),
            users: Vec::new(),
            tables: Vec::new(),
            schemas: Vec::new(),
            warehouses: Vec::new(),
            roles: Vec::new(),
            chunk_host: "localhost".to_owned(),
            retention: Duration::from_hours(24),
            knobs: Knobs::default(),
            failure: None,
        }
    }

    /// The account's name, up to its first dot. Default `ACME`.
    pub fn account(mut self, name: impl AsRef<str>) -> Self {
        self.account = name.as_ref().split('.').next().unwrap_or_default().to_uppercase();
        self
    }

    /// Adds a user. Without users, nobody can log in.
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a table.
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// Adds a table with the columns and rows of a Parquet file; see [`Table::from_parquet`].
    /// A file that cannot be read is reported by [`start`](Self::start).
    pub fn parquet(self, name: &str, path: impl AsRef<Path>, names: ColumnNames) -> Self {
        match Table::from_parquet(name, path, names) {
            Ok(table) => self.table(table),
            Err(error) => Self { failure: self.failure.or(Some(error)), ..self },
        }
    }

    /// Adds a schema without tables. Names are taken exactly.
    pub fn schema(mut self, database: impl Into<String>, schema: impl Into<String>) -> Self {
        self.schemas.push((database.into(), schema.into()));
        self
    }

    /// Adds a warehouse. Once there is one, sessions without one cannot read tables.
    pub fn warehouse(mut self, name: impl Into<String>) -> Self {
        self.warehouses.push(name.into());
        self
    }

    /// Adds a role. Once there is one, logins with other roles are refused.
    pub fn role(mut self, name: impl Into<String>) -> Self {
        self.roles.push(name.into());
        self
    }

    /// The host name in links to chunks, which must lead to 127.0.0.1. Default `localhost`, so that
    /// chunks come from another host than the account.
    pub fn chunk_host(mut self, host: impl Into<String>) -> Self {
        self.chunk_host = host.into();
        self
    }

    /// How long past versions of tables stay. Default one day.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Uses a handle whose knobs were turned before.
    pub fn knobs(mut self, knobs: Knobs) -> Self {
        self.knobs = knobs;
        self
    }

    /// Starts the double on free loopback ports.
    ///
    /// The double has a runtime of its own: it goes on while the caller's tasks do not run, and the
    /// caller may pause the time of its own runtime.
    ///
    /// # Errors
    ///
    /// What is wrong with a table, a user or a Parquet file; [`Error::Start`] if the system refuses.
    pub async fn start(self) -> Result<Double, Error> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        let clock = Clock::default();
        let mut catalog = Catalog::new(self.retention);
        for (database, schema) in self.schemas {
            catalog.add_schema(database, schema);
        }
        let now = clock.change();
        for table in self.tables {
            catalog.create(table, now)?;
        }
        let users = self.users.into_iter().map(User::prepare).collect::<Result<Vec<_>, _>>()?;
        let failed = |source| Error::Start { source };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVER_THREADS)
            .thread_name("snowflake-double")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(failed)?;
        let host = Host { runtime: Some(runtime) };
        let account_connections = Arc::new(Connections::default());
        let chunk_connections = Arc::new(Connections::default());
        let account_server = host.bind(&account_connections).await.map_err(failed)?;
        let chunk_server = host.bind(&chunk_connections).await.map_err(failed)?;
        let base_url = format!("http://127.0.0.1:{}", account_server.port().map_err(failed)?);
        let chunk_port = chunk_server.port().map_err(failed)?;
        let state = Arc::new(State {
            account_name: self.account,
            account: Account { warehouses: self.warehouses, roles: self.roles },
            users,
            clock,
            knobs: self.knobs,
            log: Arc::new(Log::new()),
            sessions: Sessions::default(),
            store: Arc::new(Store::default()),
            catalog: Mutex::new(catalog),
            kept: KeptAnswers::default(),
            chunk_base: format!("http://{}:{chunk_port}", self.chunk_host),
            secret: Uuid::new_v4().to_string(),
            account_connections,
            chunk_connections,
            running: Mutex::new(JoinSet::new()),
        });
        let mut servers = JoinSet::new();
        host.serve(&mut servers, server::serve_account(account_server, Arc::clone(&state)));
        host.serve(&mut servers, server::serve_chunks(chunk_server, Arc::clone(&state)));
        Ok(Double::new(state, base_url, servers, host))
    }
}

/// The runtime of a double, which may be dropped inside another runtime.
#[derive(Debug)]
pub(crate) struct Host {
    runtime: Option<Runtime>,
}

impl Host {
    async fn bind(&self, connections: &Arc<Connections>) -> io::Result<Bound> {
        let gone = || io::Error::other("the runtime has ended");
        let handle = self.runtime.as_ref().ok_or_else(gone)?.handle().clone();
        let bound = Bound::new(Arc::clone(connections));
        let mut inside = JoinSet::new();
        inside.spawn_on(bound, &handle);
        inside.join_next().await.ok_or_else(gone)?.map_err(io::Error::other)?
    }

    fn serve(
        &self,
        servers: &mut JoinSet<io::Result<()>>,
        server: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        if let Some(runtime) = &self.runtime {
            servers.spawn_on(server, runtime.handle());
        }
    }

    pub(crate) fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting is not allowed inside another runtime, and not needed.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}
