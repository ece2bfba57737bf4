//! A stream that is held to an independent count.

use futures::StreamExt;
use futures::stream;
use migrate_core::{BatchStream, Chunk, ChunkId, Error, code};

/// Passes batches on and ends with an error when their rows are not the expected ones. The sink
/// then never gets to COMMIT. `None` is for sources that have counted by themselves.
pub(crate) fn counted(batches: BatchStream, chunk: &Chunk) -> BatchStream {
    let Some(expected) = chunk.expected_rows else { return batches };
    let id = chunk.id;
    let state = (batches, 0_u64, false);
    stream::unfold(state, move |(mut batches, mut arrived, ended)| async move {
        if ended {
            return None;
        }
        match batches.next().await {
            Some(Ok(batch)) => {
                arrived += batch.num_rows() as u64;
                Some((Ok(batch), (batches, arrived, false)))
            }
            Some(Err(error)) => Some((Err(error), (batches, arrived, true))),
            None if arrived == expected => None,
            None => Some((Err(mismatch(id, arrived, expected)), (batches, arrived, true))),
        }
    })
    .boxed()
}

fn mismatch(chunk: ChunkId, arrived: u64, expected: u64) -> Error {
    Error::new(
        code::ROW_COUNT_MISMATCH,
        format!("The chunk delivered {arrived} rows where {expected} were counted"),
    )
    .with("chunk", chunk)
    .with_hint(
        "nothing was written; run again. If it stays, the plan's count does not hold any more, as \
         with a `source_filter` that uses the present time: start anew with --no-resume",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;
    use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use migrate_core::{Extent, Predicate};

    use super::*;

    fn batches(sizes: &[i64]) -> BatchStream {
        let batch = |size: &i64| {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..*size));
            Ok(RecordBatch::try_from_iter([("id", ids)]).expect("one column"))
        };
        stream::iter(sizes.iter().map(batch).collect::<Vec<_>>()).boxed()
    }

    fn chunk(expected_rows: u64) -> Chunk {
        let extent = Extent::Rows { predicate: Predicate::All };
        Chunk::new(ChunkId(12), extent).with_rows(Some(expected_rows), None)
    }

    #[tokio::test]
    async fn the_right_number_of_rows_passes() {
        let passed: Vec<_> =
            counted(batches(&[3, 4]), &chunk(7)).try_collect().await.expect("seven");
        assert_eq!(passed.len(), 2);
    }

    #[tokio::test]
    async fn a_row_too_few_or_too_many_is_an_error() {
        for expected in [6, 8, 0] {
            let result: Result<Vec<_>, _> =
                counted(batches(&[3, 4]), &chunk(expected)).try_collect().await;
            let error = result.expect_err("mismatch");
            assert_eq!(error.code(), code::ROW_COUNT_MISMATCH);
            assert!(error.to_string().contains("chunk=12"), "{error}");
        }
        let nothing: Result<Vec<_>, _> = counted(batches(&[]), &chunk(1)).try_collect().await;
        assert_eq!(nothing.expect_err("nothing came").code(), code::ROW_COUNT_MISMATCH);
    }
}
