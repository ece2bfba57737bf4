//! Searching and fetching.

use postgres_sandbox::{Error, Installation, Origin, Search, Server, ServerOptions, Step};
use sqlx::Executor as _;

use super::{TemporaryFolder, connect};

/// Fetching needs the network and minutes on a slow one, so it is asked for with this variable.
const MARKER: &str = "POSTGRES_SANDBOX_TEST_FETCH";

#[test]
fn a_search_without_any_place_lists_the_remedies() {
    let cache = TemporaryFolder::new();
    let search =
        Search::new().ignoring_installed().without_fetching().with_cache_folder(cache.path());
    let error = Installation::find(&search).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("PGBIN="), "{error}");
}

#[test]
fn a_search_tells_what_it_does() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let search = Search::new().with_report(move |step| sender.send(step.clone()).unwrap());
    let installation = Installation::find(&search).unwrap();
    drop(search);
    assert_eq!(receiver.iter().collect::<Vec<Step>>(), installation.steps());
    assert!(matches!(installation.steps().last(), Some(Step::Found { .. })));
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test is switched on by a variable")]
async fn a_server_is_fetched_into_an_empty_cache() {
    if std::env::var_os(MARKER).is_none() {
        eprintln!("nothing was fetched: set {MARKER}=1 to try it");
        return;
    }
    let cache = TemporaryFolder::new();
    let search = Search::new().ignoring_installed().with_cache_folder(cache.path());
    let fetched = Installation::find(&search).unwrap();
    assert_eq!(fetched.origin(), Origin::Fetched);
    assert!(fetched.folder().starts_with(cache.path()));
    for step in fetched.steps() {
        println!("{step}");
    }

    let server = Server::start(&fetched, ServerOptions::new()).unwrap();
    let mut session = connect(&server).await;
    session.execute("set jit_above_cost = 0").await.unwrap();
    session.execute("select sum(n) from generate_series(1, 1000) n").await.unwrap();
    session.execute("create extension pgcrypto").await.unwrap();
    assert!(super::shell(&format!("{} -c 'select 1' >/dev/null", server.psql_line("postgres"))));
    assert!(server.bin("pg_dump").is_ok() && server.bin("createdb").is_ok());

    let again = Installation::find(&search).unwrap();
    assert_eq!(again.origin(), Origin::Cache);
    assert_eq!(again.folder(), fetched.folder());
}
