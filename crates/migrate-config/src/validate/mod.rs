//! From keys to a checked configuration. Every function reads what it can and complains about the
//! rest; whether there were complaints is decided once, by the caller.

mod connection;
mod keys;
mod limits;
mod names;
mod source;
mod table;
mod unknown;

use crate::reader::Scope;
use crate::settings::{Config, Connector};
use limits::Inherited;
use source::Shared;
use unknown::Place;

/// Reads the whole document. The result is only worth something if there was no error.
pub(crate) fn config(scope: &Scope<'_>) -> Config {
    let root = scope.root();
    let inherited = Inherited::read(&root);
    let target = connection::connector(&root, "target");
    let status = connection::connector(&root, "status");
    let heads = source::heads(&root);

    let snowflake = connection::snowflake(&root, heads.iter().any(source::Head::needs_snowflake));
    let needs_postgres = [&target, &status].contains(&&Connector::Postgres);
    let postgres = connection::postgres(&root, needs_postgres);

    let account = snowflake.as_ref().map_or("", |snowflake| snowflake.account.as_str());
    let sources = source::read(heads, &Shared { inherited: &inherited, target: &target, account });
    let run = limits::run(&root, &inherited);
    if let Some(status) = &run.status_tracking_database {
        let targets = sources.enabled.iter().flat_map(|source| &source.tables);
        let elsewhere =
            targets.filter_map(|table| table.target.database.as_ref()).find(|name| *name != status);
        if let Some(target) = elsewhere {
            root.at("status_tracking_database").warning(
                format!("The status tables stay in {target}, beside the data"),
                "remove the key: a chunk and its completion are committed in one database",
            );
        }
    }
    root.finish(unknown::hint(Place::Root));
    Config {
        snowflake,
        postgres,
        run,
        sources: sources.enabled,
        disabled_sources: sources.disabled,
        notices: Vec::new(),
        target,
        status,
    }
}
