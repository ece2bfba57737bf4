//! FROM: tables with time travel, stored results, subselects, common table expressions.

use std::sync::Arc;

use sqlparser::ast;

use crate::table::{Datum, Entry, Relation, TableName, Travel, TravelFault, shown};

use super::binder::{Binder, Place};
use super::env::{Ctes, Env};
use super::failure::Failure;
use super::join;
use super::metadata::{information_schema, query_history};
use super::query;
use super::result::{Field, ResultSet};
use super::scope::{Input, Scope, Source};
use super::text;
use super::ty::{Collation, Ty};

/// The input of a SELECT.
pub(crate) fn input(
    env: &Env<'_>,
    ctes: &Ctes,
    from: &[ast::TableWithJoins],
) -> Result<Input, Failure> {
    let mut whole: Option<Input> = None;
    for item in from {
        let mut part = factor(env, ctes, &item.relation)?;
        for join in &item.joins {
            part = join::joined(env, ctes, part, join)?;
        }
        whole = Some(match whole {
            None => part,
            Some(left) => join::cross(left, part)?,
        });
    }
    Ok(whole.unwrap_or_else(|| Input { scope: Scope::default(), relation: Relation::single() }))
}

/// One table or subselect.
pub(crate) fn factor(
    env: &Env<'_>,
    ctes: &Ctes,
    factor: &ast::TableFactor,
) -> Result<Input, Failure> {
    match factor {
        ast::TableFactor::Table {
            name,
            alias,
            args: None,
            with_hints,
            version,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
        } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
            table(env, ctes, name, version.as_ref(), alias.as_ref())
        }
        ast::TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
            aliased(query::run(env, ctes, subquery)?, alias.as_ref(), Source::Unnamed)
        }
        ast::TableFactor::TableFunction { expr, alias } => {
            aliased(table_function(env, ctes, expr)?, alias.as_ref(), Source::Unnamed)
        }
        ast::TableFactor::NestedJoin { table_with_joins, alias: None } => {
            input(env, ctes, std::slice::from_ref(table_with_joins))
        }
        other => Err(Failure::unsupported(format!("{other} in FROM"))),
    }
}

fn aliased(
    mut result: ResultSet,
    alias: Option<&ast::TableAlias>,
    unaliased: Source,
) -> Result<Input, Failure> {
    let source = match alias {
        None => unaliased,
        Some(alias) => Source::Alias(query::rename(&mut result.fields, alias)?),
    };
    Ok(Input::of(&source, result))
}

fn table(
    env: &Env<'_>,
    ctes: &Ctes,
    name: &ast::ObjectName,
    version: Option<&ast::TableVersion>,
    alias: Option<&ast::TableAlias>,
) -> Result<Input, Failure> {
    let parts = text::name_parts(name)?;
    if let ([only], None) = (parts.as_slice(), version)
        && let Some(result) = ctes.get(only)
    {
        return aliased(ResultSet::clone(result), alias, Source::Alias(only.clone()));
    }
    if let Some(result) = information_schema::find(env, &parts)? {
        if version.is_some() {
            return Err(Failure::unsupported("time travel of INFORMATION_SCHEMA"));
        }
        let view = parts.last().cloned().unwrap_or_default();
        return aliased(result, alias, Source::Alias(view));
    }
    let name = resolve(env, &parts)?;
    let entry = lookup(env, &name)?;
    env.need_warehouse()?;
    let travel = match version {
        None => Travel::Now,
        Some(ast::TableVersion::Function(function)) => travel(env, ctes, function)?,
        Some(_) => return Err(Failure::unsupported("this kind of time travel")),
    };
    let relation = entry.read(travel, env.now_millis(), env.catalog.retention).map_err(
        |fault| match fault {
            TravelFault::Unavailable => Failure::time_travel(&entry.spec.shown_table()),
            TravelFault::Future => Failure::unsupported("time travel into the future"),
        },
    )?;
    let result = ResultSet { fields: fields(entry), relation, ordered: false };
    aliased(result, alias, Source::Table(name))
}

/// The columns of a table.
pub(crate) fn fields(entry: &Entry) -> Vec<Field> {
    let origin = Arc::new(entry.spec.name.clone());
    let field = |column: &crate::table::ColumnSpec| Field {
        name: column.name.clone(),
        ty: Ty {
            base: Some(column.ty),
            collation: column.collation.as_deref().map_or(Collation::Binary, Collation::named),
        },
        nullable: column.nullable,
        origin: Some(Arc::clone(&origin)),
    };
    entry.spec.columns.iter().map(field).collect()
}

/// The full name of a table, completed from the session.
pub(crate) fn resolve(env: &Env<'_>, parts: &[String]) -> Result<TableName, Failure> {
    let database = || env.session.database.clone().ok_or_else(Failure::no_current_database);
    let (database, schema, table) = match parts {
        [table] => {
            let schema = env.session.schema.clone().ok_or_else(Failure::no_current_schema);
            (database()?, schema?, table)
        }
        [schema, table] => (database()?, schema.clone(), table),
        [database, schema, table] => (database.clone(), schema.clone(), table),
        _ => return Err(Failure::syntax("a table name has at most three parts")),
    };
    // `db..table` means the schema PUBLIC.
    let schema = if schema.is_empty() { "PUBLIC".to_owned() } else { schema };
    Ok(TableName { database, schema, table: table.clone() })
}

