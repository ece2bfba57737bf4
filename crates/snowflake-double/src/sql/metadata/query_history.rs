//! `INFORMATION_SCHEMA.QUERY_HISTORY_BY_USER`: the statements of the user who asks.

use sqlparser::ast;

use crate::table::{Datum, shown};
use crate::types::Type;

use super::super::env::{Env, HistoryState};
use super::super::failure::Failure;
use super::super::result::{Field, ResultSet};
use super::super::ty::Ty;
use super::{moment, text};

/// Rows where the call does not say how many.
const DEFAULT_LIMIT: usize = 100;
const MOST_LIMIT: usize = 10_000;

/// The rows, if the name is that of the table function.
pub(crate) fn find(
    env: &Env<'_>,
    name: &[String],
    call: &ast::Function,
) -> Result<Option<ResultSet>, Failure> {
    let [database, schema, function] = name else { return Ok(None) };
    if schema != "INFORMATION_SCHEMA" || function != "QUERY_HISTORY_BY_USER" {
        return Ok(None);
    }
    if !env.catalog.has_database(database) {
        return Err(Failure::no_such_object("Database", &shown(database)));
    }
    rows(env, limit(call)?).map(Some)
}

/// `RESULT_LIMIT => n`, the only argument that is evaluated.
fn limit(call: &ast::Function) -> Result<usize, Failure> {
    let unknown = || Failure::unsupported(format!("these arguments of {}", call.name));
    let ast::FunctionArguments::List(list) = &call.args else { return Err(unknown()) };
    match list.args.as_slice() {
        [] => Ok(DEFAULT_LIMIT),
        [
            ast::FunctionArg::Named {
                name,
                arg: ast::FunctionArgExpr::Expr(ast::Expr::Value(value)),
                operator: ast::FunctionArgOperator::RightArrow,
            },
        ] if name.value.eq_ignore_ascii_case("RESULT_LIMIT") => match &value.value {
            ast::Value::Number(digits, _) => digits
                .parse()
                .ok()
                .filter(|limit| (1..=MOST_LIMIT).contains(limit))
                .ok_or_else(unknown),
            _ => Err(unknown()),
        },
        _ => Err(unknown()),
    }
}

fn rows(env: &Env<'_>, limit: usize) -> Result<ResultSet, Failure> {
    let fields = vec![
        Field::new("QUERY_ID", Ty::text(), true),
        Field::new("QUERY_TEXT", Ty::text(), true),
        Field::new("SESSION_ID", Ty::number(38, 0), true),
        Field::new("USER_NAME", Ty::text(), true),
        Field::new("EXECUTION_STATUS", Ty::text(), true),
        Field::new("ERROR_CODE", Ty::number(38, 0), true),
        Field::new("ERROR_MESSAGE", Ty::text(), true),
        Field::new("START_TIME", Type::timestamp_ltz(3), true),
    ];
    let rows: Vec<Vec<Datum>> = env
        .results
        .history(&env.session.user)
        .into_iter()
        .take(limit)
        .map(|entry| {
            let (status, code, message) = match &entry.state {
                HistoryState::Running => ("RUNNING", Datum::Null, Datum::Null),
                HistoryState::Succeeded => ("SUCCESS", Datum::Null, Datum::Null),
                HistoryState::Failed(failure) => (
                    "FAILED_WITH_ERROR",
                    failure.code.parse().map_or(Datum::Null, Datum::Number),
                    text(failure.message.as_str()),
                ),
            };
            vec![
                text(&*entry.query_id),
                text(&*entry.sql),
                Datum::Number(i128::from(entry.session)),
                text(env.session.user.as_str()),
                text(status),
                code,
                message,
                moment(entry.started),
            ]
        })
        .collect();
    let result = ResultSet::from_rows(fields, &rows)?;
    Ok(ResultSet { ordered: false, ..result })
}
