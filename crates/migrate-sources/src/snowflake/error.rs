//! The client's errors as ours: what the caller does next, and nothing that must not be seen.
//!
//! Addresses of result parts carry signatures, previews of bodies carry rows: neither the client's
//! own text nor its cause is passed on, except where its content is known.

use migrate_core::{Error, ErrorCode, ErrorKind, code};
use snowflake_connector_rs::{Error as ClientError, ErrorKind as ClientKind};

/// Turns a client error into one of ours.
pub(super) fn classify(message: &'static str, cause: &ClientError) -> Error {
    let error = match cause.snowflake_code() {
        Some(number) => from_server(message, number, cause),
        None => from_client(message, cause),
    };
    match cause.query_id() {
        Some(query_id) => error.with("query_id", query_id),
        None => error,
    }
}

fn from_server(message: &'static str, number: &str, cause: &ClientError) -> Error {
    let (code, hint) = meaning(number);
    let said = without_values(number, cause.snowflake_message().unwrap_or_default());
    Error::new(code, message).with("snowflake_code", number).with_source(said).with_hint(hint)
}

fn from_client(message: &'static str, cause: &ClientError) -> Error {
    let (kind, why, hint): (ErrorKind, String, &'static str) = match cause.kind() {
        ClientKind::Auth => (
            ErrorKind::Auth,
            cause.snowflake_message().map_or_else(
                || "the key cannot be used".to_owned(),
                |said| without_values("", said),
            ),
            "correct `snowflake.user` and its key, password or token",
        ),
        ClientKind::Network => return from_network(message, cause),
        ClientKind::Timeout => {
            (ErrorKind::Timeout, "no answer in time".into(), "check the network, then run again")
        }
        ClientKind::SessionExpired => {
            (ErrorKind::Connection, "the session has expired".into(), "run again")
        }
        ClientKind::Cancelled => {
            (ErrorKind::Cancelled, "the statement was cancelled".into(), "run again to go on")
        }
        ClientKind::Protocol => {
            return Error::new(ErrorKind::Connection, message)
                .with_source(protocol_detail(cause))
                .with_hint("run again; if it stays, report it with the query id");
        }
        ClientKind::Config => (
            ErrorKind::Config,
            "the address is not valid".into(),
            "correct `snowflake.account` or `snowflake.base_url`",
        ),
        ClientKind::Internal => (ErrorKind::Connection, "the client broke off".into(), "run again"),
        _ => (
            ErrorKind::Internal,
            "the client could not use the answer".into(),
            "report this with the query id",
        ),
    };
    Error::new(kind, message).with_source(why).with_hint(hint)
}

/// The only place where an HTTP status is visible is the client's text.
fn from_network(message: &'static str, cause: &ClientError) -> Error {
    let text = cause.to_string();
    let status = text
        .split("HTTP ")
        .nth(1)
        .and_then(|rest| rest.split(':').next())
        .and_then(|number| number.parse::<u16>().ok());
    let is_part = text.starts_with("chunk download");
    let (kind, hint) = match status {
        Some(429) => (ErrorKind::Throttled, "lower `parallel_threads`"),
        Some(403) if is_part => (
            ErrorKind::Connection,
            "the links of the result have expired; the chunk is read again. If it stays, allow the \
             result storage's address through proxy and firewall",
        ),
        Some(403 | 404) => (ErrorKind::NotFound, "correct `snowflake.account`"),
        Some(_) => (ErrorKind::Connection, "run again later: the service is not available"),
        None => (
            ErrorKind::Connection,
            "check the network, `snowflake.account` and `snowflake.base_url`",
        ),
    };
    let why = match status {
        Some(status) => format!("HTTP status {status}"),
        None => network_detail(cause),
    };
    Error::new(kind, message).with_source(why).with_hint(hint)
}

