//! Logins.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::log::Entry;
use crate::sql::{KNOWN_PARAMETERS, SessionState};
use crate::user::Presented;

use super::State;
use super::reply::Reply;
use super::route::Call;

/// The role of users who name none.
const DEFAULT_ROLE: &str = "PUBLIC";

/// Opens a session, or says why not.
pub(super) fn login(state: &State, call: &Call, entry: &Entry) -> Reply {
    let body = call.json();
    let data = body.get("data").cloned().unwrap_or_default();
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let account = text("ACCOUNT_NAME").split('.').next().unwrap_or_default().to_uppercase();
    let user_name = text("LOGIN_NAME").to_uppercase();
    entry.note(|request| request.user = Some(user_name.clone()));
    if account != state.account_name {
        return Reply::status(403, "Forbidden: no such account");
    }
    let presented = match text("AUTHENTICATOR").to_uppercase().as_str() {
        "SNOWFLAKE_JWT" => Presented::Jwt(text("TOKEN")),
        "OAUTH" => Presented::OAuth(text("TOKEN")),
        "" | "SNOWFLAKE" => Presented::Password(text("PASSWORD")),
        "PROGRAMMATIC_ACCESS_TOKEN" => Presented::Password(text("TOKEN")),
        _ => return Reply::refusal("390104", "The authenticator is not supported."),
    };
    let now = state.clock.now();
    let accepted = state
        .users
        .iter()
        .find(|user| user.name == user_name)
        .is_some_and(|user| user.accepts(presented, &state.account_name, now / 1_000).is_ok());
    if !accepted {
        return refused(presented);
    }
    match session_state(state, call, &user_name, data.get("SESSION_PARAMETERS")) {
        Ok(session) => {
            entry.note(|request| request.parameters.clone_from(&session.parameters));
            opened(state, session, now, entry)
        }
        Err(reply) => reply,
    }
}

fn refused(presented: Presented<'_>) -> Reply {
    match presented {
        Presented::Password(_) => {
            Reply::refusal("390100", "Incorrect username or password was specified.")
        }
        Presented::Jwt(_) => {
            let id = uuid::Uuid::new_v4();
            Reply::refusal("390144", &format!("JWT token is invalid. [{id}]"))
        }
        Presented::OAuth(_) => Reply::refusal("390303", "Invalid OAuth access token. "),
    }
}

/// The session that a login asks for. Objects that do not exist are left out, as the service does;
/// a role that does not exist is refused.
fn session_state(
    state: &State,
    call: &Call,
    user: &str,
    parameters: Option<&Value>,
) -> Result<SessionState, Reply> {
    let named = |name: &str| call.param(name).filter(|value| !value.is_empty()).map(identifier);
    let role = named("roleName");
    if let Some(role) = &role
        && !state.account.roles.is_empty()
        && !state.account.roles.contains(role)
    {
        let message = format!(
            "Role '{role}' specified in the connect string does not exist or not authorized."
        );
        return Err(Reply::refusal("390189", &message));
    }
    let warehouse = named("warehouse").filter(|name| {
        state.account.warehouses.is_empty() || state.account.warehouses.contains(name)
    });
    let catalog = state.catalog();
    let database = named("databaseName").filter(|name| catalog.has_database(name));
    let schema = match (&database, named("schemaName")) {
        (Some(database), Some(schema)) if catalog.has_schema(database, &schema) => Some(schema),
        (Some(database), None) if catalog.has_schema(database, "PUBLIC") => {
            Some("PUBLIC".to_owned())
        }
        _ => None,
    };
    Ok(SessionState {
        account: state.account_name.clone(),
        user: user.to_owned(),
        role: role.unwrap_or_else(|| DEFAULT_ROLE.to_owned()),
        warehouse,
        database,
        schema,
        parameters: parameters.and_then(Value::as_object).map(given).unwrap_or_default(),
        last_query: None,
        session_id: 0,
    })
}

/// Names in connection settings fold like identifiers.
fn identifier(text: &str) -> String {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_uppercase(),
    }
}

fn given(parameters: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    parameters.iter().map(|(name, value)| (name.to_uppercase(), text(value))).collect()
}

fn opened(state: &State, session: SessionState, now: i64, entry: &Entry) -> Reply {
    let info = json!({
        "databaseName": session.database,
        "schemaName": session.schema,
        "warehouseName": session.warehouse,
        "roleName": session.role,
    });
    let parameters = shown_parameters(&session);
    let (id, tokens) = state.sessions.open(session, &state.knobs.lock(), now);
    entry.note(|request| request.session = Some(id));
    Reply::success(&json!({
        "token": tokens.session,
        "masterToken": tokens.master,
        "validityInSeconds": tokens.session_life,
        "masterValidityInSeconds": tokens.master_life,
        "sessionId": id,
        "displayUserName": entry_user(entry),
        "parameters": parameters,
        "sessionInfo": info,
    }))
}

fn entry_user(entry: &Entry) -> Option<String> {
    let mut user = None;
    entry.note(|request| user.clone_from(&request.user));
    user
}

/// All parameters with their values in the session.
pub(super) fn shown_parameters(session: &SessionState) -> Vec<Value> {
    KNOWN_PARAMETERS
        .iter()
        .map(|(name, default, ty, _)| {
            let value = session.parameters.get(*name).map_or(*default, String::as_str);
            let value = match *ty {
                "NUMBER" => {
                    value.parse::<i64>().map_or_else(|_| json!(value), |value| json!(value))
                }
                "BOOLEAN" => json!(value.eq_ignore_ascii_case("true")),
                _ => json!(value),
            };
            json!({"name": name, "value": value})
        })
        .collect()
}
