//! The client's errors as ours: what the caller does next, and nothing that must not be seen.
//!
//! Addresses of result parts carry signatures, previews of bodies carry rows: neither the client's
//! own text nor its cause is passed on, except where its content is known.

use migrate_core::{Error, ErrorKind, Retry};
use snowflake_connector_rs::{Error as ClientError, ErrorKind as ClientKind};

use super::codes::{Remedy, verdict};

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
    let said = without_values(number, cause.snowflake_message().unwrap_or_default());
    named(message, number).with_source(said)
}

/// The error of a number that the server gave, without its text.
pub(super) fn named(message: &'static str, number: &str) -> Error {
    let verdict = verdict(number);
    Error::new(verdict.code, message).with("snowflake_code", number).with_hint(verdict.hint)
}

/// What to do about an error of this module.
pub(super) fn remedy(error: &Error) -> Remedy {
    match error.context("snowflake_code") {
        Some(number) => verdict(number).remedy,
        None if error.kind().retry() == Retry::AfterDelay => Remedy::AskAgain,
        None => Remedy::GiveUp,
    }
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

/// Turns the error of a login into one of ours: an address that answers "no" belongs to nobody.
pub(super) fn classify_login(cause: &ClientError) -> Error {
    let message = "Cannot log in to Snowflake";
    match http_status(&cause.to_string()) {
        Some(status @ (403 | 404)) => Error::new(ErrorKind::NotFound, message)
            .with_source(format!("HTTP status {status}"))
            .with_hint("correct `snowflake.account`"),
        _ => classify(message, cause),
    }
}

/// The only place where an HTTP status is visible is the client's text. Its headers, `Retry-After`
/// among them, are not visible at all.
fn http_status(text: &str) -> Option<u16> {
    let rest = text
        .strip_prefix("HTTP ")
        .or_else(|| text.strip_prefix("chunk download failed with HTTP "))?;
    rest.split(':').next()?.parse().ok()
}

fn from_network(message: &'static str, cause: &ClientError) -> Error {
    let text = cause.to_string();
    let status = http_status(&text);
    let is_part = text.starts_with("chunk download");
    let (kind, hint) = match status {
        Some(429) => (ErrorKind::Throttled, "lower `parallel_threads`"),
        Some(400 | 403 | 404) if is_part => (
            ErrorKind::Connection,
            "the links of the result have expired; the chunk is read again. If it stays, allow the \
             result storage's address through proxy and firewall",
        ),
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

#[cfg(test)]
mod tests {
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
}
