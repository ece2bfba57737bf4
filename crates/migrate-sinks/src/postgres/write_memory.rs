//! What writing a chunk holds in memory on this side.

use migrate_core::{Chunk, ColumnName, LoadPlan};

use super::quarantine::KEPT_BYTES;
use super::row_keys::RowKeys;

/// Rows as they are sent, here and in the driver; both buffers grow by doubling.
const SENT_BYTES: u64 = 1 << 20;

/// Bytes that a chunk takes beside its latest batch.
pub(super) fn write_memory_bytes(plan: &LoadPlan, primary: &[ColumnName], chunk: &Chunk) -> u64 {
    let kept = if plan.sets_bad_rows_aside() { KEPT_BYTES } else { 0 };
    SENT_BYTES + kept + RowKeys::new(plan, primary, chunk).most_bytes()
}

#[cfg(test)]
mod tests {
    use migrate_core::{BadRows, ChunkId, ColumnPair, ColumnType, Extent, Predicate, WriteMode};

    use super::*;

    #[test]
    fn keys_and_rows_for_a_second_look_count() {
        let pair = |name: &str, kind: ColumnType| ColumnPair::new(name, name, kind);
        let text = ColumnType::Text { max_chars: None };
        let mut plan = LoadPlan::append(vec![pair("k", ColumnType::Int64), pair("t", text)]);
        let mut chunk = Chunk::new(ChunkId(0), Extent::Rows { predicate: Predicate::All });
        chunk.expected_rows = Some(1000);
        let bytes = |plan: &LoadPlan, chunk: &Chunk| write_memory_bytes(plan, &[], chunk);
        assert_eq!(bytes(&plan, &chunk), SENT_BYTES, "nothing names a row");
        plan.mode = WriteMode::Upsert { keys: vec!["k".into()], version: None };
        let by_number = bytes(&plan, &chunk) - SENT_BYTES;
        assert!((8_000..100_000).contains(&by_number), "{by_number}");
        plan.mode = WriteMode::Upsert { keys: vec!["t".into()], version: None };
        assert!(bytes(&plan, &chunk) - SENT_BYTES > by_number);
        chunk.expected_rows = None;
        assert_eq!(bytes(&plan, &chunk), SENT_BYTES + (16 << 20), "any number of rows");
        plan.bad_rows = BadRows::Quarantine { most_rows: 1 };
        assert_eq!(bytes(&plan, &chunk), SENT_BYTES + (16 << 20) + KEPT_BYTES);
    }
}
