//! The time budget of a process: at its end the run is parked, and a chunk that cannot make it is given
//! up before.

use std::time::Duration;

use futures::{StreamExt, stream};
use migrate_core::{BatchStream, Chunk, Deadline, Error, ErrorKind, RunContext};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Before so much of a chunk has arrived, its pace tells nothing.
const TELLING_PART: u64 = 10;

/// What ends the work of a process at its deadline, for as long as it is kept.
#[derive(Debug)]
#[must_use = "dropped, it lets the work go on"]
pub(crate) struct Alarm {
    _waiting: JoinSet<()>,
}

/// The context for the work of one process: it is cancelled when the caller says so, or when the time
/// budget is used up.
pub(crate) fn until_deadline(cx: &RunContext) -> (RunContext, Alarm) {
    let cx = cx.child();
    let mut waiting = JoinSet::new();
    if let Some(deadline) = cx.deadline {
        let cancel = cx.cancel.clone();
        waiting.spawn(async move {
            sleep_until(Instant::from_std(deadline.ends())).await;
            tracing::warn!("the time budget is used up: running chunks are given back");
            cancel.cancel();
        });
    }
    (cx, Alarm { _waiting: waiting })
}

/// Whether work that began at that moment had at least half of the time budget, which is used up or
/// does not suffice. Such work will hardly fit into the next one either.
pub(crate) fn had_its_time(deadline: Deadline, began: Instant) -> bool {
    let had = Instant::from_std(deadline.ends()).saturating_duration_since(began);
    had * 2 >= deadline.budget()
}

/// Whether the time budget is used up.
pub(crate) fn is_over(deadline: Deadline) -> bool {
    left(deadline).is_zero()
}

fn left(deadline: Deadline) -> Duration {
    Instant::from_std(deadline.ends()).saturating_duration_since(Instant::now())
}

/// Passes batches on, and ends with an error as soon as their pace says that the chunk cannot be done
/// in time: what it still needs is better spent by somebody else, or in the next process.
pub(crate) fn paced(
    batches: BatchStream,
    chunk: &Chunk,
    deadline: Option<Deadline>,
) -> BatchStream {
    let expected_rows = chunk.expected_rows.or(chunk.estimated_rows);
    let (Some(deadline), Some(expected_rows)) = (deadline, expected_rows) else { return batches };
    let pace = Pace { expected_rows, arrived_rows: 0, first: None };
    let state = (batches, pace, false);
    stream::unfold(state, move |(mut batches, mut pace, ended)| async move {
        if ended {
            return None;
        }
        let batch = match batches.next().await? {
            Ok(batch) => batch,
            Err(error) => return Some((Err(error), (batches, pace, true))),
        };
        let needed = pace.needed_after(batch.num_rows() as u64, Instant::now());
        let is_too_slow = needed.is_some_and(|needed| needed > left(deadline));
        let item = if is_too_slow { Err(too_slow()) } else { Ok(batch) };
        Some((item, (batches, pace, is_too_slow)))
    })
    .boxed()
}

fn too_slow() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "The chunk cannot be done in the time that is left")
        .with_hint("run the same command again; with fewer rows per chunk less is begun in vain")
}

/// How fast the rows of a chunk arrive. The first batch does not count: before it the source was at
/// work on the statement.
#[derive(Debug)]
struct Pace {
    expected_rows: u64,
    arrived_rows: u64,
    first: Option<(Instant, u64)>,
}

impl Pace {
    /// How long the rest will take, as far as that can be told.
    fn needed_after(&mut self, rows: u64, now: Instant) -> Option<Duration> {
        self.arrived_rows += rows;
        let (began, first_rows) = *self.first.get_or_insert((now, rows));
        let counted = self.arrived_rows - first_rows;
        let rest = self.expected_rows.saturating_sub(self.arrived_rows);
        if counted == 0 || counted < self.expected_rows / TELLING_PART {
            return None;
        }
        let elapsed_ms = u64::try_from((now - began).as_millis()).unwrap_or(u64::MAX);
        Some(Duration::from_millis(elapsed_ms.saturating_mul(rest) / counted))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::TryStreamExt;
    use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use migrate_core::{ChunkId, Extent, Predicate, Result};

    use super::*;

    /// Ten batches of ten rows, one each second.
    fn slow_batches() -> BatchStream {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("id", ids)]).expect("one column");
        stream::iter(0..10)
            .then(move |_| {
                let batch = batch.clone();
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(batch)
                }
            })
            .boxed()
    }

    fn chunk(rows: Option<u64>) -> Chunk {
        Chunk::new(ChunkId(1), Extent::Rows { predicate: Predicate::All }).with_rows(rows, None)
    }

    async fn passed(rows: Option<u64>, budget_seconds: u64) -> (Result<usize>, u64) {
        let (began, deadline) =
            (Instant::now(), Deadline::within(Duration::from_secs(budget_seconds)));
        let batches = paced(slow_batches(), &chunk(rows), Some(deadline));
        let all: Result<Vec<_>> = batches.try_collect().await;
        (all.map(|all| all.len()), began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_chunk_is_given_up_as_soon_as_its_pace_says_so() {
        assert_eq!(passed(Some(100), 12).await.0.expect("fits"), 10);
        let (given_up, after_seconds) = passed(Some(100), 5).await;
        assert_eq!(given_up.expect_err("too slow").kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(after_seconds, 2, "the second batch tells the pace");
        let (unknown, _) = passed(None, 5).await;
        assert_eq!(unknown.expect("nobody can tell"), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn more_rows_than_expected_are_no_reason_to_give_up() {
        assert_eq!(passed(Some(20), 60).await.0.expect("fits"), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_began_late_has_not_had_its_time() {
        let deadline = Deadline::within(Duration::from_secs(10));
        let began = Instant::now();
        assert!(had_its_time(deadline, began));
        assert!(!had_its_time(deadline, began + Duration::from_secs(6)));
        assert!(!is_over(deadline));
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(is_over(deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn the_alarm_cancels_the_work_and_not_its_caller() {
        let cx = RunContext::new().with_deadline(Deadline::within(Duration::from_secs(10)));
        let (work, _alarm) = until_deadline(&cx);
        assert!(!work.cancel.is_cancelled());
        work.cancel.cancelled().await;
        assert!(!cx.cancel.is_cancelled());
        let (quiet, alarm) = until_deadline(&RunContext::new());
        drop(alarm);
        assert!(!quiet.cancel.is_cancelled());
    }
}
