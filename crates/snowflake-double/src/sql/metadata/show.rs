//! `SHOW TABLES, COLUMNS, PRIMARY KEYS, SCHEMAS, DATABASES, WAREHOUSES, PARAMETERS`.
//!
//! The parser of the SQL crate drops parts of some forms, so SHOW is read from its words.

use sqlparser::tokenizer::Token;

use crate::table::{ColumnSpec, Datum, Entry, TableName};
use crate::types::Type;

use super::super::env::Env;
use super::super::failure::Failure;
use super::super::parameters;
use super::super::result::{Field, ResultSet};
use super::super::text::{fold, is_word, unescape};
use super::super::ty::Ty;
use super::{OWNER, current_database, hidden, moment, number, text};

/// The rest of a SHOW statement after the kind of objects.
#[derive(Debug, Default)]
struct Filter {
    pattern: Option<String>,
    /// Kind of the container, upper case, and its name.
    within: Option<(String, Vec<String>)>,
}

/// Evaluates the words after SHOW.
pub(crate) fn run(env: &Env<'_>, words: &[Token]) -> Result<ResultSet, Failure> {
    let unknown = || {
        let shown: Vec<_> = words.iter().map(ToString::to_string).collect();
        Failure::unsupported(format!("SHOW {}", shown.join(" ")))
    };
    let words = match words {
        [first, rest @ ..] if is_word(first, "TERSE") => rest,
        all => all,
    };
    let (kind, rest) = words.split_first().ok_or_else(unknown)?;
    if is_word(kind, "PRIMARY") {
        let [keys, rest @ ..] = rest else { return Err(unknown()) };
        if !is_word(keys, "KEYS") {
            return Err(unknown());
        }
        return primary_keys(env, &filter(rest).ok_or_else(unknown)??);
    }
    let filter = filter(rest).ok_or_else(unknown)??;
    if is_word(kind, "TABLES") {
        tables(env, &filter)
    } else if is_word(kind, "COLUMNS") {
        columns(env, &filter)
    } else if is_word(kind, "SCHEMAS") {
        schemas(env, &filter)
    } else if is_word(kind, "DATABASES") {
        databases(env, &filter)
    } else if is_word(kind, "WAREHOUSES") {
        warehouses(env, &filter)
    } else if is_word(kind, "PARAMETERS") {
        session_parameters(env, &filter)
    } else {
        Err(unknown())
    }
}

/// Reads `[LIKE 'pattern'] [IN [kind] [name]]`; `None` for anything else.
fn filter(words: &[Token]) -> Option<Result<Filter, Failure>> {
    let mut found = Filter::default();
    let mut rest = words;
    if let [like, Token::SingleQuotedString(raw), tail @ ..] = rest
        && is_word(like, "LIKE")
    {
        match unescape(raw) {
            Ok(pattern) => found.pattern = Some(pattern),
            Err(failure) => return Some(Err(failure)),
        }
        rest = tail;
    }
    if let [keyword, tail @ ..] = rest
        && (is_word(keyword, "IN") || is_word(keyword, "FOR"))
    {
        let kinds = ["TABLE", "VIEW", "SCHEMA", "DATABASE", "ACCOUNT", "SESSION"];
        let kind = tail.first().and_then(|word| kinds.iter().find(|kind| is_word(word, kind)));
        let (kind, names) = match (kind, tail) {
            (Some(kind), [_, names @ ..]) => ((*kind).to_owned(), names),
            _ => (String::new(), tail),
        };
        match parts(names)? {
            Ok(name) => found.within = Some((kind, name)),
            Err(failure) => return Some(Err(failure)),
        }
        rest = &[];
    }
    rest.is_empty().then_some(Ok(found))
}

/// A dotted name; `None` if the words are no name.
fn parts(words: &[Token]) -> Option<Result<Vec<String>, Failure>> {
    let mut parts = Vec::new();
    for (position, word) in words.iter().enumerate() {
        match word {
            Token::Period if position % 2 == 1 => {}
            Token::Word(word) if position % 2 == 0 => match fold(&word.value, word.quote_style) {
                Ok(part) => parts.push(part),
                Err(failure) => return Some(Err(failure)),
            },
            _ => return None,
        }
    }
    Some(Ok(parts))
}

