//! What happens in a run, as log lines for people.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use migrate_core::{Event, Observer, Outcome, TableRef};
use tracing::{debug, error, info, warn};

use crate::output::{count, duration, grouped, rate};

/// A big table says how far it is this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Turns events into log lines.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    tables: Mutex<HashMap<TableRef, Progress>>,
}

/// What this process has seen of a table.
#[derive(Debug)]
struct Progress {
    chunk_count: u64,
    completed_chunk_count: u64,
    rows: u64,
    started: Instant,
    said: Instant,
}

impl Narrator {
    fn tables(&self) -> MutexGuard<'_, HashMap<TableRef, Progress>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn planned(&self, table: &TableRef, chunk_count: u64) {
        let now = Instant::now();
        let progress =
            Progress { chunk_count, completed_chunk_count: 0, rows: 0, started: now, said: now };
        self.tables().insert(table.clone(), progress);
    }

    /// Counts a chunk and says how far the table is, now and then.
    fn advanced(&self, table: &TableRef, rows: u64) {
        let mut tables = self.tables();
        let Some(progress) = tables.get_mut(table) else { return };
        progress.completed_chunk_count += 1;
        progress.rows += rows;
        let is_last = progress.completed_chunk_count == progress.chunk_count;
        if is_last || progress.said.elapsed() < PROGRESS_EVERY {
            return;
        }
        progress.said = Instant::now();
        info!(
            "[{}] {} of {} chunks, {} rows, {}",
            table.name,
            grouped(progress.completed_chunk_count),
            grouped(progress.chunk_count),
            grouped(progress.rows),
            rate(progress.rows, progress.started.elapsed()),
        );
    }
}

impl Observer for Narrator {
    fn on_event(&self, event: &Event) {
        match event {
            Event::RunStarted { run, resumed, table_count, worker_count } => {
                let verb = if *resumed { "Resuming" } else { "Started" };
                let tables = count(*table_count as u64, "table");
                info!("{verb} run {run}: {tables}, {}", count(*worker_count as u64, "worker"));
            }
            Event::RunJoined { run, table_count, worker_count } => {
                let tables = count(*table_count as u64, "table");
                info!(
                    "Helping with run {run}: {tables}, {}",
                    count(*worker_count as u64, "worker")
                );
            }
            Event::Noted { table, note } => info!("[{}] {note}", table.name),
            Event::TablePlanned { table, strategy, chunk_count, estimated_rows } => {
                self.planned(table, *chunk_count);
                let rows = estimated_rows
                    .map_or_else(String::new, |rows| format!(", {} rows", grouped(rows)));
                info!("[{}] {} by {strategy}{rows}", table.name, count(*chunk_count, "chunk"));
            }
            Event::LeaseAwaited { table, holder, at_most } => {
                let at_most = duration(*at_most);
                warn!("[{}] waiting for {holder}, at most {at_most} if it is dead", table.name);
            }
            Event::ChunkStarted { table, chunk, attempt } => {
                debug!("[{}] chunk {chunk}: try {attempt}", table.name);
            }
            Event::ChunkCompleted { table, chunk, summary, elapsed } => {
                let rows = summary.rows_settled();
                debug!("[{}] chunk {chunk}: {rows} rows in {}", table.name, duration(*elapsed));
                if summary.rows_rejected > 0 {
                    let rejected = count(summary.rows_rejected, "row");
                    warn!("[{}] chunk {chunk}: {rejected} set aside", table.name);
                }
                self.advanced(table, rows);
            }
            Event::ChunkRetried { table, chunk, attempt, delay, reason } => warn!(
                "[{}] chunk {chunk}: try {attempt} failed, again in {}: {reason}",
                table.name,
                duration(*delay)
            ),
            Event::ChunkFailed { table, chunk, reason } => {
                error!("[{}] chunk {chunk}: {reason}", table.name);
            }
            Event::TableFinished { table, outcome, rows, reason } => {
                let rows = grouped(*rows);
                match (outcome, reason) {
                    (Outcome::Completed | Outcome::CompletedWithRejects, _) => {
                        info!("[{}] {outcome}: {rows} rows", table.name);
                    }
                    (Outcome::Paused, _) => info!("[{}] {outcome}: {rows} rows", table.name),
                    (_, Some(reason)) => error!("[{}] {outcome}: {reason}", table.name),
                    (_, None) => error!("[{}] {outcome}: {rows} rows", table.name),
                }
            }
            Event::RunFinished { run, outcome } => debug!("run {run} ended: {outcome}"),
            _ => {}
        }
    }
}
