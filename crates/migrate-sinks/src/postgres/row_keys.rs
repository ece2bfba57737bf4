//! Which row an error is about: its number in the chunk, and its key.
//!
//! Values never stand in messages; keys do, because nobody can mend a row that has no name. The key
//! is that of the write mode, or else the primary key of the target, or else the columns by which
//! the chunk was cut. A row without any of them is known by its number only.

use std::collections::VecDeque;
use std::fmt::Write as _;

use migrate_core::arrow::array::{Array as _, ArrayRef, RecordBatch};
use migrate_core::value::for_each_scalar;
use migrate_core::{Chunk, ColumnName, ColumnPair, Error, Extent, LoadPlan, ValuePart};

/// Keys that are kept per chunk. The driver hears of a refused row only when all have been sent, so
/// any of them may have to be named: this is enough for a million rows with a key of one number. In
/// larger chunks the keys of the first rows are forgotten.
const MOST_BYTES: usize = 16 << 20;

/// The keys of the rows that are on their way.
#[derive(Debug)]
pub(super) struct RowKeys {
    columns: Vec<(ColumnName, usize)>,
    /// Number of the first row, and the key columns, of the latest batches.
    batches: VecDeque<(u64, Vec<ArrayRef>)>,
    bytes: usize,
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
        Self { columns: columns.unwrap_or_default(), batches: VecDeque::new(), bytes: 0 }
    }

    /// Keeps the keys of a batch whose first row has this number in the chunk, from 0.
    pub(super) fn remember(&mut self, first_row: u64, batch: &RecordBatch) {
        if self.columns.is_empty() {
            return;
        }
        let arrays = self.columns.iter().filter_map(|(_, at)| batch.columns().get(*at).cloned());
        let arrays: Vec<_> = arrays.collect();
        self.bytes += size(&arrays);
        self.batches.push_back((first_row, arrays));
        while self.bytes > MOST_BYTES
            && let Some((_, forgotten)) = self.batches.pop_front()
        {
            self.bytes -= size(&forgotten);
        }
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

fn size(arrays: &[ArrayRef]) -> usize {
    arrays.iter().map(ArrayRef::get_array_memory_size).sum()
}

/// Long keys are cut: an error is one line.
fn shortened(value: &str) -> String {
    const MOST: usize = 100;
    match value.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}
