//! Rows that reference a row of their own table which has not come yet.
//!
//! In one COPY of the whole chunk the order would not matter: such references are looked at when it
//! ends. Piece by piece it does, so these rows get a second chance when the chunk is in.

use migrate_core::{RejectedRow, Result, TableRef};
use migrate_postgres::{classify, sqlx};
use sqlx::PgConnection;

use super::piece::Piece;

const FOREIGN_KEY_VIOLATION: &str = "23503";

/// Each of them is tried alone: more than that are a pattern, not an accident of order.
const MOST_ROWS: usize = 1000;

/// The same in bytes.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// The rows that wait for the end of the chunk.
#[derive(Debug)]
pub(super) struct Late<'a> {
    table: &'a TableRef,
    oid: i64,
    /// Known once it was asked for.
    is_self_referencing: Option<bool>,
    rows: Vec<(RejectedRow, Vec<u8>)>,
    bytes: usize,
}

impl<'a> Late<'a> {
    pub(super) fn new(table: &'a TableRef, oid: i64) -> Self {
        Self { table, oid, is_self_referencing: None, rows: Vec::new(), bytes: 0 }
    }

    /// Keeps a row for later, if that can help it.
    pub(super) async fn takes(
        &mut self,
        connection: &mut PgConnection,
        row: &RejectedRow,
        (piece, at): (&Piece, u64),
    ) -> Result<bool> {
        let at = at..at + 1;
        let is_full = self.rows.len() >= MOST_ROWS
            || self.bytes.saturating_add(piece.bytes(&at)) > MOST_BYTES;
        if is_full || !self.is_late(connection, row.sqlstate.as_deref()).await? {
            return Ok(false);
        }
        self.put_back(row.clone(), piece.messages(&at).collect::<Vec<_>>().concat());
        Ok(true)
    }

    /// Whether a refusal may be a matter of order.
    pub(super) async fn is_late(
        &mut self,
        connection: &mut PgConnection,
        sqlstate: Option<&str>,
    ) -> Result<bool> {
        if sqlstate != Some(FOREIGN_KEY_VIOLATION) {
            return Ok(false);
        }
        if let Some(known) = self.is_self_referencing {
            return Ok(known);
        }
        let found: bool = sqlx::query_scalar(
            "select exists (select from pg_constraint \
             where contype = 'f' and conrelid = $1::oid and confrelid = $1::oid)",
        )
        .bind(self.oid)
        .fetch_one(connection)
        .await
        .map_err(|cause| {
            classify("Cannot read PostgreSQL's catalog", cause).with("table", self.table)
        })?;
        self.is_self_referencing = Some(found);
        Ok(found)
    }

    pub(super) fn put_back(&mut self, row: RejectedRow, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.rows.push((row, bytes));
    }

    pub(super) fn take(&mut self) -> Vec<(RejectedRow, Vec<u8>)> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}
