//! Chunks of results: links, access, bodies.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use crate::fault::Fault;
use crate::knobs::{ChunkHeaders, Compression, Letters};
use crate::store::Stored;
use crate::wire::RowWriter;

use super::State;
use super::reply::{Content, Reply};
use super::route::Call;

/// Size of the pieces that a body is sent in.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow client.
const PIECES_AHEAD: usize = 4;
/// Rows that a chunk's size is estimated from.
const SAMPLE_ROWS: usize = 64;
/// How much gzip saves on rows, roughly.
const PACKED_SHARE: usize = 5;

const KEY_ALGORITHM: &str = "x-amz-server-side-encryption-customer-algorithm";
const KEY: &str = "x-amz-server-side-encryption-customer-key";

/// A link to a chunk, good for a while.
pub(super) fn url(state: &State, stored: &Stored, position: usize) -> String {
    let life = i64::try_from(state.knobs.lock().chunk_life.as_millis()).unwrap_or(i64::MAX);
    let expires = state.clock.now().saturating_add(life);
    let path = format!("/results/{}/main/data_{position}", stored.query_id);
    let signature = signature(state, &path, &expires.to_string());
    format!("{}{path}?Expires={expires}&Signature={signature}", state.chunk_base)
}

fn signature(state: &State, path: &str, expires: &str) -> String {
    let digest = Sha256::digest(format!("{}\n{path}\n{expires}", state.secret));
    let mut out = Vec::new();
    crate::wire::hex(&mut out, &digest);
    String::from_utf8(out).unwrap_or_default()
}

/// The result and the position that a request names.
pub(super) fn find(state: &State, call: &Call) -> Option<(Arc<Stored>, usize)> {
    let rest = call.path.strip_prefix("/results/")?;
    let (query_id, position) = rest.split_once("/main/data_")?;
    let position = position.parse().ok()?;
    let stored = state.store.result(query_id)?;
    stored.chunk(position)?;
    Some((stored, position))
}

/// Answers a request for a chunk.
pub(super) fn answer(
    state: &State,
    call: &Call,
    found: Option<(Arc<Stored>, usize)>,
    fault: Option<&Fault>,
) -> Reply {
    if call.headers.contains_key(header::AUTHORIZATION) {
        let message = "Only one auth mechanism allowed; only the Signature query string parameter \
                       or the Authorization header should be specified";
        return Reply::storage_error(400, "InvalidArgument", message);
    }
    let expires = call.param("Expires").unwrap_or_default();
    if call.param("Signature") != Some(&signature(state, &call.path, expires)) {
        let message =
            "The request signature we calculated does not match the signature you provided";
        return Reply::storage_error(403, "SignatureDoesNotMatch", message);
    }
    if expires.parse().unwrap_or(i64::MIN) <= state.clock.now() {
        return Reply::storage_error(403, "AccessDenied", "Request has expired");
    }
    let Some((stored, position)) = found else {
        return Reply::storage_error(404, "NoSuchKey", "The specified key does not exist.");
    };
    if !has_headers(&stored.headers, &call.headers) {
        let message = "The headers that the result asked for are missing";
        return Reply::storage_error(403, "AccessDenied", message);
    }
    body(&stored, position, fault)
}

fn has_headers(wanted: &ChunkHeaders, given: &HeaderMap) -> bool {
    let has = |name: &str, value: &str| given.get(name).is_some_and(|given| given == value);
    match wanted {
        ChunkHeaders::Empty => true,
        ChunkHeaders::Named(headers) => headers.iter().all(|(name, value)| has(name, value)),
        ChunkHeaders::Key(key) => has(KEY_ALGORITHM, "AES256") && has(KEY, key),
    }
}

