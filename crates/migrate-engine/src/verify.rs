//! A chunk is held to what independent counts say: its stream to the plan's count, and what the sink
//! says it has read to what has passed here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream;
use migrate_core::{
    BatchStream, Chunk, ChunkId, CommitDomain, CommitRecord, Error, ErrorKind, RejectedRow, Result,
    SqlStatement, WriteSummary, code,
};

/// What has passed of one chunk.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    rows: AtomicU64,
    is_whole: AtomicBool,
    is_disputed: AtomicBool,
}

impl Passed {
    /// Whether the sink has read what has passed, and that was all.
    fn agrees_with(&self, summary: &WriteSummary) -> bool {
        let agrees = self.is_whole.load(Ordering::Acquire)
            && self.rows.load(Ordering::Acquire) == summary.rows_read;
        self.is_disputed.fetch_or(!agrees, Ordering::AcqRel);
        agrees
    }

    /// Holds a sink's answer to what has passed.
    ///
    /// # Errors
    ///
    /// [`code::ROW_COUNT_MISMATCH`] where they differ.
    pub(crate) fn judge(
        &self,
        written: Result<WriteSummary>,
        chunk: &Chunk,
    ) -> Result<WriteSummary> {
        match written {
            Ok(summary) if self.agrees_with(&summary) => Ok(summary),
            // Its record was kept back, which looks like a lost lease to the sink.
            Err(error)
                if error.kind() != ErrorKind::LeaseLost
                    || !self.is_disputed.load(Ordering::Acquire) =>
            {
                Err(error)
            }
            Ok(_) | Err(_) => Err(Error::new(
                code::ROW_COUNT_MISMATCH,
                "The target read another number of rows than the source delivered",
            )
            .with("chunk", chunk.id)
            .with("delivered", self.rows.load(Ordering::Acquire))
            .with_hint("run again; if it stays, report it: the sink does not keep its contract")),
        }
    }
}

/// A record that completes nothing while the sink's count is not what has passed.
#[derive(Debug)]
pub(crate) struct Witnessed<'a> {
    record: &'a dyn CommitRecord,
    passed: Arc<Passed>,
}

impl<'a> Witnessed<'a> {
    pub(crate) fn new(record: &'a dyn CommitRecord, passed: &Arc<Passed>) -> Self {
        Self { record, passed: Arc::clone(passed) }
    }
}

impl CommitRecord for Witnessed<'_> {
    fn domain(&self) -> &CommitDomain {
        self.record.domain()
    }

    fn statement(&self, summary: &WriteSummary) -> SqlStatement {
        if self.passed.agrees_with(summary) {
            return self.record.statement(summary);
        }
        // It finds no row, so the sink rolls back.
        SqlStatement { sql: "select 1 where 1 = 0".into(), params: Vec::new() }
    }

    fn enter(&self) -> Option<SqlStatement> {
        self.record.enter()
    }

    fn keep(&self, rows: &[RejectedRow]) -> Option<SqlStatement> {
        self.record.keep(rows)
    }

    fn within(&self, most_rows: u64) -> Option<SqlStatement> {
        self.record.within(most_rows)
    }
}

/// Passes batches on and ends with an error when their rows are not the expected ones. The sink
/// then never gets to COMMIT. No count is expected of sources that have counted by themselves.
pub(crate) fn counted(batches: BatchStream, chunk: &Chunk, passed: &Arc<Passed>) -> BatchStream {
    let (id, expected) = (chunk.id, chunk.expected_rows);
    let passed = Arc::clone(passed);
    let state = (batches, false);
    stream::unfold(state, move |(mut batches, ended)| {
        let passed = Arc::clone(&passed);
        async move {
            if ended {
                return None;
            }
            match batches.next().await {
                Some(Ok(batch)) => {
                    passed.rows.fetch_add(batch.num_rows() as u64, Ordering::AcqRel);
                    Some((Ok(batch), (batches, false)))
                }
                Some(Err(error)) => Some((Err(error), (batches, true))),
                None => {
                    let arrived = passed.rows.load(Ordering::Acquire);
                    match expected.filter(|expected| *expected != arrived) {
                        None => {
                            passed.is_whole.store(true, Ordering::Release);
                            None
                        }
                        Some(expected) => {
                            Some((Err(mismatch(id, arrived, expected)), (batches, true)))
                        }
                    }
                }
            }
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
    use futures::TryStreamExt;
    use migrate_core::Scalar;
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
        let passed: Vec<_> = counted(batches(&[3, 4]), &chunk(7), &Arc::default())
            .try_collect()
            .await
            .expect("seven");
        assert_eq!(passed.len(), 2);
    }

    #[tokio::test]
    async fn a_row_too_few_or_too_many_is_an_error() {
        for expected in [6, 8, 0] {
            let result: Result<Vec<_>, _> =
                counted(batches(&[3, 4]), &chunk(expected), &Arc::default()).try_collect().await;
            let error = result.expect_err("mismatch");
            assert_eq!(error.code(), code::ROW_COUNT_MISMATCH);
            assert!(error.to_string().contains("chunk=12"), "{error}");
        }
        let nothing: Result<Vec<_>, _> =
            counted(batches(&[]), &chunk(1), &Arc::default()).try_collect().await;
        assert_eq!(nothing.expect_err("nothing came").code(), code::ROW_COUNT_MISMATCH);
    }

    #[derive(Debug)]
    struct Record(CommitDomain);

    impl CommitRecord for Record {
        fn domain(&self) -> &CommitDomain {
            &self.0
        }

        fn statement(&self, _summary: &WriteSummary) -> SqlStatement {
            SqlStatement { sql: "complete it".into(), params: vec![Scalar::from(1_i64)] }
        }
    }

    fn read(rows_read: u64) -> WriteSummary {
        WriteSummary { rows_read, ..WriteSummary::default() }
    }

    #[tokio::test]
    async fn a_record_completes_only_what_the_sink_has_read_to_its_end() {
        let record = Record(CommitDomain::new("d"));
        let passed = Arc::new(Passed::default());
        let witnessed = Witnessed::new(&record, &passed);
        let mut stream = counted(batches(&[3, 4]), &chunk(7), &passed);
        let completes = |rows| witnessed.statement(&read(rows)).sql == "complete it";
        stream.try_next().await.expect("a batch");
        assert!(!completes(3), "there is more");
        while stream.try_next().await.expect("the rest").is_some() {}
        assert!(!completes(6), "a row is missing");
        assert!(completes(7));
    }

    #[tokio::test]
    async fn a_sink_that_has_read_less_than_has_passed_has_not_written_the_chunk() {
        let passed = Arc::new(Passed::default());
        let stream = counted(batches(&[3, 4]), &chunk(7), &passed);
        stream.try_collect::<Vec<_>>().await.expect("seven");
        assert_eq!(passed.judge(Ok(read(7)), &chunk(7)).expect("agrees"), read(7));
        let error = passed.judge(Ok(read(6)), &chunk(7)).expect_err("one is missing");
        assert_eq!(error.code(), code::ROW_COUNT_MISMATCH);
        let lost = Error::new(ErrorKind::LeaseLost, "The lease is gone");
        let error = passed.judge(Err(lost), &chunk(7)).expect_err("was kept back");
        assert_eq!(error.code(), code::ROW_COUNT_MISMATCH);
    }
}
