//! From requests to handlers: kinds, latency, faults, the log.

use std::io::Read as _;
use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;
use serde_json::Value;

use crate::fault::Fault;
use crate::log::{Entry, RequestKind};

use super::reply::{self, Reply};
use super::{Connection, State, abort, chunk, login, query, token};

/// Longest body of a request.
const MOST_BYTES: usize = 64 << 20;

/// A request whose body was read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// A parameter of the URL.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON, `Null` if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The token of `Authorization: Snowflake Token="..."`.
    pub(crate) fn token(&self) -> Option<&str> {
        let value = self.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        value.strip_prefix("Snowflake Token=\"")?.strip_suffix('"')
    }
}

/// Answers a request to the account.
pub(crate) async fn account(
    state: Arc<State>,
    connection: Connection,
    request: Request,
) -> Response {
    let kind = account_kind(&request);
    let entry = state.log.open(&state.clock, kind);
    let call = match read(request).await {
        Ok(call) => call,
        Err(reply) => return reply::send(reply, None, &connection, entry).await,
    };
    tokio::time::sleep(state.knobs.latency(kind)).await;
    let sql = match kind {
        RequestKind::Query => Some(query::note(&call, &entry)),
        RequestKind::Poll => query::of_poll(&state, &call).map(|it| it.sql.to_string()),
        RequestKind::Abort => query::of_abort(&state, &call).map(|it| it.sql.to_string()),
        _ => None,
    };
    let fault = drawn(&state, kind, sql.as_deref(), &entry).await;
    let reply = match kind {
        // Before the double would look at it, the request is lost.
        _ if is_lost(fault.as_ref()) => Reply::status(500, "lost"),
        RequestKind::Login => login::login(&state, &call, &entry),
        RequestKind::Query => query::submit(&state, &call, fault.as_ref(), &entry).await,
        RequestKind::Poll => query::poll(&state, &call, fault.as_ref(), &entry).await,
        RequestKind::Abort => abort::abort(&state, &call, &entry),
        RequestKind::Token => token::renew(&state, &call, &entry),
        RequestKind::Heartbeat => token::heartbeat(&state, &call, &entry),
        RequestKind::Logout => token::logout(&state, &call, &entry),
        RequestKind::Chunk | RequestKind::Other => Reply::status(404, "Not Found"),
    };
    reply::send(reply, fault.as_ref(), &connection, entry).await
}

/// Answers a request to the storage.
pub(crate) async fn storage(
    state: Arc<State>,
    connection: Connection,
    request: Request,
) -> Response {
    let entry = state.log.open(&state.clock, RequestKind::Chunk);
    let call = match read(request).await {
        Ok(call) => call,
        Err(reply) => return reply::send(reply, None, &connection, entry).await,
    };
    tokio::time::sleep(state.knobs.latency(RequestKind::Chunk)).await;
    let found = chunk::find(&state, &call);
    if let Some((stored, position)) = &found {
        entry.note(|request| {
            request.sql = Some(Arc::clone(&stored.sql));
            request.query_id = Some(Arc::clone(&stored.query_id));
            request.chunk = Some(*position);
        });
    }
    let sql = found.as_ref().map(|(stored, _)| Arc::clone(&stored.sql));
    let fault = drawn(&state, RequestKind::Chunk, sql.as_deref(), &entry).await;
    let reply = chunk::answer(&state, &call, found, fault.as_ref());
    reply::send(reply, fault.as_ref(), &connection, entry).await
}

/// Faults after which the account never learns of the request.
fn is_lost(fault: Option<&Fault>) -> bool {
    matches!(fault, Some(Fault::Status(_) | Fault::Cut | Fault::Stall | Fault::Garbage))
}

async fn drawn(
    state: &State,
    kind: RequestKind,
    sql: Option<&str>,
    entry: &Entry,
) -> Option<Fault> {
    let fault = state.knobs.lock().faults.draw(kind, sql)?;
    entry.note(|request| request.fault = Some(fault.clone()));
    if let Fault::Delay(delay) = &fault {
        tokio::time::sleep(*delay).await;
    }
    Some(fault)
}

fn account_kind(request: &Request) -> RequestKind {
    let query = request.uri().query().unwrap_or_default();
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/session/v1/login-request") => RequestKind::Login,
        (&Method::POST, "/queries/v1/query-request") => RequestKind::Query,
        (&Method::POST, "/queries/v1/abort-request") => RequestKind::Abort,
        (&Method::POST, "/session/token-request") => RequestKind::Token,
        (&Method::POST, "/session/heartbeat") => RequestKind::Heartbeat,
        (&Method::POST, "/session") if query.contains("delete=true") => RequestKind::Logout,
        (&Method::GET, path) if path.starts_with("/queries/") && path.ends_with("/result") => {
            RequestKind::Poll
        }
        _ => RequestKind::Other,
    }
}

async fn read(request: Request) -> Result<Call, Reply> {
    let (parts, body) = request.into_parts();
    let body =
        to_bytes(body, MOST_BYTES).await.map_err(|_| Reply::status(400, "unreadable body"))?;
    let is_packed = body.starts_with(&[0x1f, 0x8b]);
    let body = if is_packed { unpacked(&body)? } else { body };
    let query = parts.uri.query().unwrap_or_default();
    Ok(Call {
        path: parts.uri.path().to_owned(),
        query: params(query),
        headers: parts.headers,
        body,
    })
}

/// Official drivers pack their bodies.
fn unpacked(body: &[u8]) -> Result<Bytes, Reply> {
    let mut out = Vec::new();
    let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    flate2::read::GzDecoder::new(body)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|_| Reply::status(400, "the body is no gzip"))?;
    Ok(Bytes::from(out))
}

fn params(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                out.extend(value.and_then(|value| u8::try_from(value).ok()));
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(
            params("a=1&b=x%20y%22&c&d=p+q"),
            [("a", "1"), ("b", "x y\""), ("c", ""), ("d", "p q")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert!(params("").is_empty());
    }
}
