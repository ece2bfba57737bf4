//! Answers before they become HTTP, and the faults that can happen on the way.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::fault::Fault;
use crate::log::{Entry, Outcome};

use super::Connection;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Snowflake's code, for the log.
    pub(crate) code: Option<String>,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Content,
}

/// A body, whole or in pieces.
#[derive(Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Pieces(mpsc::Receiver<Bytes>),
}

impl Reply {
    /// JSON with status 200.
    pub(crate) fn json(code: Option<String>, body: impl Into<Bytes>) -> Self {
        Self {
            status: 200,
            code,
            content_type: "application/json",
            headers: Vec::new(),
            body: Content::Whole(body.into()),
        }
    }

    /// A successful answer without more than `data`.
    pub(crate) fn success(data: &Value) -> Self {
        let body = json!({"data": data, "code": null, "message": null, "success": true});
        Self::json(None, body.to_string())
    }

    /// A refusal that concerns no statement. `data` holds an id anyway, because clients ask for it.
    pub(crate) fn refusal(code: &str, message: &str) -> Self {
        let body = json!({
            "data": {"queryId": uuid::Uuid::new_v4().to_string()},
            "code": code,
            "message": message,
            "success": false,
            "headers": null,
        });
        Self::json(Some(code.to_owned()), body.to_string())
    }

    /// A refusal of a session's token: no statement came of the request, so nothing has an id.
    pub(crate) fn of_session(code: &str, message: &str) -> Self {
        let body = json!({
            "data": null, "code": code, "message": message, "success": false, "headers": null,
        });
        Self::json(Some(code.to_owned()), body.to_string())
    }

    /// Plain text with any status.
    pub(crate) fn status(status: u16, text: &str) -> Self {
        Self {
            status,
            code: None,
            content_type: "text/plain",
            headers: Vec::new(),
            body: Content::Whole(Bytes::copy_from_slice(text.as_bytes())),
        }
    }

    /// An error of the storage, in XML.
    pub(crate) fn storage_error(status: u16, code: &str, message: &str) -> Self {
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>{message}</Message><RequestId>{}</RequestId></Error>",
            uuid::Uuid::new_v4()
        );
        Self { content_type: "application/xml", ..Self::status(status, &xml) }
    }
}

/// Sends an answer, or what a fault makes of it, and closes the log entry.
pub(crate) async fn send(
    reply: Reply,
    fault: Option<&Fault>,
    connection: &Connection,
    entry: Entry,
) -> Response {
    let reply = match fault {
        Some(Fault::Status(status)) => Reply::status(*status, "scripted fault"),
        Some(Fault::Garbage) => Reply::json(None, "<html>scripted fault</html>"),
        Some(Fault::Forbidden) => Reply::storage_error(403, "AccessDenied", "Request has expired"),
        Some(Fault::Cut) => {
            connection.cut();
            entry.finish(Outcome::Cut);
            return Response::new(Body::empty());
        }
        Some(Fault::Stall) => {
            // The entry ends as abandoned when the client gives up and drops this future.
            let _entry = entry;
            return std::future::pending().await;
        }
        _ => reply,
    };
    let ending = match fault {
        Some(Fault::CutMidBody) => Ending::Cut,
        Some(Fault::StallMidBody) => Ending::Stall,
        _ => Ending::Whole,
    };
    let outcome = match ending {
        Ending::Cut => Outcome::Cut,
        _ => Outcome::Answered { status: reply.status, code: reply.code.clone() },
    };
    entry.finish(outcome);
    respond(reply, ending)
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Cut,
    Stall,
}

fn respond(reply: Reply, ending: Ending) -> Response {
    let body = match (reply.body, ending) {
        (Content::Whole(bytes), Ending::Whole) => Body::from(bytes),
        (Content::Whole(bytes), ending) => {
            Body::new(Streamed { source: Source::Once(Some(bytes)), ending })
        }
        (Content::Pieces(pieces), ending) => {
            Body::new(Streamed { source: Source::Pieces(pieces), ending })
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.extend(reply.headers);
    response
}

/// A body that comes in pieces, and perhaps ends too early.
#[derive(Debug)]
struct Streamed {
    source: Source,
    ending: Ending,
}

#[derive(Debug)]
enum Source {
    Once(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    /// The first half of a piece was sent; the rest never comes.
    Broken,
}

/// The error that makes the server drop the connection.
#[derive(Debug, thiserror::Error)]
#[error("Connection cut on purpose")]
pub(crate) struct CutOnPurpose;

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = CutOnPurpose;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOnPurpose>>> {
        let ending = self.ending;
        let piece = match &mut self.source {
            Source::Once(bytes) => bytes.take(),
            Source::Pieces(pieces) => match pieces.poll_recv(cx) {
                Poll::Ready(piece) => piece,
                Poll::Pending => return Poll::Pending,
            },
            Source::Broken if ending == Ending::Cut => {
                return Poll::Ready(Some(Err(CutOnPurpose)));
            }
            // Nothing will ever wake this: the client has to give up.
            Source::Broken => return Poll::Pending,
        };
        match (piece, ending) {
            (piece, Ending::Whole) => Poll::Ready(piece.map(|piece| Ok(Frame::data(piece)))),
            (piece, _) => {
                self.source = Source::Broken;
                let mut half = piece.unwrap_or_default();
                half.truncate(half.len() / 2);
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
        }
    }
}
