//! Starts a server that outlives this program, for a look around or for a test runner that
//! starts each test in a process of its own: its set-up script runs this and exports the URL as
//! `MIGRATE_TEST_DATABASE_URL`. Run it with `cargo run -p postgres-sandbox --example detached`.

use postgres_sandbox::{Installation, Search, Server, ServerOptions};

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), postgres_sandbox::Error> {
    let installation = Installation::find(&Search::new())?;
    let options = ServerOptions::new().setting("max_connections", "300");
    let detached = Server::start(&installation, options)?.detach()?;
    println!("url={}", detached.url());
    println!("psql={}", detached.psql_line());
    println!("stop={}", detached.stop_line());
    if let Some(folder) = detached.folder() {
        println!("folder={}", folder.display());
    }
    Ok(())
}
