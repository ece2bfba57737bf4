//! One statement, from its text to its outcome.

use sqlparser::ast;

use crate::table::Datum;
use crate::types::Type;

use super::binder::{Binder, Place};
use super::env::{Ctes, Env};
use super::failure::Failure;
use super::metadata::{describe, show};
use super::parameters;
use super::result::{Change, Field, Outcome, ResultSet, StatementType};
use super::scope::Scope;
use super::text;
use super::ty::Ty;
use super::{from, query};

/// Evaluates a statement.
pub(crate) fn execute(env: &Env<'_>, sql: &str) -> Result<Outcome, Failure> {
    env.cancel.check()?;
    for (name, value) in &env.session.parameters {
        if parameters::refused(name, value) {
            return Err(Failure::unsupported(format!("{name} = '{value}'")));
        }
    }
    let tokens = text::tokens(sql)?;
    let words = text::words(&tokens);
    if let [first, rest @ ..] = words.as_slice()
        && text::is_word(first, "SHOW")
    {
        return Ok(done(show::run(env, rest)?, StatementType::Show));
    }
    let statement = text::parse(tokens)?;
    match &statement {
        ast::Statement::Query(query) => {
            let mut result = query::run(env, &Ctes::new(), query)?;
            result.fields.iter_mut().try_for_each(|field| as_shown(env, field))?;
            Ok(done(result, StatementType::Select))
        }
        ast::Statement::ExplainTable {
            describe_alias: ast::DescribeAlias::Describe | ast::DescribeAlias::Desc,
            hive_format: None,
            table_name,
            ..
        } => {
            let name = from::resolve(env, &text::name_parts(table_name)?)?;
            let result = describe::table(from::lookup(env, &name)?)?;
            Ok(done(result, StatementType::Describe))
        }
        ast::Statement::AlterSession { set, session_params } => {
            let change = alter_session(*set, session_params)?;
            changed(change, StatementType::AlterSession)
        }
        ast::Statement::Use(target) => changed(use_object(env, target)?, StatementType::Use),
        ast::Statement::Call(function) => call(env, function),
        ast::Statement::StartTransaction { .. }
        | ast::Statement::Commit { .. }
        | ast::Statement::Rollback { savepoint: None, .. } => {
            Ok(done(succeeded()?, StatementType::Transaction))
        }
        other => {
            let shown = other.to_string();
            let first = shown.split_whitespace().next().unwrap_or_default();
            Err(Failure::unsupported(format!("{first} statements")))
        }
    }
}

/// Geographic values arrive as the type of the form that the session asks for.
fn as_shown(env: &Env<'_>, field: &mut Field) -> Result<(), Failure> {
    let parameter = match field.ty.base {
        Some(Type::Geography) => "GEOGRAPHY_OUTPUT_FORMAT",
        Some(Type::Geometry) => "GEOMETRY_OUTPUT_FORMAT",
        _ => return Ok(()),
    };
    match env.parameter(parameter).to_ascii_uppercase().as_str() {
        "GEOJSON" => Ok(()),
        "WKT" | "EWKT" => {
            field.ty = Ty::text();
            Ok(())
        }
        other => Err(Failure::unsupported(format!("{parameter} = '{other}'"))),
    }
}

fn done(result: ResultSet, statement: StatementType) -> Outcome {
    Outcome { result, change: None, statement }
}

fn changed(change: Change, statement: StatementType) -> Result<Outcome, Failure> {
    Ok(Outcome { result: succeeded()?, change: Some(change), statement })
}

fn succeeded() -> Result<ResultSet, Failure> {
    let row = vec![Datum::text("Statement executed successfully.")];
    ResultSet::from_rows(vec![Field::new("status", Ty::text(), true)], &[row])
}

