//! Encoded rows that are sent together, and where each of them came from.

use std::ops::Range;

use migrate_core::arrow::array::RecordBatch;
use migrate_core::value::row_to_json;
use migrate_core::{ColumnName, Error, RejectedRow, Result};

use super::super::copy_binary::{EncodedRows, Mark, RowEncoder};
use super::super::row_keys::RowKeys;
use super::super::write::MESSAGE_BYTES;
use super::rejects::Rejects;

/// Bytes after which a piece is sent: large enough that a savepoint costs nothing beside them, small
/// enough to be kept for a second look. A single row may be larger.
pub(super) const FULL_BYTES: usize = 4 << 20;

/// What turns rows of batches into rows of pieces, or into rejected rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowSource<'a> {
    pub(super) encoder: &'a RowEncoder,
    pub(super) keys: &'a RowKeys,
    /// The names of the columns of every batch.
    pub(super) columns: &'a [ColumnName],
    /// Whether a row begins with its number in the chunk.
    pub(super) is_numbered: bool,
}

/// A batch on its way, with the number of its first row in the chunk, from 0.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub(super) first_row: u64,
    pub(super) batch: RecordBatch,
}

/// Rows that are sent together.
#[derive(Debug, Default)]
pub(super) struct Piece {
    rows: EncodedRows,
    /// Where each row ends.
    ends: Vec<Mark>,
    /// Of each row, the batch and its position there.
    places: Vec<(usize, usize)>,
    batches: Vec<Numbered>,
}

impl RowSource<'_> {
    /// A row that was refused, with all that is kept of it.
    pub(super) fn rejected(
        &self,
        from: &Numbered,
        row: usize,
        error: &Error,
    ) -> Result<RejectedRow> {
        let values = row_to_json(self.columns, &from.batch, row)?;
        let key = self.keys.key_in(&from.batch, row);
        Ok(RejectedRow::new(from.first_row + row as u64 + 1, values, error).with_key(key))
    }
}

impl Piece {
    /// Adds rows of a batch from `start` on until the piece is full; rows that the encoder refuses are
    /// set aside. Returns the first row that is left.
    pub(super) fn fill(
        &mut self,
        from: &Numbered,
        start: usize,
        source: RowSource<'_>,
        rejects: &mut Rejects<'_>,
    ) -> Result<usize> {
        let at = self.batches.len();
        self.batches.push(from.clone());
        let rows = source.encoder.bind(&from.batch)?;
        let mut row = start;
        while row < from.batch.num_rows() && !self.is_full() && !rejects.is_heavy() {
            let number = from.first_row + row as u64 + 1;
            let number = source.is_numbered.then(|| i64::try_from(number).unwrap_or(i64::MAX));
            match rows.write(row, number, &mut self.rows) {
                Ok(()) => {
                    self.ends.push(self.rows.mark());
                    self.places.push((at, row));
                }
                Err(error) => rejects.add(source.rejected(from, row, &error)?)?,
            }
            row += 1;
        }
        Ok(row)
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= FULL_BYTES
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The bytes of some of the rows, in messages.
    pub(super) fn messages(&self, rows: &Range<u64>) -> impl Iterator<Item = &[u8]> {
        self.rows.pieces(self.end_of(rows.start)..self.end_of(rows.end), MESSAGE_BYTES)
    }

    /// How many they are.
    pub(super) fn bytes(&self, rows: &Range<u64>) -> usize {
        self.end_of(rows.end).bytes() - self.end_of(rows.start).bytes()
    }

    /// Where the first so many rows end.
    fn end_of(&self, rows: u64) -> Mark {
        let last = usize::try_from(rows).ok().and_then(|rows| rows.checked_sub(1));
        last.and_then(|row| self.ends.get(row).copied()).unwrap_or_default()
    }

    /// Where one of the rows came from.
    pub(super) fn origin(&self, row: u64) -> Option<(&Numbered, usize)> {
        let (batch, at) = self.places.get(usize::try_from(row).ok()?)?;
        Some((self.batches.get(*batch)?, *at))
    }

    /// The batches that the rows came from.
    pub(super) fn into_batches(self) -> Vec<Numbered> {
        self.batches
    }
}