/// The innermost cause names the trouble (refused, reset, no such name) and no address.
fn network_detail(cause: &ClientError) -> String {
    let mut innermost: Option<&(dyn std::error::Error + 'static)> =
        std::error::Error::source(cause);
    while let Some(inner) = innermost.and_then(std::error::Error::source) {
        innermost = Some(inner);
    }
    match innermost {
        Some(inner) if !inner.to_string().contains("://") => inner.to_string(),
        _ => "network error".into(),
    }
}

/// Texts of the client that hold no part of the answer.
fn protocol_detail(cause: &ClientError) -> String {
    const KNOWN: [&str; 5] = [
        "unsupported result format",
        "missing required field",
        "row length mismatch",
        "unexpected token",
        "async response",
    ];
    let text = cause.to_string();
    if KNOWN.iter().any(|known| text.starts_with(known)) {
        text
    } else {
        "the answer cannot be understood".into()
    }
}

/// Numbers whose messages quote names of objects or the user's own SQL; all others may quote cells.
const NAMING: [&str; 5] = ["000", "001", "002", "003", "390"];

/// Takes quoted values out of a server message, unless it is one that quotes only names.
fn without_values(number: &str, message: &str) -> String {
    if NAMING.iter().any(|class| number.starts_with(class)) {
        return message.to_owned();
    }
    let parts = message.split('\'').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { "…" } else { part }).collect::<Vec<_>>().join("'")
}

/// What a Snowflake error number means for the caller.
fn meaning(number: &str) -> (ErrorCode, &'static str) {
    const SESSION: &str = "run again: a new session is opened";
    match number {
        "002003" | "002043" => (
            code::SOURCE_TABLE_MISSING,
            "correct `source`, `source_sf_schema` and `source_sf_database`, or grant the role access",
        ),
        "000904" => (code::COLUMN_MISSING, "use the exact case of the column's name"),
        "000707" => (
            code::SNAPSHOT_EXPIRED,
            "the moment is past the table's time-travel retention, or before its creation; start \
             anew with --no-resume",
        ),
        "001003" | "000939" | "002140" => {
            (ErrorKind::Config.into(), "correct the SQL of `source_filter`")
        }
        "000606" => (
            ErrorKind::Config.into(),
            "correct `snowflake.warehouse`, or grant its usage to the role",
        ),
        "003001" => (ErrorKind::Auth.into(), "grant the role the missing right"),
        "390100" | "390144" | "390303" | "390318" | "390101" | "394304" => {
            (ErrorKind::Auth.into(), "correct `snowflake.user` and its key, password or token")
        }
        "390189" | "390201" => (ErrorKind::NotFound.into(), "correct `snowflake.role`"),
        "390110" | "390111" | "390112" | "390113" | "390114" | "390115" | "390195" => {
            (ErrorKind::Connection.into(), SESSION)
        }
        // Cancelled by somebody else: where this tool cancels, nobody waits for the answer.
        "000604" => (ErrorKind::Connection.into(), "somebody cancelled the statement; run again"),
        "000630" => (ErrorKind::Timeout.into(), "raise `snowflake.statement_timeout_seconds`"),
        "000603" | "300002" | "370001" => {
            (ErrorKind::Connection.into(), "an internal error of Snowflake; run again later")
        }
        _ if number.starts_with("100") => {
            (code::VALUE_REFUSED, "a value cannot be computed; correct `source_filter` or the rows")
        }
        _ => (ErrorKind::Config.into(), "look the code up in Snowflake's list of errors"),
    }
}

#[cfg(test)]
mod tests {
    use migrate_core::Retry;

    use super::*;

    #[test]
    fn quoted_values_do_not_leave_and_names_do() {
        let missing = "Object 'DB.PUBLIC.\"order lines\"' does not exist or not authorized.";
        assert_eq!(without_values("002003", missing), missing);
        for cell in ["John Smith", "DE89 3704 0044", "x@y.z", "secret"] {
            let said = format!("Numeric value '{cell}' is not recognized");
            assert_eq!(without_values("100038", &said), "Numeric value '…' is not recognized");
        }
    }

    #[test]
    fn lost_sessions_heal_and_refusals_do_not() {
        for number in ["390112", "390114", "000604", "000630", "300002"] {
            assert_eq!(meaning(number).0.kind().retry(), Retry::AfterDelay, "{number}");
        }
        for number in ["002003", "000904", "390100", "390144", "003001", "100038", "999999"] {
            assert_eq!(meaning(number).0.kind().retry(), Retry::Never, "{number}");
        }
    }
}
