//! What the session and the system say about themselves.

use std::time::Duration;

use crate::table::{Datum, TableName};
use crate::types::Type;

use super::super::binder::FunctionCall;
use super::super::expr::Expr;
use super::super::failure::Failure;
use super::super::ty::Ty;

/// What `CURRENT_VERSION()` answers.
pub(crate) const VERSION: &str = "9.30.0";

pub(super) fn bind(call: &FunctionCall<'_, '_>) -> Result<Option<Expr>, Failure> {
    let session = call.binder.env.session;
    let value = match call.name.as_str() {
        "CURRENT_ACCOUNT" | "CURRENT_ACCOUNT_NAME" => Some(session.account.clone()),
        "CURRENT_USER" => Some(session.user.clone()),
        "CURRENT_ROLE" => Some(session.role.clone()),
        "CURRENT_WAREHOUSE" => session.warehouse.clone(),
        "CURRENT_DATABASE" => session.database.clone(),
        "CURRENT_SCHEMA" => session.schema.clone(),
        "CURRENT_VERSION" => Some(VERSION.to_owned()),
        "CURRENT_SESSION" => Some(session.session_id.to_string()),
        "LAST_QUERY_ID" => session.last_query.as_ref().map(ToString::to_string),
        "SYSTEM$WAIT" => return wait(call).map(Some),
        "SYSTEM$CANCEL_QUERY" => return cancel(call).map(Some),
        "SYSTEM$LAST_CHANGE_COMMIT_TIME" => return last_change(call).map(Some),
        _ => return Ok(None),
    };
    call.count(0, 0)?;
    let datum = value.map_or(Datum::Null, Datum::Text);
    Ok(Some(Expr { nullable: true, ..Expr::constant(datum, Ty::text()) }))
}

/// Waits while the statement is compiled; an abort ends the wait.
fn wait(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(1, 2)?;
    let amount = u64::try_from(call.integer(0)?)
        .map_err(|_| Failure::unsupported("SYSTEM$WAIT of a negative time"))?;
    let unit =
        if call.raw.len() == 2 { call.text(1)?.to_ascii_uppercase() } else { "SECONDS".into() };
    let time = match unit.as_str() {
        "MILLISECONDS" => Duration::from_millis(amount),
        "SECONDS" => Duration::from_secs(amount),
        "MINUTES" => Duration::from_secs(amount.saturating_mul(60)),
        other => return Err(Failure::unsupported(format!("SYSTEM$WAIT in {other}"))),
    };
    call.binder.env.cancel.wait(time)?;
    let text = format!("waited {amount} {}", unit.to_ascii_lowercase());
    Ok(Expr::constant(Datum::Text(text), Type::varchar()))
}

/// Ends another statement of the same user.
fn cancel(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(1, 1)?;
    let id = call.text(0)?;
    let env = call.binder.env;
    let text = if env.results.cancel(&env.session.user, &id) {
        format!("query [{id}] terminated.")
    } else {
        "Identified SQL statement is not currently executing.".to_owned()
    };
    Ok(Expr::constant(Datum::Text(text), Type::varchar()))
}

/// When a table changed last, in nanoseconds since the epoch.
fn last_change(call: &FunctionCall<'_, '_>) -> Result<Expr, Failure> {
    call.count(1, 1)?;
    let text = call.text(0)?;
    let name = TableName::parse(&text)
        .map_err(|_| Failure::unsupported(format!("{} of '{text}'", call.name)))?;
    let entry = call
        .binder
        .env
        .catalog
        .get(&name)
        .ok_or_else(|| Failure::no_such_object("Object", &name.to_string()))?;
    let nanos = i128::from(entry.changed()) * 1_000_000;
    Ok(Expr::constant(Datum::Number(nanos), Ty::number(38, 0)))
}