fn body(stored: &Arc<Stored>, position: usize, fault: Option<&Fault>) -> Reply {
    let rows = stored.chunk(position).unwrap_or_default();
    let short = match fault {
        Some(Fault::ShortRows(count)) => *count,
        _ => 0,
    };
    let narrow = fault == Some(&Fault::WrongColumnCount);
    let kept = stored.bodies.get(position).and_then(|body| body.get());
    let body = match kept {
        Some(bytes) if short == 0 && !narrow => Content::Whole(bytes.clone()),
        _ => {
            let end = rows.end.saturating_sub(short).max(rows.start);
            Content::Pieces(streamed(Arc::clone(stored), rows.start..end, narrow))
        }
    };
    let mut headers = Vec::new();
    if stored.compression == Compression::GzipWithHeader {
        headers.push((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    }
    Reply { status: 200, code: None, content_type: "application/json", headers, body }
}

/// Renders rows on a thread of its own, as fast as the client takes them.
fn streamed(stored: Arc<Stored>, rows: Range<usize>, narrow: bool) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    // The thread ends when the receiver is dropped, so nobody has to wait for it.
    drop(tokio::task::spawn_blocking(move || {
        render(&stored, rows, narrow, Pieces { sender, waiting: Vec::new() })
    }));
    receiver
}

/// Renders all chunks of a result and keeps their bodies.
pub(super) fn render_ahead(stored: &Stored) {
    for (position, body) in stored.bodies.iter().enumerate() {
        let mut out = Vec::new();
        let rows = stored.chunk(position).unwrap_or_default();
        // Writing to memory cannot fail; a body that is not kept is rendered at the request.
        if render(stored, rows, false, &mut out).is_ok() {
            body.get_or_init(|| Bytes::from(out));
        }
    }
}

fn render(stored: &Stored, rows: Range<usize>, narrow: bool, out: impl Write) -> io::Result<()> {
    match stored.compression {
        Compression::None => {
            let mut out = out;
            write_rows(stored, rows, narrow, &mut out)?;
            out.flush()
        }
        Compression::Gzip | Compression::GzipWithHeader => {
            // An empty chunk has an empty body, not an empty archive.
            if rows.is_empty() && stored.compression == Compression::Gzip {
                return Ok(());
            }
            let mut packed = GzEncoder::new(out, flate2::Compression::fast());
            write_rows(stored, rows, narrow, &mut packed)?;
            packed.finish()?.flush()
        }
    }
}

fn write_rows(
    stored: &Stored,
    rows: Range<usize>,
    narrow: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    let writer = RowWriter::new(&stored.result, stored.indent, stored.letters == Letters::Escaped);
    let mut buffer = Vec::with_capacity(PIECE_BYTES + 4_096);
    let (first, last) = (rows.start, rows.end.saturating_sub(1));
    for row in rows {
        if row > first {
            buffer.push(b',');
        }
        writer.row(&mut buffer, row, usize::from(narrow && row == last));
        if buffer.len() >= PIECE_BYTES {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)
}

/// Collects bytes into pieces and sends them; fails once the client is gone.
struct Pieces {
    sender: mpsc::Sender<Bytes>,
    waiting: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.waiting));
        self.sender.blocking_send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(data);
        if self.waiting.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// Packed and plain size of a chunk. Where the body is not made yet, both are estimated from its
/// first rows.
pub(super) fn sizes(stored: &Stored, position: usize) -> (usize, usize) {
    let rows = stored.chunk(position).unwrap_or_default();
    let sample = rows.len().min(SAMPLE_ROWS);
    let mut out = Vec::new();
    let writer = RowWriter::new(&stored.result, stored.indent, stored.letters == Letters::Escaped);
    writer.rows(&mut out, rows.start..rows.start + sample, false);
    let plain = out.len() * rows.len() / sample.max(1);
    let made = stored.bodies.get(position).and_then(|body| body.get()).map(Bytes::len);
    let packed = made.unwrap_or(match stored.compression {
        Compression::None => plain,
        _ => plain / PACKED_SHARE,
    });
    (packed, plain)
}
