//! The entries of `sources`.

use std::collections::BTreeMap;

use migrate_core::{Dialect, TableRef};

use crate::reader::{Item, Reader};
use crate::settings::{Connector, LoadMode, SourceConfig, SourceKind};
use crate::validate::limits::Inherited;
use crate::validate::names;
use crate::validate::table::{self, Draft, Surroundings};
use crate::validate::unknown::{self, Place};

const SNOWFLAKE: &str = "snowflake";
const PARQUET: &str = "parquet";

/// A source of which only as much has been read as others need to know.
pub(super) struct Head<'d> {
    reader: Reader<'d>,
    enabled: bool,
    type_name: String,
}

/// What all sources share.
pub(super) struct Shared<'c> {
    pub(super) inherited: &'c Inherited,
    pub(super) target: &'c Connector,
    /// The account of the block `snowflake`; empty where there is none.
    pub(super) account: &'c str,
}

/// All sources.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) enabled: Vec<SourceConfig>,
    pub(super) disabled: Vec<String>,
}

/// The start of every source.
pub(super) fn heads<'d>(root: &Reader<'d>) -> Vec<Head<'d>> {
    let Some(list) = root.require("sources", "[{…}]") else { return Vec::new() };
    if list.is_hollow() {
        list.error("There is no source", "start from examples/config.json");
        return Vec::new();
    }
    let readers = list.list().unwrap_or_default().into_iter().filter_map(|item| item.object());
    let heads: Vec<_> = readers.map(head).collect();
    if !heads.is_empty() && !heads.iter().any(|head| head.enabled) {
        list.spot().warning("No source is enabled", "set \"enabled\": true at a source");
    }
    heads
}

fn head(mut reader: Reader<'_>) -> Head<'_> {
    let enabled = reader.take_enabled();
    let type_name = reader.take("type").and_then(|item| item.text());
    Head { enabled, type_name: type_name.unwrap_or_else(|| SNOWFLAKE.to_owned()), reader }
}

impl Head<'_> {
    /// Whether the block `snowflake` is needed.
    pub(super) fn needs_snowflake(&self) -> bool {
        self.enabled && self.type_name == SNOWFLAKE
    }
}

/// Reads all sources with their tables.
pub(super) fn read(heads: Vec<Head<'_>>, shared: &Shared<'_>) -> Sources {
    let mut sources = Sources::default();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut drafts = Vec::new();
    for head in heads {
        let name = head.reader.require("source_name", "\"analytics\"");
        let name = name.and_then(|item| item.text());
        if !head.enabled {
            sources.disabled.extend(name.clone());
            body(head, name, shared);
            continue;
        }
        check_name(&head, name.as_deref(), &mut names);
        drafts.push(body(head, name, shared));
    }
    check_targets(drafts.iter().flat_map(|(_, tables)| tables));
    for (source, tables) in drafts {
        let tables = tables.into_iter().map(|draft| draft.table).collect();
        sources.enabled.extend(source.map(|source| SourceConfig { tables, ..source }));
    }
    sources
}

fn check_name(head: &Head<'_>, name: Option<&str>, names: &mut BTreeMap<String, String>) {
    let Some(name) = name else { return };
    if let Some(other) = names.insert(name.to_owned(), head.reader.path().to_owned()) {
        let hint = "give each source a name of its own";
        head.reader.at("source_name").error(format!("The name is taken by {other}"), None, hint);
    }
}

/// Everything behind the name. An incomplete source still has its tables checked.
fn body<'d>(
    head: Head<'d>,
    name: Option<String>,
    shared: &Shared<'_>,
) -> (Option<SourceConfig>, Vec<Draft<'d>>) {
    let reader = head.reader;
    let inherited = Inherited::read(&reader).over(shared.inherited);
    let target_dialect = (*shared.target == Connector::Postgres).then_some(Dialect::Postgres);
    let (database, schema) = target(&reader, target_dialect);
    let tables = reader.require("tables", "[{\"source\": \"TABLE\", \"target\": \"table\"}]");
    let path = reader.path().to_owned();
    let kind = kind(reader, &head.type_name, shared.account);

    // Stands in for what is missing and has been told, so that the tables can be checked too.
    let missing = SourceKind::Parquet { path: String::new() };
    let around = Surroundings {
        source_name: name.as_deref().unwrap_or_default(),
        source_kind: kind.as_ref().unwrap_or(&missing),
        target: (database.as_deref(), schema.as_deref()),
        target_dialect,
        inherited: &inherited,
    };
    let (drafts, disabled_table_count) = read_tables(tables, &around);
    let tables = Vec::new();
    let source = name.zip(kind).map(|(name, kind)| SourceConfig {
        path,
        name,
        kind,
        tables,
        disabled_table_count,
    });
    (source, drafts)
}

