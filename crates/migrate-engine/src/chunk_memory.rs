//! How a chunk is read, and the least memory that it takes.

use std::num::NonZeroU64;

use migrate_core::{Chunk, LoadPlan, ScanRequest, TablePlan};

use crate::table_plan::{Draft, Ends};

const MIB: u64 = 1 << 20;

/// The scan of a chunk.
pub(crate) fn scan_of(plan: &TablePlan, chunk: &Chunk) -> ScanRequest {
    ScanRequest::new(plan.load.read_columns(), chunk.extent.clone())
        .with_filter(plan.filter.clone())
        .with_order(plan.order.clone())
        .with_expected_rows(chunk.expected_rows)
}

/// Bytes that scanning and writing the chunk take at the least.
pub(crate) fn least_bytes(
    ends: &Ends,
    load: &LoadPlan,
    chunk: &Chunk,
    request: &ScanRequest,
) -> u64 {
    let scan_bytes = ends.source.scan_memory_bytes(request);
    scan_bytes.saturating_add(ends.sink.write_memory_bytes(load, chunk))
}

/// The same for the largest chunk of a table.
pub(crate) fn largest_of(draft: &Draft) -> u64 {
    let Draft { ends, plan, chunks, .. } = draft;
    let bytes = |chunk: &Chunk| least_bytes(ends, &plan.load, chunk, &scan_of(plan, chunk));
    chunks.iter().map(bytes).max().unwrap_or_default()
}

/// What the operator should know of a budget that is too small for a chunk.
pub(crate) fn too_small(chunk_bytes: u64, budget: NonZeroU64) -> Option<String> {
    (chunk_bytes > budget.get()).then(|| {
        format!(
            "a chunk takes {} MiB at the least and memory_budget is {} MiB: such chunks run alone, \
             and go beyond it",
            chunk_bytes.div_ceil(MIB),
            budget.get() / MIB
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_is_too_small_is_said_with_both_numbers() {
        let budget = NonZeroU64::new(32 * MIB).expect("not zero");
        assert_eq!(too_small(32 * MIB, budget), None);
        let note = too_small(32 * MIB + 1, budget).expect("a note");
        assert!(note.contains("33 MiB") && note.contains("is 32 MiB"), "{note}");
    }
}
