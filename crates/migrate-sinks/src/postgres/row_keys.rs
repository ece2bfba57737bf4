//! Which row an error is about: its number in the chunk, and its key.
//!
//! Values never stand in messages; keys do, because nobody can mend a row that has no name. The key
//! is that of the write mode, or else the primary key of the target, or else the columns by which
//! the chunk was cut. A row without any of them is known by its number only.

use std::fmt::Write as _;

use migrate_core::arrow::array::{Array as _, ArrayRef, RecordBatch};
use migrate_core::value::for_each_scalar;
use migrate_core::{Chunk, ColumnName, ColumnPair, Error, Extent, LoadPlan, ValuePart};

/// Most bytes of keys after which a COPY ends and another one begins. The driver hears of a refused
/// row only when all of a COPY have been sent, so any of them may have to be named: this is enough for
/// a million rows with a key of one number.
const MOST_BYTES: usize = 16 << 20;

/// Estimates may be low, and arrays have room to spare.
const LEAST_ROWS: usize = 4096;

/// Bytes of a key of each row that is counted on, where it is a text.
const TEXT_BYTES: usize = 64;

/// The keys of the rows that are on their way.
#[derive(Debug)]
pub(super) struct RowKeys {
    columns: Vec<(ColumnName, usize)>,
    /// Number of the first row, and the key columns, of batches that the server has not confirmed.
    batches: Vec<(u64, Vec<ArrayRef>)>,
    bytes: usize,
    most_bytes: usize,
    /// Number of the first row of the COPY.
    first_row: u64,
}

impl RowKeys {
    pub(super) fn new(plan: &LoadPlan, primary_key: &[ColumnName], chunk: &Chunk) -> Self {
        let read = plan.read_columns();
        let place = |pair: &ColumnPair| {
            let position = read.iter().position(|name| *name == pair.source)?;
            Some((pair.target.clone(), position))
        };
        let whole = || plan.columns.iter().filter(|pair| pair.part == ValuePart::Whole);
        let by_target = |names: &[ColumnName]| {
            let of_name =
                |name: &ColumnName| whole().find(|pair| pair.target == *name).and_then(place);
            names.iter().map(of_name).collect::<Option<Vec<_>>>().filter(|key| !key.is_empty())
        };
        let by_chunk = || {
            let Extent::Rows { predicate } = &chunk.extent else { return None };
            let of_name =
                |name: &ColumnName| whole().find(|pair| pair.source == *name).and_then(place);
            let key: Vec<_> = predicate.columns().into_iter().filter_map(of_name).collect();
            Some(key)
        };
        let columns =
            by_target(plan.mode.keys()).or_else(|| by_target(primary_key)).or_else(by_chunk);
        let columns: Vec<(ColumnName, usize)> = columns.unwrap_or_default();
        let types = plan.read_types();
        let width = |(_, at): &(ColumnName, usize)| {
            let width = types.get(*at).and_then(|(_, kind)| kind.arrow().primitive_width());
            width.unwrap_or(TEXT_BYTES)
        };
        let row_bytes: usize = columns.iter().map(width).sum();
        let rows = chunk.expected_rows.or(chunk.estimated_rows);
        let rows = rows.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX));
        let most_bytes = row_bytes.saturating_mul(rows.max(LEAST_ROWS)).min(MOST_BYTES);
        Self { columns, batches: Vec::new(), bytes: 0, most_bytes, first_row: 0 }
    }

    /// Bytes of keys that are kept at the most, as far as numbers of rows and types tell.
    pub(super) fn most_bytes(&self) -> u64 {
        self.most_bytes as u64
    }

    /// Keeps the keys of a batch whose first row has this number in the chunk, from 0.
    pub(super) fn remember(&mut self, first_row: u64, batch: &RecordBatch) {
        if self.columns.is_empty() {
            return;
        }
        let arrays = self.columns.iter().filter_map(|(_, at)| batch.columns().get(*at).cloned());
        let arrays: Vec<_> = arrays.collect();
        self.bytes += arrays.iter().map(ArrayRef::get_array_memory_size).sum::<usize>();
        self.batches.push((first_row, arrays));
    }

    /// Whether as many keys wait as may; never before a batch has come, so that each COPY gets on.
    pub(super) fn is_full(&self) -> bool {
        !self.batches.is_empty() && self.bytes >= self.most_bytes
    }

    /// Forgets the keys of the rows before this one, which the server has taken: a COPY begins.
    pub(super) fn forget(&mut self, first_row: u64) {
        self.batches.clear();
        self.bytes = 0;
        self.first_row = first_row;
    }

    /// Number of the first row of the COPY, from 0 in the chunk.
    pub(super) fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Adds number and key of a row of the chunk, from 0, to an error about it.
    pub(super) fn name_row(&self, error: Error, row: u64) -> Error {
        let error = error.with("row", row + 1);
        match self.key_of(row) {
            Some(key) => error.with("key", key),
            None => error,
        }
    }

    fn key_of(&self, row: u64) -> Option<String> {
        let (first, arrays) = self.batches.iter().rev().find(|(first, _)| *first <= row)?;
        self.key_at(arrays, usize::try_from(row - first).ok()?)
    }

    /// The key of a row of a batch that is at hand.
    pub(super) fn key_in(&self, batch: &RecordBatch, row: usize) -> Option<String> {
        let arrays: Vec<_> =
            self.columns.iter().filter_map(|(_, at)| batch.columns().get(*at).cloned()).collect();
        self.key_at(&arrays, row)
    }

    fn key_at(&self, arrays: &[ArrayRef], at: usize) -> Option<String> {
        let mut key = String::new();
        for ((name, _), array) in self.columns.iter().zip(arrays) {
            if at >= array.len() {
                return None;
            }
            let separator = if key.is_empty() { "" } else { ", " };
            // A column that has no scalar form names nothing.
            for_each_scalar(&array.slice(at, 1), name, |value| {
                let value = value.map_or("NULL".to_owned(), |value| value.to_string());
                // Writing to memory cannot fail.
                write!(key, "{separator}{name}={}", shortened(&value)).map_err(|_never| {
                    Error::new(migrate_core::ErrorKind::Internal, "A key cannot be printed")
                })
            })
            .ok()?;
        }
        (!key.is_empty()).then_some(key)
    }
}

/// Long keys are cut: an error is one line.
fn shortened(value: &str) -> String {
    const MOST: usize = 100;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use migrate_core::arrow::array::Int64Array;
    use migrate_core::arrow::datatypes::{DataType, Field, Schema};
    use migrate_core::{ChunkId, ColumnType, Predicate};

    use super::*;

    /// Whether keys are full at the beginning of a COPY and after a batch.
    fn is_full(key: &[ColumnName]) -> [bool; 2] {
        let pair = ColumnPair::new("a", "a", ColumnType::Int64);
        let mut chunk = Chunk::new(ChunkId(0), Extent::Rows { predicate: Predicate::All });
        chunk.expected_rows = Some(0);
        let mut keys = RowKeys::new(&LoadPlan::append(vec![pair]), key, &chunk);
        let at_first = keys.is_full();
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2 << 20));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).expect("a batch");
        keys.remember(0, &batch);
        [at_first, keys.is_full()]
    }

    #[test]
    fn every_copy_takes_a_batch_and_without_keys_one_takes_all() {
        assert_eq!(is_full(&[]), [false, false]);
        assert_eq!(is_full(&["a".into()]), [false, true]);
    }
}
