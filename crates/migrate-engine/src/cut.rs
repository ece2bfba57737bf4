//! Cutting a table into chunks: what the strategy is given, and what it must give back.

use std::num::NonZeroU64;

use migrate_core::{
    ChunkPlan, ColumnPair, ColumnType, Error, ErrorKind, Extent, PlanInput, Predicate, Result,
};

use crate::job::TableJob;
use crate::table_plan::{Ends, refuse_unless_pushed};

/// A chunk of unknown rows should not be larger: it is what a failure repeats.
const AIMED_BYTES: u64 = 64 << 20;

/// Lets the strategy of the job cut the rows that match `filter`.
///
/// # Errors
///
/// What the strategy answers; `Internal` when it breaks its promise.
pub(crate) async fn cut(
    job: &TableJob,
    ends: &Ends,
    filter: &Predicate,
    columns: &[ColumnPair],
    notes: &mut Vec<String>,
) -> Result<ChunkPlan> {
    let mut plan = match &job.strategy {
        Some(strategy) => {
            let schema = ends.source.schema();
            let declared = job.chunk_columns.iter().map(|column| column.key(schema, notes));
            let keys = declared.collect::<Result<Vec<_>>>()?;
            let input = PlanInput::new(ends.source.as_ref())
                .with_keys(&keys)
                .with_fallback(job.chunk_fallback.as_ref())
                .with_filter(filter)
                .with_chunk_rows(aimed_rows(job, ends, columns).await?);
            strategy.plan(input).await?
        }
        None => {
            let rows = ends.source.count(filter).await?;
            let everything = Extent::Rows { predicate: Predicate::All };
            ChunkPlan::new("single", "one chunk for the whole table", [(everything, Some(rows))])
        }
    };
    if plan.chunks.is_empty() {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("The chunking strategy {} returned no chunk", plan.strategy),
        )
        .with("table", &job.from)
        .with_hint("an empty table needs one chunk too: report this to the strategy's author"));
    }
    for chunk in &plan.chunks {
        if let Extent::Rows { predicate } = &chunk.extent {
            refuse_unless_pushed(ends, predicate, job)?;
        }
    }
    if ends.source.snapshot().is_none() {
        plan.forget_exact_counts();
    }
    notes.append(&mut plan.notes);
    Ok(plan)
}

/// Rows to aim at: what the user says, else as many as make a chunk of reasonable size.
async fn aimed_rows(job: &TableJob, ends: &Ends, columns: &[ColumnPair]) -> Result<NonZeroU64> {
    if let Some(rows) = job.chunk_rows {
        return Ok(rows);
    }
    let kept = ends.source.size().await?.row_bytes();
    Ok(rows_of(kept, width(columns)))
}

/// Rows of a chunk of reasonable size. What a source keeps may be compressed, and may hold columns
/// that nobody reads: the larger guess counts.
fn rows_of(kept_bytes: Option<u64>, width_bytes: u64) -> NonZeroU64 {
    let row_bytes = kept_bytes.unwrap_or(0).max(width_bytes).max(1);
    let rows = NonZeroU64::new(AIMED_BYTES / row_bytes).unwrap_or(NonZeroU64::MIN);
    rows.min(PlanInput::DEFAULT_CHUNK_ROWS)
}

/// About how many bytes the columns of a row take while they travel.
fn width(columns: &[ColumnPair]) -> u64 {
    columns.iter().map(|pair| column_width(&pair.column_type)).sum()
}

fn column_width(column_type: &ColumnType) -> u64 {
    // Texts of unknown length are short as a rule: codes, names, digests.
    const TEXT: u64 = 32;
    const DOCUMENT: u64 = 256;
    match column_type {
        ColumnType::Boolean => 1,
        ColumnType::Int16 => 2,
        ColumnType::Int32 | ColumnType::Date | ColumnType::Float32 => 4,
        ColumnType::Int64
        | ColumnType::Float64
        | ColumnType::Time { .. }
        | ColumnType::Timestamp { .. }
        | ColumnType::Instant { .. } => 8,
        ColumnType::Number { .. } | ColumnType::Uuid | ColumnType::OffsetTimestamp { .. } => 16,
        ColumnType::Text { max_chars: Some(most) } => TEXT.min(u64::from(*most)),
        ColumnType::Json => DOCUMENT,
        _ => TEXT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_250_000_rows_or_64_mib() {
        for (kept, width, rows) in [
            (None, 0, 250_000),
            (None, 100, 250_000),
            (None, 1 << 10, 65_536),
            (Some(1 << 20), 100, 64),
            (Some(10), 1 << 20, 64),
            (Some(1 << 40), 8, 1),
        ] {
            assert_eq!(rows_of(kept, width).get(), rows, "{kept:?} {width}");
        }
    }
}
