//! Answers of finished statements.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::fault::Fault;
use crate::knobs::{ChunkHeaders, Letters};
use crate::sql::Failure;
use crate::store::{Statement, Stored};
use crate::wire::{RowWriter, rowtype};

use super::State;
use super::chunk;
use super::reply::Reply;

/// An answer with rows. The rows are written by hand, everything else by serde.
#[derive(Serialize)]
struct Answer<'a> {
    data: Data<'a>,
    code: Option<&'a str>,
    message: Option<&'a str>,
    success: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    parameters: Vec<Value>,
    rowtype: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    rowset: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rowset_base64: Option<&'a str>,
    total: usize,
    returned: usize,
    query_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chunks: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_headers: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qrmk: Option<&'a str>,
    final_database_name: Option<String>,
    final_schema_name: Option<String>,
    final_warehouse_name: Option<String>,
    final_role_name: Option<String>,
    number_of_binds: u32,
    array_bind_supported: bool,
    statement_type_id: u32,
    version: u32,
    query_result_format: &'a str,
}

/// The answer with a result.
pub(super) fn rows(state: &State, statement: &Statement, fault: Option<&Fault>) -> Reply {
    if fault == Some(&Fault::NoQueryId) {
        let scripted = Failure::unsupported("anything, because a fault was scripted");
        return failure(statement, &scripted, true);
    }
    let Some(stored) = state.store.result(&statement.query_id) else {
        let gone = Failure::new(
            "000709",
            "02000",
            format!("Result for query {} not found", statement.query_id),
        );
        return failure(statement, &gone, false);
    };
    match serialized(state, statement, &stored, fault) {
        Ok(body) => Reply::json(None, body),
        Err(error) => Reply::status(500, &format!("the answer cannot be written: {error}")),
    }
}

fn serialized(
    state: &State,
    statement: &Statement,
    stored: &Stored,
    fault: Option<&Fault>,
) -> Result<Vec<u8>, serde_json::Error> {
    let session = state.sessions.peek(statement.session);
    let is_arrow = fault == Some(&Fault::ArrowFormat);
    let has_columns = fault != Some(&Fault::NoColumns);
    let chunks = if fault == Some(&Fault::EmptyInline) || !has_columns {
        Vec::new()
    } else {
        chunk_list(state, stored, fault)
    };
    let has_chunks = !chunks.is_empty();
    let (chunk_headers, qrmk) = match &stored.headers {
        _ if !has_chunks => (None, None),
        ChunkHeaders::Empty => (Some(json!({})), None),
        ChunkHeaders::Named(headers) => (Some(headers.iter().cloned().collect()), None),
        ChunkHeaders::Key(key) => (None, Some(key.as_str())),
    };
    let session = session.as_ref();
    let data = Data {
        parameters: session.map(super::login::shown_parameters).unwrap_or_default(),
        rowtype: if has_columns {
            serde_json::to_value(rowtype(&stored.result.fields))?
        } else {
            json!([])
        },
        rowset: if is_arrow { None } else { Some(inline(stored, fault)?) },
        rowset_base64: is_arrow.then_some(""),
        total: stored.result.relation.rows,
        returned: stored.layout.inline.len(),
        query_id: &stored.query_id,
        chunks,
        chunk_headers,
        qrmk,
        final_database_name: session.and_then(|session| session.database.clone()),
        final_schema_name: session.and_then(|session| session.schema.clone()),
        final_warehouse_name: session.and_then(|session| session.warehouse.clone()),
        final_role_name: session.map(|session| session.role.clone()),
        number_of_binds: 0,
        array_bind_supported: false,
        statement_type_id: stored.statement.id(),
        version: 1,
        query_result_format: if is_arrow { "arrow" } else { "json" },
    };
    serde_json::to_vec(&Answer { data, code: None, message: None, success: true })
}

fn inline(stored: &Stored, fault: Option<&Fault>) -> Result<Box<RawValue>, serde_json::Error> {
    let mut rows = stored.layout.inline.clone();
    match fault {
        Some(Fault::EmptyInline | Fault::NoColumns) => rows.end = rows.start,
        Some(Fault::ShortRows(count)) => {
            rows.end = rows.end.saturating_sub(*count).max(rows.start);
        }
        _ => {}
    }
    let narrow = fault == Some(&Fault::WrongColumnCount);
    let writer = RowWriter::new(&stored.result, stored.indent, stored.letters == Letters::Escaped);
    let mut out = vec![b'['];
    writer.rows(&mut out, rows, narrow);
    out.push(b']');
    RawValue::from_string(String::from_utf8_lossy(&out).into_owned())
}

fn chunk_list(state: &State, stored: &Stored, fault: Option<&Fault>) -> Vec<Value> {
    let mut chunks: Vec<Value> = (0..stored.layout.chunks.len())
        .map(|position| {
            let rows = stored.chunk(position).map_or(0, |rows| rows.len());
            let (compressed, uncompressed) = chunk::sizes(stored, position);
            json!({
                "url": chunk::url(state, stored, position),
                "rowCount": rows,
                "uncompressedSize": uncompressed,
                "compressedSize": compressed,
            })
        })
        .collect();
    match fault {
        Some(Fault::MissingChunk) if !chunks.is_empty() => {
            chunks.remove(0);
        }
        Some(Fault::DuplicateChunk) => {
            if let Some(first) = chunks.first().cloned() {
                chunks.insert(0, first);
            }
        }
        _ => {}
    }
    chunks
}

/// The answer of a statement that failed.
pub(super) fn failure(statement: &Statement, failure: &Failure, hides_id: bool) -> Reply {
    let mut data = json!({
        "internalError": false,
        "errorCode": failure.code,
        "age": 0,
        "sqlState": failure.sql_state,
        "queryId": *statement.query_id,
        "line": -1,
        "pos": -1,
        "type": "COMPILATION",
    });
    if hides_id && let Some(object) = data.as_object_mut() {
        object.remove("queryId");
    }
    let body = json!({
        "data": data,
        "code": failure.code,
        "message": failure.message,
        "sqlState": failure.sql_state,
        "success": false,
        "headers": null,
    });
    Reply::json(Some(failure.code.clone().into_owned()), body.to_string())
}
