//! Batches from a task that the stream owns, counted against the chunk's memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use migrate_core::arrow::array::RecordBatch;
use migrate_core::{BatchStream, Error, ErrorKind, Result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::room::Room;

/// Where the task puts its batches.
pub(crate) type BatchSender = mpsc::Sender<Result<Counted>>;

/// A batch and the memory that it counts as.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) batch: RecordBatch,
    pub(crate) memory: Arc<Room>,
}

/// Dropping the stream ends the task. A task that panics ends the stream with an error: the end of
/// the channel alone would look like the end of the rows.
#[derive(Debug)]
pub(crate) struct TaskStream {
    task: JoinSet<()>,
    batches: mpsc::Receiver<Result<Counted>>,
    /// Of the batch that the consumer has.
    handed_out: Option<Arc<Room>>,
}

impl TaskStream {
    /// `start` puts the task into the set, with the sender; `read_ahead` batches may wait for the
    /// consumer.
    pub(crate) fn start(
        read_ahead: usize,
        start: impl FnOnce(&mut JoinSet<()>, BatchSender),
    ) -> BatchStream {
        let (sender, batches) = mpsc::channel(read_ahead);
        let mut task = JoinSet::new();
        start(&mut task, sender);
        Self { task, batches, handed_out: None }.boxed()
    }
}

impl Stream for TaskStream {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Whoever asks for the next batch is done with the last.
        this.handed_out = None;
        match this.batches.poll_recv(cx) {
            Poll::Ready(None) => match this.task.poll_join_next(cx) {
                Poll::Ready(Some(Err(cause))) => {
                    let error = Error::new(ErrorKind::Internal, "Reading rows broke off")
                        .with_hint("report this with the log of the run")
                        .with_source(cause);
                    Poll::Ready(Some(Err(error)))
                }
                Poll::Ready(Some(Ok(())) | None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(counted)) => Poll::Ready(Some(counted.map(|counted| {
                this.handed_out = Some(counted.memory);
                counted.batch
            }))),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_not_the_end_of_the_rows() {
        let mut batches = TaskStream::start(1, |task, sender| {
            task.spawn(async move {
                let _held = sender;
                panic!("on purpose");
            });
        });
        let error = batches.next().await.expect("an item").expect_err("the panic");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(batches.next().await.is_none());
    }
}