/// The table of a name, or Snowflake's message for what is missing.
pub(crate) fn lookup<'e>(env: &'e Env<'_>, name: &TableName) -> Result<&'e Entry, Failure> {
    if let Some(entry) = env.catalog.get(name) {
        return Ok(entry);
    }
    Err(if !env.catalog.has_database(&name.database) {
        Failure::no_such_object("Database", &shown(&name.database))
    } else if !env.catalog.has_schema(&name.database, &name.schema) {
        let schema = format!("{}.{}", shown(&name.database), shown(&name.schema));
        Failure::no_such_object("Schema", &schema)
    } else {
        Failure::no_such_object("Object", &name.to_string())
    })
}

/// `AT(...)` and `BEFORE(...)`.
fn travel(env: &Env<'_>, ctes: &Ctes, function: &ast::Expr) -> Result<Travel, Failure> {
    let unknown = || Failure::unsupported(format!("the time travel {function}"));
    let ast::Expr::Function(call) = function else { return Err(unknown()) };
    let name = text::name_parts(&call.name)?.join(".");
    let ast::FunctionArguments::List(list) = &call.args else { return Err(unknown()) };
    let [ast::FunctionArg::Named { name: kind, arg: ast::FunctionArgExpr::Expr(value), .. }] =
        list.args.as_slice()
    else {
        return Err(unknown());
    };
    let scope = Scope::default();
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let instant = match text::identifier(kind)?.as_str() {
        "TIMESTAMP" => timestamp(&binder, value)?,
        "OFFSET" => {
            let bound = binder.bind(value)?;
            match bound.eval_constant(env.cancel)? {
                Datum::Number(seconds) if bound.ty.scale() == 0 => {
                    let millis = i64::try_from(seconds).ok().and_then(|it| it.checked_mul(1_000));
                    millis
                        .and_then(|millis| env.now_millis().checked_add(millis))
                        .ok_or_else(unknown)?
                }
                _ => return Err(unknown()),
            }
        }
        "STATEMENT" => match binder.bind(value)?.eval_constant(env.cancel)? {
            Datum::Text(id) => env.results.started(&id).ok_or_else(|| {
                let message = format!("Statement {id} not found");
                Failure::new("000709", "02000", message)
            })?,
            _ => return Err(unknown()),
        },
        _ => return Err(unknown()),
    };
    match name.as_str() {
        "AT" => Ok(Travel::At(instant)),
        "BEFORE" => Ok(Travel::Before(instant)),
        _ => Err(unknown()),
    }
}

/// A constant timestamp, in milliseconds. Text without a cast is refused: Snowflake wants the cast
/// to be written.
fn timestamp(binder: &Binder<'_>, value: &ast::Expr) -> Result<i64, Failure> {
    let bound = binder.bind(value)?;
    if !bound.ty.is_timestamp() {
        return Err(Failure::unsupported(
            "AT(TIMESTAMP => ...) of something else than a timestamp; cast it explicitly",
        ));
    }
    let zoned = super::cast::cast(binder.env, bound, crate::types::Type::timestamp_ltz(9))?;
    match zoned.eval_constant(binder.env.cancel)? {
        Datum::Stamp(stamp) => {
            Ok(stamp.seconds.saturating_mul(1_000) + i64::from(stamp.nanos / 1_000_000))
        }
        _ => Err(Failure::unsupported("AT(TIMESTAMP => NULL)")),
    }
}

/// `TABLE(RESULT_SCAN(id))`, or the history of statements.
fn table_function(env: &Env<'_>, ctes: &Ctes, expr: &ast::Expr) -> Result<ResultSet, Failure> {
    let unknown = || Failure::unsupported(format!("TABLE({expr})"));
    let ast::Expr::Function(call) = expr else { return Err(unknown()) };
    let name = text::name_parts(&call.name)?;
    if let Some(found) = query_history::find(env, &name, call)? {
        return Ok(found);
    }
    if name != ["RESULT_SCAN"] {
        return Err(unknown());
    }
    let ast::FunctionArguments::List(list) = &call.args else { return Err(unknown()) };
    let [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(id))] = list.args.as_slice() else {
        return Err(unknown());
    };
    let scope = Scope::default();
    let binder = Binder { env, ctes, scope: &scope, aliases: &[], place: Place::Row };
    let Datum::Text(id) = binder.bind(id)?.eval_constant(env.cancel)? else {
        return Err(unknown());
    };
    let result = env.results.find(&id).ok_or_else(|| Failure::result_not_found(&id))?;
    Ok(ResultSet { ordered: false, ..ResultSet::clone(&result) })
}
