//! Rows of a result on their way: part after part is fetched, decoded piece by piece, and handed on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use migrate_core::{BatchStream, Error, ErrorKind, MemoryShare, Result, RunContext, ScanRequest};
use snowflake_connector_rs::ResultTable;

use super::decode::{BatchLimits, Layout, decode};
use super::execution::Execution;
use super::settings::RESULT_CHUNK_MB;
use crate::room::Room;
use crate::task_stream::{BatchSender, Counted, TaskStream};

/// Batches that wait for the consumer.
const READ_AHEAD: usize = 1;

/// Batches of a part that may be left when it is decoded: the last one, one that waits, one that is
/// being written.
const BATCHES: u64 = 3;

/// What a part of a result usually has, inflated.
const PART_BYTES: u64 = RESULT_CHUNK_MB * 1000 * 1000;

/// What a part takes while it is fetched, inflated, parsed and decoded. Measured: 2.2 times its text.
fn whole_bytes(text_bytes: u64) -> u64 {
    text_bytes.saturating_mul(22) / 10
}

/// The text of the largest part that any scan of a table has met. How large a part is shows when it
/// is there; the next one is taken for as large. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LargestPart(Arc<AtomicU64>);

impl Default for LargestPart {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(PART_BYTES)))
    }
}

impl LargestPart {
    /// The least bytes with which a scan goes on.
    pub(super) fn least_bytes(&self, request: &ScanRequest) -> u64 {
        self.whole_bytes().saturating_add(BATCHES * request.batch_bytes.get())
    }

    fn whole_bytes(&self) -> u64 {
        whole_bytes(self.0.load(Ordering::Relaxed))
    }

    fn saw(&self, text_bytes: u64) {
        self.0.fetch_max(text_bytes, Ordering::Relaxed);
    }
}

/// One scan.
#[derive(Debug)]
pub(super) struct Scan {
    execution: Execution,
    layout: Layout,
    limits: BatchLimits,
    largest_part: LargestPart,
    /// Whether the reader has to prove that all rows arrived.
    must_count: bool,
    memory: Option<MemoryShare>,
    cx: RunContext,
}

impl Scan {
    pub(super) fn new(
        execution: Execution,
        layout: Layout,
        request: &ScanRequest,
        largest_part: LargestPart,
        cx: RunContext,
    ) -> Self {
        let limits = BatchLimits {
            rows: usize::try_from(request.batch_rows.get()).unwrap_or(usize::MAX),
            bytes: usize::try_from(request.batch_bytes.get()).unwrap_or(usize::MAX),
        };
        let (must_count, memory) = (request.expected_rows.is_none(), request.memory.clone());
        Self { execution, layout, limits, largest_part, must_count, memory, cx }
    }

    pub(super) fn start(self) -> BatchStream {
        TaskStream::start(READ_AHEAD, |task, sender| {
            task.spawn(async move {
                if let Err(error) = self.read(sender.clone()).await {
                    // A closed channel means that nobody wants to know any more.
                    drop(sender.send(Err(error)).await);
                }
            });
        })
    }

    /// Fetches part after part and decodes each where it may take its time.
    async fn read(mut self, sender: BatchSender) -> Result<()> {
        let mut arrived = 0;
        loop {
            let bytes = self.largest_part.whole_bytes();
            let room = Room::passing(self.memory.as_ref(), bytes, &sender).await?;
            let Some(room) = room else { return Ok(()) };
            let Some(part) = self.cx.unless_cancelled(self.execution.next_part()).await? else {
                break;
            };
            arrived += part.row_count() as u64;
            let (layout, limits, rows) = (self.layout.clone(), self.limits, sender.clone());
            let decoding = tokio::task::spawn_blocking(move || {
                hand_on(part, &layout, limits, (Arc::new(room), bytes), &rows)
            });
            let text_bytes = decoding.await.unwrap_or_else(|cause| {
                Err(Error::new(ErrorKind::Internal, "Decoding a result broke off")
                    .with_source(cause))
            })?;
            self.largest_part.saw(text_bytes);
            if sender.is_closed() {
                return Ok(());
            }
        }
        if self.must_count {
            self.execution.verify_count(arrived, &self.cx).await?;
        }
        Ok(())
    }
}

/// Decodes a part and sends its batches; returns the bytes of its text.
fn hand_on(
    part: ResultTable,
    layout: &Layout,
    limits: BatchLimits,
    (room, mut counted_bytes): (Arc<Room>, u64),
    sender: &BatchSender,
) -> Result<u64> {
    let (mut part_bytes, mut batch_bytes, mut batches) = (0, 0_u64, 0);
    decode(&part, layout, limits, |batch, text_bytes| {
        part_bytes = text_bytes as u64;
        batch_bytes = batch_bytes.max(batch.get_array_memory_size() as u64);
        batches = BATCHES.min(batches + 1);
        if whole_bytes(part_bytes) > counted_bytes {
            counted_bytes = whole_bytes(part_bytes);
            room.correct(counted_bytes);
        }
        let memory = Arc::clone(&room);
        sender.blocking_send(Ok(Counted { batch, memory })).is_ok()
    })?;
    drop(part);
    // The last batches are still on their way.
    room.correct(batches * batch_bytes);
    Ok(part_bytes)
}
