//! A fresh database for each test.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::quoting::url_without_password;
use crate::server::Server;
use crate::statement::{self, Statement};
use crate::test_server::{self, TestServer};

/// How much of a test's name goes into the name of its database: PostgreSQL cuts names at 63
/// bytes, and process, moment and counter take up to 30.
const TEST_NAME_CHARS: usize = 30;

/// A fresh database, dropped at the end of the test; kept, and its URL printed, when the test
/// panics.
///
/// ```
/// use postgres_sandbox::TestDatabase;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let database = TestDatabase::create().await;
/// assert!(database.url().ends_with(database.name()));
/// # }
/// ```
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
    /// How to reach another database of the same server.
    maintenance: Maintenance,
}

/// A URL that may hold a password, so it is never printed.
struct Maintenance(String);

impl std::fmt::Debug for Maintenance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&url_without_password(&self.0))
    }
}

impl TestDatabase {
    /// Makes a database on the shared server, see [`TestServer::shared`].
    ///
    /// # Panics
    ///
    /// Without a server or the right to create databases, with what to do about it.
    ///
    /// # Cancellation safety
    ///
    /// A call that is dropped half way can leave an empty database on the server.
    pub async fn create() -> Self {
        let mut databases = Self::create_many(1).await;
        databases.pop().expect("invariant: one database was made, since failing panics")
    }

    /// Makes several databases on the shared server.
    ///
    /// # Panics
    ///
    /// As [`TestDatabase::create`].
    pub async fn create_many(count: usize) -> Vec<Self> {
        // Starting a server blocks for a second, and a test may have a runtime of one thread.
        let server = match tokio::task::spawn_blocking(TestServer::shared).await {
            Ok(server) => server,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => TestServer::shared(), // the runtime ends; without it there is no test
        };
        let names = new_names(count);
        let urls = names.iter().map(|name| server.url(name)).collect();
        Self::make(names, urls, server.maintenance_url()).await
    }

    /// Makes a database on a server of the test's own, see [`TestServer::private`].
    ///
    /// # Panics
    ///
    /// When the server does not answer.
    pub async fn create_on(server: &Server) -> Self {
        let names = new_names(1);
        let urls = names.iter().map(|name| server.url(name)).collect();
        let mut databases = Self::make(names, urls, server.url("postgres")).await;
        databases.pop().expect("invariant: one database was made, since failing panics")
    }

    /// URL of the database. With a server that `MIGRATE_TEST_DATABASE_URL` names it holds that
    /// URL's password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Name of the database: `test`, the test's name, and a part that makes it unique.
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn make(names: Vec<String>, urls: Vec<String>, maintenance_url: String) -> Vec<Self> {
        let created = statement::execute(&maintenance_url, Statement::Create, &names).await;
        created.unwrap_or_else(|error| test_server::fail(&error));
        let database = |(name, url)| {
            let maintenance = Maintenance(maintenance_url.clone());
            Self { name, url, maintenance }
        };
        names.into_iter().zip(urls).map(database).collect()
    }

    /// Drops the database on a thread with a runtime of its own: the test's runtime is the one
    /// that is being left, and sessions of it may still be open.
    fn remove(&self) -> Result<(), Error> {
        let names = [self.name.clone()];
        let url = &self.maintenance.0;
        thread::scope(|scope| {
            let work = scope.spawn(|| {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                match runtime.enable_all().build() {
                    Ok(runtime) => {
                        runtime.block_on(statement::execute(url, Statement::Drop, &names))
                    }
                    Err(source) => Err(Error::Database {
                        action: format!("drop the database {}", self.name),
                        server: url_without_password(url),
                        hint: "this process may open more files",
                        source: source.into(),
                    }),
                }
            });
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl Drop for TestDatabase {
    #[expect(clippy::print_stderr, reason = "whoever reads a failed test looks for its database")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the test failed; its database is kept: {}", url_without_password(&self.url));
        } else if let Err(error) = self.remove() {
            tracing::warn!(%error, "a test database stays");
        }
    }
}

fn new_names(count: usize) -> Vec<String> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // Test harnesses name the thread after the test; elsewhere there is no name to use.
    let current = thread::current();
    let test = current.name().map(readable).unwrap_or_default();
    let moment = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unique = |number: u64| format!("{}_{:x}_{number}", process::id(), moment.subsec_micros());
    (0..count)
        .map(|_| format!("test_{test}_{}", unique(COUNTER.fetch_add(1, Ordering::Relaxed))))
        .collect()
}

/// The end of a test's path, in characters that need no quotes in SQL.
fn readable(path: &str) -> String {
    let name = path.rsplit("::").next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().take(TEST_NAME_CHARS).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_test_and_need_no_quotes() {
        let names = new_names(2);
        let name = names.first().unwrap();
        assert!(name.starts_with("test_names_tell_the_test_and_need_n_"), "{name}");
        assert!(name.len() <= 63);
        assert_ne!(names.first(), names.last());
        assert_eq!(readable("a::b::Mixed-Case"), "mixed_case");
    }
}