fn alter_session(
    set: bool,
    params: &ast::helpers::key_value_options::KeyValueOptions,
) -> Result<Change, Failure> {
    use ast::helpers::key_value_options::KeyValueOptionKind;
    if !set {
        let names = params.options.iter().map(|option| option.option_name.to_uppercase());
        return Ok(Change::Unset(names.collect()));
    }
    let mut pairs = Vec::with_capacity(params.options.len());
    for option in &params.options {
        let name = option.option_name.to_uppercase();
        if parameters::default(&name).is_none() {
            let message = format!("SQL compilation error:\ninvalid parameter '{name}'");
            return Err(Failure::new("001423", "22023", message));
        }
        let KeyValueOptionKind::Single(value) = &option.option_value else {
            return Err(Failure::unsupported(format!("this value of {name}")));
        };
        let value = match &value.value {
            ast::Value::SingleQuotedString(raw) => text::unescape(raw)?,
            ast::Value::Number(digits, _) => digits.clone(),
            ast::Value::Boolean(value) => value.to_string(),
            // A bare word reaches us as a placeholder.
            ast::Value::Placeholder(word) => word.clone(),
            _ => return Err(Failure::unsupported(format!("this value of {name}"))),
        };
        if parameters::refused(&name, &value) {
            return Err(Failure::unsupported(format!("{name} = '{value}'")));
        }
        pairs.push((name, value));
    }
    Ok(Change::Set(pairs))
}

fn use_object(env: &Env<'_>, target: &ast::Use) -> Result<Change, Failure> {
    let one = |name: &ast::ObjectName| match text::name_parts(name)?.as_slice() {
        [only] => Ok(only.clone()),
        _ => Err(Failure::syntax("USE expects one name")),
    };
    let database = |name: String| {
        if env.catalog.has_database(&name) {
            Ok(Change::UseDatabase(name))
        } else {
            Err(Failure::no_such_object("Database", &crate::table::shown(&name)))
        }
    };
    let schema = |database: Option<String>, schema: String| {
        let database = database
            .or_else(|| env.session.database.clone())
            .ok_or_else(Failure::no_current_database)?;
        if env.catalog.has_schema(&database, &schema) {
            Ok(Change::UseSchema(database, schema))
        } else {
            Err(Failure::no_such_object("Schema", &crate::table::shown(&schema)))
        }
    };
    let known = |kind: &str, names: &[String], name: &str| {
        if names.is_empty() || names.iter().any(|known| known == name) {
            Ok(())
        } else {
            Err(Failure::no_such_object(kind, &crate::table::shown(name)))
        }
    };
    match target {
        ast::Use::Database(name) => database(one(name)?),
        ast::Use::Schema(name) | ast::Use::Object(name) => {
            match text::name_parts(name)?.as_slice() {
                [only] if matches!(target, ast::Use::Object(_)) => database(only.clone()),
                [only] => schema(None, only.clone()),
                [first, second] => schema(Some(first.clone()), second.clone()),
                _ => Err(Failure::syntax("USE SCHEMA expects one or two names")),
            }
        }
        ast::Use::Warehouse(name) => {
            let name = one(name)?;
            known("Warehouse", &env.account.warehouses, &name)?;
            Ok(Change::UseWarehouse(name))
        }
        ast::Use::Role(name) => {
            let name = one(name)?;
            known("Role", &env.account.roles, &name)?;
            Ok(Change::UseRole(name))
        }
        other => Err(Failure::unsupported(format!("{other}"))),
    }
}

/// `CALL SYSTEM$WAIT(n)` and other functions that are called like procedures.
fn call(env: &Env<'_>, function: &ast::Function) -> Result<Outcome, Failure> {
    let name = text::name_parts(&function.name)?.join(".");
    let scope = Scope::default();
    let ctes = Ctes::new();
    let binder = Binder { env, ctes: &ctes, scope: &scope, aliases: &[], place: Place::Row };
    let bound = binder.bind(&ast::Expr::Function(function.clone()))?;
    let datum = bound.eval_constant(env.cancel)?;
    let field = Field::new(name, bound.ty, true);
    Ok(done(ResultSet::from_rows(vec![field], &[vec![datum]])?, StatementType::Call))
}
