//! Where the workers' time went, and so what bounded a run.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use futures::{StreamExt, stream};
use migrate_core::{BatchStream, Event, Observer, RunContext};

/// Shorter runs say nothing about rows.
const BRIEF: Duration = Duration::from_secs(2);

/// From this part of all processor time on, more of anything else does not help.
const BUSY: f64 = 0.75;

/// From this part of the workers' time on, a wait is what to look at first.
const MUCH: f64 = 0.3;

/// What the workers of one process spent their time on, summed over all workers, while chunks were
/// copied.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Effort {
    /// Waiting for the source's rows.
    pub reading: Duration,
    /// Encoding rows and waiting for the target to take them.
    pub writing: Duration,
    /// Waiting for a part of `memory_budget`.
    pub awaiting_memory: Duration,
    /// The part of `writing` in which a lock of somebody else was waited for, to a few seconds.
    pub awaiting_locks: Duration,
    /// Processor time of this process, all threads.
    pub processor: Duration,
    /// From the first claim to the end of the last worker.
    pub elapsed: Duration,
    /// Processor cores of this machine, for `processor`.
    pub cores: usize,
}

/// What held a run up the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// It was over too soon to tell.
    Nothing,
    /// The source did not deliver faster.
    Source,
    /// The target did not take rows faster.
    Target,
    /// Others held locks on the target.
    Locks,
    /// This process had no processor time left.
    Processor,
    /// Chunks waited for memory.
    Memory,
}

impl Effort {
    /// What held the run up the most.
    pub fn bound(&self) -> Bound {
        if self.elapsed < BRIEF || self.of_workers(self.reading + self.writing) == 0.0 {
            return Bound::Nothing;
        }
        if self.of_workers(self.awaiting_locks) >= MUCH {
            return Bound::Locks;
        }
        if self.of_processor() >= BUSY {
            return Bound::Processor;
        }
        if self.of_workers(self.awaiting_memory) >= MUCH {
            return Bound::Memory;
        }
        if self.reading > self.writing { Bound::Source } else { Bound::Target }
    }

    /// A time as a part of the time of all workers.
    pub fn of_workers(&self, time: Duration) -> f64 {
        let all = self.reading + self.writing + self.awaiting_memory;
        if all.is_zero() { 0.0 } else { time.as_secs_f64() / all.as_secs_f64() }
    }

    /// Processor time as a part of what all cores had.
    pub fn of_processor(&self) -> f64 {
        let cores = u32::try_from(self.cores.max(1)).unwrap_or(u32::MAX);
        let had = self.elapsed * cores;
        if had.is_zero() { 0.0 } else { self.processor.as_secs_f64() / had.as_secs_f64() }
    }
}

/// Adds up an [`Effort`] while it is made.
#[derive(Debug)]
pub(crate) struct Tally {
    began: Instant,
    processor: ProcessTime,
    reading: Nanoseconds,
    /// From the statement at the source to COMMIT, with all waits for the source.
    copying: Nanoseconds,
    awaiting_memory: Nanoseconds,
    awaiting_locks: Nanoseconds,
}

#[derive(Debug, Default)]
struct Nanoseconds(AtomicU64);

impl Nanoseconds {
    fn add(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
    }

    fn sum(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    async fn of<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.add(began.elapsed());
        done
    }
}

impl Tally {
    pub(crate) fn begin() -> Self {
        Self {
            began: Instant::now(),
            processor: ProcessTime::now(),
            reading: Nanoseconds::default(),
            copying: Nanoseconds::default(),
            awaiting_memory: Nanoseconds::default(),
            awaiting_locks: Nanoseconds::default(),
        }
    }

    pub(crate) async fn memory<T>(&self, wait: impl Future<Output = T>) -> T {
        self.awaiting_memory.of(wait).await
    }

    pub(crate) async fn reading<T>(&self, work: impl Future<Output = T>) -> T {
        self.reading.of(work).await
    }

    pub(crate) async fn copying<T>(&self, work: impl Future<Output = T>) -> T {
        self.copying.of(work).await
    }

    /// The same batches; the waits for them are waits for the source.
    pub(crate) fn delivered(self: &Arc<Self>, batches: BatchStream) -> BatchStream {
        let tally = Arc::clone(self);
        stream::unfold((batches, tally), |(mut batches, tally)| async move {
            let batch = tally.reading.of(batches.next()).await?;
            Some((batch, (batches, tally)))
        })
        .boxed()
    }

    /// The same context, where waits for locks are heard of.
    pub(crate) fn listen(self: &Arc<Self>, cx: &RunContext) -> RunContext {
        let listener = Arc::clone(cx.observer());
        cx.clone().with_observer(Arc::new(Listening { listener, tally: Arc::clone(self) }))
    }

    pub(crate) fn effort(&self) -> Effort {
        let reading = self.reading.sum();
        Effort {
            reading,
            writing: self.copying.sum().saturating_sub(reading),
            awaiting_memory: self.awaiting_memory.sum(),
            awaiting_locks: self.awaiting_locks.sum(),
            processor: self.processor.elapsed(),
            elapsed: self.began.elapsed(),
            cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}

#[derive(Debug)]
struct Listening {
    listener: Arc<dyn Observer>,
    tally: Arc<Tally>,
}

impl Observer for Listening {
    fn on_event(&self, event: &Event) {
        if let Event::LockAwaited { waited, .. } = event {
            self.tally.awaiting_locks.add(*waited);
        }
        self.listener.on_event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Four workers on two cores for ten seconds.
    fn effort(reading: u64, writing: u64) -> Effort {
        Effort {
            reading: seconds(reading),
            writing: seconds(writing),
            elapsed: seconds(10),
            cores: 2,
            ..Effort::default()
        }
    }

    #[test]
    fn the_longer_wait_is_the_bound() {
        assert_eq!(effort(30, 10).bound(), Bound::Source);
        assert_eq!(effort(10, 30).bound(), Bound::Target);
    }

    #[test]
    fn locks_memory_and_the_processor_come_before_the_ends() {
        let locks = Effort { awaiting_locks: seconds(15), ..effort(5, 35) };
        assert_eq!(locks.bound(), Bound::Locks);
        let memory = Effort { awaiting_memory: seconds(20), ..effort(10, 10) };
        assert_eq!(memory.bound(), Bound::Memory);
        let processor = Effort { processor: seconds(16), ..effort(10, 30) };
        assert_eq!(processor.bound(), Bound::Processor);
    }

    #[test]
    fn a_short_run_and_one_without_rows_say_nothing() {
        assert_eq!(Effort { elapsed: seconds(1), ..effort(30, 10) }.bound(), Bound::Nothing);
        assert_eq!(effort(0, 0).bound(), Bound::Nothing);
    }

    #[tokio::test]
    async fn waits_are_told_apart() {
        let tally = Arc::new(Tally::begin());
        let slow = stream::once(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(migrate_core::arrow::array::RecordBatch::new_empty(Arc::new(
                migrate_core::arrow::datatypes::Schema::empty(),
            )))
        });
        let mut batches = tally.delivered(slow.boxed());
        tally.copying(async { while batches.next().await.is_some() {} }).await;
        let effort = tally.effort();
        assert!(effort.reading >= Duration::from_millis(20), "{effort:?}");
        assert!(effort.writing < effort.reading, "{effort:?}");
        tally.listen(&RunContext::new()).emit(&Event::LockAwaited {
            table: migrate_core::TableRef::bare("t"),
            waited: seconds(3),
        });
        assert_eq!(tally.effort().awaiting_locks, seconds(3));
    }
}
