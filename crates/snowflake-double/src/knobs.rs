//! How a double behaves: a handle that can be turned while the double runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Error;
use crate::fault::{Fault, Faults, Injected, Rule};
use crate::log::RequestKind;

/// How the bodies of chunks are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Plain JSON.
    None,
    /// gzip, without saying so in a header, as the service does.
    Gzip,
    /// gzip with `Content-Encoding: gzip`.
    GzipWithHeader,
}

/// Which headers the storage of chunks asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkHeaders {
    /// `chunkHeaders` is an empty object.
    Empty,
    /// `chunkHeaders` names these; a chunk request without them gets 403.
    Named(Vec<(String, String)>),
    /// `chunkHeaders` is absent and `qrmk` holds this key; a chunk request without the headers made
    /// from it gets 403.
    Key(String),
}

/// The order of rows where the statement asks for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowOrder {
    /// As stored, like a small table of a quiet service.
    Stored,
    /// Shuffled by this seed, so that nothing can rely on an order that was never promised.
    Shuffled(u64),
}

/// When chunk bodies are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rendering {
    /// At each request, streamed.
    OnDemand,
    /// With the result, and kept; for benchmarks of clients.
    Ahead,
}

/// How letters beyond ASCII are written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Letters {
    /// As UTF-8.
    Plain,
    /// As `\u` escapes, with surrogate pairs.
    Escaped,
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) inline_rows: usize,
    pub(crate) chunk_rows: usize,
    pub(crate) compression: Compression,
    pub(crate) chunk_headers: ChunkHeaders,
    pub(crate) chunk_life: Duration,
    pub(crate) row_order: RowOrder,
    pub(crate) rendering: Rendering,
    pub(crate) letters: Letters,
    pub(crate) in_progress_answers: u32,
    pub(crate) in_progress_code: &'static str,
    pub(crate) in_progress_after: Duration,
    pub(crate) answer_delay: Duration,
    pub(crate) session_life: Duration,
    pub(crate) master_life: Duration,
    pub(crate) kept_results: usize,
    pub(crate) latency: BTreeMap<u8, Duration>,
    pub(crate) faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            inline_rows: 500,
            chunk_rows: 20_000,
            compression: Compression::Gzip,
            chunk_headers: ChunkHeaders::Empty,
            chunk_life: Duration::from_hours(6),
            row_order: RowOrder::Stored,
            rendering: Rendering::OnDemand,
            letters: Letters::Plain,
            in_progress_answers: 0,
            in_progress_code: "333333",
            in_progress_after: Duration::from_secs(45),
            answer_delay: Duration::ZERO,
            session_life: Duration::from_hours(1),
            master_life: Duration::from_hours(4),
            kept_results: 64,
            latency: BTreeMap::new(),
            faults: Faults::default(),
        }
    }
}

/// A handle to the settings of a double. Clones turn the same knobs; changes count from the next
/// request on.
#[derive(Debug, Clone, Default)]
pub struct Knobs {
    settings: Arc<Mutex<Settings>>,
}

impl Knobs {
    /// Most rows inside an answer; the rest goes into chunks. Default 500.
    pub fn set_inline_rows(&self, rows: usize) {
        self.lock().inline_rows = rows;
    }

    /// Rows of a chunk. Default 20,000.
    ///
    /// # Errors
    ///
    /// [`Error::Knob`] for 0.
    pub fn set_chunk_rows(&self, rows: usize) -> Result<(), Error> {
        if rows == 0 {
            let (knob, value) = ("chunk_rows", rows.to_string());
            return Err(Error::Knob { knob, value, reason: "a chunk needs a row" });
        }
        self.lock().chunk_rows = rows;
        Ok(())
    }

    /// How chunk bodies are packed. Default [`Compression::Gzip`].
    pub fn set_compression(&self, compression: Compression) {
        self.lock().compression = compression;
    }

    /// Which headers the storage asks for. Default [`ChunkHeaders::Empty`].
    pub fn set_chunk_headers(&self, headers: ChunkHeaders) {
        self.lock().chunk_headers = headers;
    }

    /// How long chunk links are good; afterwards 403. Default 6 hours.
    pub fn set_chunk_life(&self, life: Duration) {
        self.lock().chunk_life = life;
    }

    /// The order of rows without ORDER BY. Default [`RowOrder::Stored`].
    pub fn set_row_order(&self, order: RowOrder) {
        self.lock().row_order = order;
    }

    /// When chunk bodies are made. Default [`Rendering::OnDemand`].
    pub fn set_rendering(&self, rendering: Rendering) {
        self.lock().rendering = rendering;
    }

    /// How letters beyond ASCII are written. Default [`Letters::Plain`].
    pub fn set_letters(&self, letters: Letters) {
        self.lock().letters = letters;
    }

    /// How many times a statement is said to be in progress (code 333333) before its answer.
    /// Default 0.
    pub fn set_in_progress_answers(&self, count: u32) {
        let mut settings = self.lock();
        settings.in_progress_answers = count;
        settings.in_progress_code = "333333";
    }

    /// The same with the code of detached statements, 333334.
    pub fn set_detached_answers(&self, count: u32) {
        let mut settings = self.lock();
        settings.in_progress_answers = count;
        settings.in_progress_code = "333334";
    }

    /// How long a submit or poll waits before it says "in progress". Default 45 seconds.
    pub fn set_in_progress_after(&self, time: Duration) {
        self.lock().in_progress_after = time;
    }

    /// How much longer statements run than they need. Default none. An abort ends the time.
    pub fn set_answer_delay(&self, delay: Duration) {
        self.lock().answer_delay = delay;
    }

    /// How long the tokens of new sessions are good; afterwards 390112. Default 1 hour.
    pub fn set_session_life(&self, life: Duration) {
        self.lock().session_life = life;
    }

    /// How long the master tokens of new sessions are good; afterwards 390114. Default 4 hours.
    pub fn set_master_life(&self, life: Duration) {
        self.lock().master_life = life;
    }

    /// How many results stay for chunks and `RESULT_SCAN`, the newest first. Default 64.
    pub fn set_kept_results(&self, count: usize) {
        self.lock().kept_results = count;
    }

    /// Time before every request of a kind is looked at. Default none.
    pub fn set_latency(&self, kind: RequestKind, latency: Duration) {
        self.lock().latency.insert(kind as u8, latency);
    }

    /// Scripts a fault.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] if the fault cannot happen to the rule's kind of request.
    pub fn inject(&self, rule: Rule) -> Result<Injected, Error> {
        self.lock().faults.inject(rule)
    }

    /// Fails this fraction of all requests, drawn from a generator with this seed.
    ///
    /// # Errors
    ///
    /// [`Error::Knob`] for fractions outside 0 to 1 and faults that do not fit all requests.
    pub fn fail_fraction(&self, fraction: f64, seed: u64, fault: Fault) -> Result<(), Error> {
        self.lock().faults.fail_fraction(fraction, seed, vec![fault])
    }

    /// The same with one of several faults each time.
    ///
    /// # Errors
    ///
    /// [`Error::Knob`] for fractions outside 0 to 1, no fault, and faults that do not fit all
    /// requests.
    pub fn fail_fraction_of(
        &self,
        fraction: f64,
        seed: u64,
        faults: Vec<Fault>,
    ) -> Result<(), Error> {
        self.lock().faults.fail_fraction(fraction, seed, faults)
    }

    /// Forgets all scripted faults and the random ones.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn latency(&self, kind: RequestKind) -> Duration {
        self.lock().latency.get(&(kind as u8)).copied().unwrap_or_default()
    }
}
