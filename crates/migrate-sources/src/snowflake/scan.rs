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
    /// Whether a part has shown how large they are: none is fetched ahead on a guess.
    knows_parts: bool,
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
        Self { execution, layout, limits, largest_part, must_count, knows_parts: false, memory, cx }
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

    /// Fetches part after part and decodes each where it may take its time. While one is decoded and
    /// sent, the next is fetched, where there is room for it; what becomes of that is told in its turn.
    async fn read(mut self, sender: BatchSender) -> Result<()> {
        let mut arrived = 0;
        let mut ahead = None;
        loop {
            let fetched = match ahead.take() {
                Some(fetched) => fetched,
                None => self.next(&sender).await,
            };
            let Some(Fetched { part, room, bytes }) = fetched? else { break };
            arrived += part.row_count() as u64;
            let (layout, limits, rows) = (self.layout.clone(), self.limits, sender.clone());
            let decoding = tokio::task::spawn_blocking(move || {
                hand_on(part, &layout, limits, (Arc::new(room), bytes), &rows)
            });
            let (decoded, fetched) = futures::future::join(decoding, self.next_ahead()).await;
            let text_bytes = decoded.unwrap_or_else(|cause| {
                Err(Error::new(ErrorKind::Internal, "Decoding a result broke off")
                    .with_source(cause))
            })?;
            self.largest_part.saw(text_bytes);
            self.knows_parts = true;
            if sender.is_closed() {
                return Ok(());
            }
            ahead = fetched.map(|fetched| self.corrected(fetched));
        }
        if self.must_count && !sender.is_closed() {
            self.execution.verify_count(arrived, &self.cx).await?;
        }
        Ok(())
    }

    /// The next part; `None` behind the last, and when nobody waits for rows any more.
    async fn next(&mut self, sender: &BatchSender) -> Result<Option<Fetched>> {
        let bytes = self.largest_part.whole_bytes();
        match Room::passing(self.memory.as_ref(), bytes, sender).await? {
            Some(room) => self.fetch(room, bytes).await,
            None => Ok(None),
        }
    }

    /// The part before has shown how large they are.
    fn corrected(&self, mut fetched: Result<Option<Fetched>>) -> Result<Option<Fetched>> {
        if let Ok(Some(Fetched { room, bytes, .. })) = &mut fetched {
            *bytes = self.largest_part.whole_bytes().max(*bytes);
            room.correct(*bytes);
        }
        fetched
    }

    /// The next part before its turn, where there is room for it.
    async fn next_ahead(&mut self) -> Option<Result<Option<Fetched>>> {
        if !self.knows_parts {
            return None;
        }
        let bytes = self.largest_part.whole_bytes();
        let room = Room::ahead(self.memory.as_ref(), bytes)?;
        Some(self.fetch(room, bytes).await)
    }

    async fn fetch(&mut self, room: Room, bytes: u64) -> Result<Option<Fetched>> {
        let part = self.cx.unless_cancelled(self.execution.next_part()).await?;
        Ok(part.map(|part| Fetched { part, room, bytes }))
    }
}

/// A part that has not been decoded yet, and the room that is kept for it.
struct Fetched {
    part: ResultTable,
    room: Room,
    bytes: u64,
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