/// The enabled tables, and how many are disabled.
fn read_tables<'d>(list: Option<Item<'d>>, around: &Surroundings<'_>) -> (Vec<Draft<'d>>, usize) {
    let mut drafts = Vec::new();
    let mut disabled_count = 0;
    let Some(list) = list else { return (drafts, disabled_count) };
    let Some(items) = list.list() else { return (drafts, disabled_count) };
    let count = items.len();
    for mut reader in items.into_iter().filter_map(|item| item.object()) {
        let enabled = reader.take_enabled();
        let draft = table::read(&reader, around);
        if enabled {
            drafts.extend(draft);
        } else {
            disabled_count += 1;
        }
    }
    if count == disabled_count {
        let what = if count == 0 { "The source has no table" } else { "No table is enabled" };
        list.spot().warning(what, "add a table, or set \"enabled\": false at the source");
    }
    (drafts, disabled_count)
}

/// What the source is. Comes last, because a registered connector gets every key that is left.
fn kind(reader: Reader<'_>, type_name: &str, account: &str) -> Option<SourceKind> {
    let kind = match type_name {
        SNOWFLAKE => {
            let identifier = |key, example| {
                reader.require(key, example).and_then(|item| item.identifier(Dialect::Snowflake))
            };
            let database = identifier("source_sf_database", "\"ANALYTICS\"");
            let schema = identifier("source_sf_schema", "\"PUBLIC\"");
            let account = account.to_owned();
            database.zip(schema).map(|(database, schema)| SourceKind::Snowflake {
                account,
                database,
                schema,
            })
        }
        PARQUET => {
            let path = reader.require("path", "\"data\"").and_then(|item| item.text());
            path.map(|path| SourceKind::Parquet { path })
        }
        name => {
            let name = name.to_owned();
            return Some(SourceKind::Registered { name, options: reader.into_options() });
        }
    };
    reader.finish(unknown::hint(Place::Source));
    kind
}

/// Database and schema of the target; PostgreSQL needs both.
fn target(reader: &Reader<'_>, dialect: Option<Dialect>) -> (Option<String>, Option<String>) {
    if dialect.is_none() {
        let text = |key| reader.take(key).and_then(|item| item.text());
        return (text("target_pg_database"), text("target_pg_schema"));
    }
    let database = reader.require("target_pg_database", "\"warehouse\"");
    let schema = reader.require("target_pg_schema", "\"public\"");
    (
        database.and_then(|item| names::database(&item)),
        schema.and_then(|item| table::name(&item, dialect)),
    )
}

/// Two entries may fill one table only if neither empties it.
fn check_targets<'a, 'd: 'a>(drafts: impl Iterator<Item = &'a Draft<'d>>) {
    let mut first: BTreeMap<&TableRef, &Draft<'d>> = BTreeMap::new();
    for draft in drafts {
        let Some(other) = first.insert(&draft.table.target, draft) else { continue };
        let destroys = |draft: &Draft<'_>| draft.table.load_mode().is_full_load();
        if !destroys(draft) && !destroys(other) {
            continue;
        }
        let modes = [draft.table.load_mode(), other.table.load_mode()];
        let verb = if modes.contains(&LoadMode::Replace) { "replaced" } else { "truncated" };
        let target = &draft.table.target;
        draft.spot.error(
            format!("The target {target} is filled by {} too, and {verb}", other.table.path),
            None,
            "give one of them another target, disable one, or let both only add rows",
        );
    }
}