/// The container as database and schema; checks that they exist.
fn container(env: &Env<'_>, filter: &Filter) -> Result<(Option<String>, Option<String>), Failure> {
    let session = env.session;
    let need_database =
        || current_database(session).map(str::to_owned).ok_or_else(Failure::no_current_database);
    let (database, schema) = match &filter.within {
        None => match (&session.database, &session.schema) {
            (Some(database), Some(schema)) => (Some(database.clone()), Some(schema.clone())),
            (database, _) => (database.clone(), None),
        },
        Some((kind, parts)) => match (kind.as_str(), parts.as_slice()) {
            ("ACCOUNT", []) => (None, None),
            ("DATABASE", []) => (Some(need_database()?), None),
            ("DATABASE", [database]) => (Some(database.clone()), None),
            ("SCHEMA" | "", [schema]) => (Some(need_database()?), Some(schema.clone())),
            ("SCHEMA" | "", [database, schema]) => (Some(database.clone()), Some(schema.clone())),
            _ => return Err(Failure::unsupported("this container in SHOW")),
        },
    };
    if let Some(name) = &database
        && !env.catalog.has_database(name)
    {
        return Err(Failure::no_such_object("Database", &crate::table::shown(name)));
    }
    if let (Some(name), Some(schema)) = (&database, &schema)
        && !env.catalog.has_schema(name, schema)
    {
        let shown = format!("{}.{}", crate::table::shown(name), crate::table::shown(schema));
        return Err(Failure::no_such_object("Schema", &shown));
    }
    Ok((database, schema))
}

/// The tables that the filter means.
fn entries<'e>(env: &'e Env<'_>, filter: &Filter) -> Result<Vec<&'e Entry>, Failure> {
    if let Some((kind, parts)) = &filter.within
        && matches!(kind.as_str(), "TABLE" | "VIEW")
    {
        let name = super::super::from::resolve(env, parts)?;
        return Ok(vec![super::super::from::lookup(env, &name)?]);
    }
    let (database, schema) = container(env, filter)?;
    let meant = |name: &TableName| {
        database.as_ref().is_none_or(|database| name.database == *database)
            && schema.as_ref().is_none_or(|schema| name.schema == *schema)
    };
    Ok(env.catalog.entries().filter(|entry| meant(&entry.spec.name)).collect())
}

fn fields(names: &[&str]) -> Vec<Field> {
    names
        .iter()
        .map(|name| match *name {
            "created_on" => Field::new(*name, Type::timestamp_ltz(3), true),
            "rows" | "bytes" | "key_sequence" => Field::new(*name, Ty::number(38, 0), true),
            _ => Field::new(*name, Ty::text(), true),
        })
        .collect()
}

fn tables(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let names = [
        "created_on",
        "name",
        "database_name",
        "schema_name",
        "kind",
        "comment",
        "cluster_by",
        "rows",
        "bytes",
        "owner",
        "retention_time",
    ];
    let retention = env.catalog.retention.as_secs() / 86_400;
    let pattern = filter.pattern.as_deref();
    let rows: Vec<Vec<Datum>> = entries(env, filter)?
        .into_iter()
        .filter(|entry| !hidden(pattern, &entry.spec.name.table))
        .map(|entry| {
            let spec = &entry.spec;
            let days = if entry.time_travel { retention } else { 0 };
            vec![
                moment(entry.created),
                text(&spec.name.table),
                text(&spec.name.database),
                text(&spec.name.schema),
                text("TABLE"),
                text(spec.comment.clone().unwrap_or_default()),
                text(spec.clustering_key.clone().unwrap_or_default()),
                number(entry.rows()),
                number(entry.bytes()),
                text(OWNER),
                text(days.to_string()),
            ]
        })
        .collect();
    ResultSet::from_rows(fields(&names), &rows)
}

fn columns(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let names = [
        "table_name",
        "schema_name",
        "column_name",
        "data_type",
        "null?",
        "default",
        "kind",
        "expression",
        "comment",
        "database_name",
        "autoincrement",
    ];
    let pattern = filter.pattern.as_deref();
    let mut rows = Vec::new();
    for entry in entries(env, filter)? {
        for column in entry.spec.columns.iter().filter(|column| !hidden(pattern, &column.name)) {
            rows.push(vec![
                text(&entry.spec.name.table),
                text(&entry.spec.name.schema),
                text(&column.name),
                text(data_type(column)),
                text(if column.nullable { "true" } else { "NOT_NULL" }),
                text(""),
                text("COLUMN"),
                text(""),
                text(column.comment.clone().unwrap_or_default()),
                text(&entry.spec.name.database),
                text(""),
            ]);
        }
    }
    ResultSet::from_rows(fields(&names), &rows)
}

/// The type as the JSON text that SHOW COLUMNS gives.
fn data_type(column: &ColumnSpec) -> String {
    let mut object = serde_json::Map::new();
    let kind = match column.ty {
        Type::Number { .. } => "FIXED",
        Type::Float => "REAL",
        other => other.schema_name(),
    };
    object.insert("type".to_owned(), kind.into());
    match column.ty {
        Type::Number { precision, scale } => {
            object.insert("precision".to_owned(), precision.into());
            object.insert("scale".to_owned(), scale.into());
        }
        Type::Varchar { length } => {
            object.insert("length".to_owned(), length.into());
            let bytes = length.saturating_mul(4).min(crate::types::MAX_VARCHAR);
            object.insert("byteLength".to_owned(), bytes.into());
        }
        Type::Binary { length } => {
            object.insert("length".to_owned(), length.into());
            object.insert("byteLength".to_owned(), length.into());
        }
        other => {
            if let Some(scale) = other.fraction_digits() {
                object.insert("precision".to_owned(), 0.into());
                object.insert("scale".to_owned(), scale.into());
            }
        }
    }
    object.insert("nullable".to_owned(), column.nullable.into());
    if let Some(collation) = &column.collation {
        object.insert("collation".to_owned(), collation.as_str().into());
    }
    serde_json::Value::Object(object).to_string()
}

fn primary_keys(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let names = [
        "created_on",
        "database_name",
        "schema_name",
        "table_name",
        "column_name",
        "key_sequence",
        "constraint_name",
        "rely",
        "comment",
    ];
    let mut rows = Vec::new();
    for entry in entries(env, filter)? {
        let spec = &entry.spec;
        for (position, column) in spec.primary_key.iter().enumerate() {
            rows.push(vec![
                moment(entry.created),
                text(&spec.name.database),
                text(&spec.name.schema),
                text(&spec.name.table),
                text(column),
                number(position + 1),
                text(format!("PK_{}", spec.name.table)),
                text("false"),
                Datum::Null,
            ]);
        }
    }
    ResultSet::from_rows(fields(&names), &rows)
}

fn schemas(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let wanted = match &filter.within {
        None => current_database(env.session).map(str::to_owned),
        Some((kind, parts)) => match (kind.as_str(), parts.as_slice()) {
            ("ACCOUNT", []) => None,
            ("DATABASE" | "", [database]) => Some(database.clone()),
            _ => return Err(Failure::unsupported("this container in SHOW SCHEMAS")),
        },
    };
    let pattern = filter.pattern.as_deref();
    let rows: Vec<_> = env
        .catalog
        .schemas()
        .filter(|(database, _)| wanted.as_ref().is_none_or(|wanted| wanted == database))
        .filter(|(_, schema)| !hidden(pattern, schema))
        .map(|(database, schema)| vec![text(schema), text(database), text(OWNER)])
        .collect();
    ResultSet::from_rows(fields(&["name", "database_name", "owner"]), &rows)
}

fn databases(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let pattern = filter.pattern.as_deref();
    let mut names: Vec<&str> =
        env.catalog.schemas().map(|(database, _)| database.as_str()).collect();
    names.dedup();
    let rows: Vec<_> = names
        .into_iter()
        .filter(|name| !hidden(pattern, name))
        .map(|name| vec![text(name), text(OWNER)])
        .collect();
    ResultSet::from_rows(fields(&["name", "owner"]), &rows)
}

fn warehouses(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    let pattern = filter.pattern.as_deref();
    let rows: Vec<_> = env
        .account
        .warehouses
        .iter()
        .filter(|name| !hidden(pattern, name))
        .map(|name| vec![text(name), text("STARTED"), text("X-Small")])
        .collect();
    ResultSet::from_rows(fields(&["name", "state", "size"]), &rows)
}

fn session_parameters(env: &Env<'_>, filter: &Filter) -> Result<ResultSet, Failure> {
    if let Some((kind, _)) = &filter.within
        && !matches!(kind.as_str(), "SESSION" | "ACCOUNT")
    {
        return Err(Failure::unsupported("SHOW PARAMETERS of an object"));
    }
    let pattern = filter.pattern.as_deref();
    let rows: Vec<_> = parameters::KNOWN
        .iter()
        .filter(|(name, ..)| !hidden(pattern, name))
        .map(|(name, default, ty, description)| {
            let set = env.session.parameters.get(*name).map(String::as_str);
            vec![
                text(*name),
                text(set.unwrap_or(default)),
                text(*default),
                text(if set.is_some() { "SESSION" } else { "" }),
                text(*description),
                text(*ty),
            ]
        })
        .collect();
    let names = ["key", "value", "default", "level", "description", "type"];
    ResultSet::from_rows(fields(&names), &rows)
}
