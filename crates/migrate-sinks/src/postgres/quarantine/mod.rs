//! One chunk whose bad rows are set aside, and everything else of it written.
//!
//! A row that our encoder refuses is known, and is left out of what is sent. Rows that the server
//! refuses are found by taking pieces of the chunk back to a savepoint and halving them. A refusal
//! that is not about data (a lost connection, a full disk, a lost lease) is passed on as ever.
//!
//! The chunk stays one transaction: good rows, rows set aside, their number and the completion of
//! the chunk are committed together or not at all.

mod bisection;
mod late;
mod piece;
mod rejects;
mod savepoint;
mod source_rows;
mod staged;

use futures::StreamExt;
use migrate_core::{
    BatchStream, ColumnName, Error, ErrorKind, RejectedRow, Result, WriteSummary, code,
};
use migrate_postgres::{classify, copied_row, is_about_row, sqlstate, sqlx};
use sqlx::postgres::PgCopyIn;
use sqlx::{Connection, PgConnection};

use self::bisection::Bisection;
use self::late::Late;
use self::piece::{Numbered, Piece, RowSource};
use self::rejects::Rejects;
use self::savepoint::{open, revert, settle};
use self::source_rows::SourceRows;
use super::copy_binary::{HEADER, TRAILER};
use super::write::{MESSAGE_BYTES, Transfer, apply_record, enter, start_copy};

/// Deferred constraints would raise at COMMIT, where no row can be taken back.
const CHECK_AT_ONCE: &str = "set constraints all immediate";

/// What is kept for a second look: the piece that is sent, the batches that it came from, rows that
/// wait for the end of the chunk, and rows that are set aside.
pub(super) const KEPT_BYTES: u64 =
    (2 * piece::FULL_BYTES + late::MOST_BYTES + rejects::MOST_WAITING_BYTES) as u64;

/// A chunk whose bad rows are set aside.
pub(super) struct Quarantine<'a> {
    pub(super) transfer: Transfer<'a>,
    /// The columns of every batch.
    pub(super) columns: Vec<ColumnName>,
    /// Rows that the table may have set aside.
    pub(super) most_rows: u64,
    pub(super) oid: i64,
}

/// What has arrived of the chunk.
struct Arriving {
    batches: BatchStream,
    /// A batch that is not used up, and its first row that is left.
    current: Option<(Numbered, usize)>,
    rows_read: u64,
    has_ended: bool,
}

/// What came of sending some rows.
enum Sent {
    Stored,
    /// Taken back; the row is the one that the server names, from 0 within what was sent.
    Refused(Error, Option<u64>),
}

impl Quarantine<'_> {
    /// Writes all batches and commits. On an error the transaction is left open; the caller closes
    /// the connection.
    pub(super) async fn run(
        self,
        connection: &mut PgConnection,
        batches: BatchStream,
    ) -> Result<WriteSummary> {
        let transfer = &self.transfer;
        let mut rejects = Rejects::new(transfer.table, transfer.record, self.most_rows)?;
        let mut tx = connection.begin().await.map_err(|cause| transfer.failed(cause))?;
        enter(&mut tx, transfer.record).await?;
        sqlx::query(CHECK_AT_ONCE).execute(&mut *tx).await.map_err(|e| transfer.failed(e))?;
        let mut source_rows = None;
        if let Some(merge) = &transfer.merge {
            merge.prepare(&mut tx).await?;
            source_rows = Some(SourceRows::prepare(&mut tx, transfer.table).await?);
        }
        let mut summary = self.copy(&mut tx, batches, source_rows.as_ref(), &mut rejects).await?;
        if let (Some(merge), Some(source_rows)) = (&transfer.merge, &source_rows) {
            let rows = self.row_source();
            let merged = merge.run_apart(&mut tx, source_rows, rows, &mut rejects).await?;
            summary.rows_inserted = merged.inserted;
            summary.rows_updated = merged.written - merged.inserted;
            let lost = merged.written + rejects.count();
            summary.rows_skipped = summary.rows_read.saturating_sub(lost);
        }
        rejects.write(&mut tx).await?;
        summary.rows_rejected = rejects.count();
        if !summary.is_balanced() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!(
                    "{} rows were read, {} written or skipped, {} set aside",
                    summary.rows_read,
                    summary.rows_settled(),
                    summary.rows_rejected
                ),
            )
            .with("table", transfer.table)
            .with_hint("report this with the log of the run; nothing was written"));
        }
        // Last before COMMIT, so that nobody waits long for the rows that they lock.
        apply_record(&mut tx, transfer.record, transfer.domain, &summary).await?;
        rejects.hold_to_limit(&mut tx).await?;
        tx.commit().await.map_err(|cause| transfer.failed(cause))?;
        Ok(summary)
    }

    fn row_source(&self) -> RowSource<'_> {
        RowSource {
            encoder: &self.transfer.encoder,
            keys: &self.transfer.keys,
            columns: &self.columns,
            is_numbered: self.transfer.merge.is_some(),
        }
    }

    /// Copies the chunk piece by piece.
    async fn copy(
        &self,
        connection: &mut PgConnection,
        batches: BatchStream,
        source_rows: Option<&SourceRows<'_>>,
        rejects: &mut Rejects<'_>,
    ) -> Result<WriteSummary> {
        let mut arriving = Arriving { batches, current: None, rows_read: 0, has_ended: false };
        let mut summary = WriteSummary::default();
        let mut late = Late::new(self.transfer.table, self.oid);
        open(connection).await.map_err(|cause| self.transfer.failed(cause))?;
        while !arriving.has_ended {
            // Open before its rows are there: a transaction that waits for rows without a statement
            // would count as idle, and be ended.
            let copy = self.start(connection).await?;
            let mut piece = Piece::default();
            let first_new = self.fill(&mut piece, &mut arriving, rejects).await?;
            let all = 0..piece.len();
            let sent = send(copy, piece.messages(&all)).await;
            summary.bytes += (HEADER.len() + piece.bytes(&all) + TRAILER.len()) as u64;
            match self.judge(connection, sent, piece.len()).await? {
                Sent::Stored => summary.rows_inserted += piece.len(),
                Sent::Refused(error, suspect) => {
                    summary.rows_inserted += self
                        .look_closer(connection, &piece, (error, suspect), rejects, &mut late)
                        .await?;
                }
            }
            if let Some(source_rows) = source_rows {
                let batches = piece.into_batches();
                source_rows.keep(connection, batches.iter().skip(first_new)).await?;
            }
            // What was kept must not go when the rows of the next piece are taken back.
            if rejects.write(connection).await? || source_rows.is_some() {
                settle(connection).await.map_err(|cause| self.transfer.failed(cause))?;
            }
        }
        summary.rows_inserted += self.try_again(connection, late, rejects).await?;
        summary.rows_read = arriving.rows_read;
        Ok(summary)
    }

    /// Fills a piece with what arrives. Returns how many of its batches an earlier piece has had.
    async fn fill(
        &self,
        piece: &mut Piece,
        arriving: &mut Arriving,
        rejects: &mut Rejects<'_>,
    ) -> Result<usize> {
        let first_new = usize::from(arriving.current.is_some());
        while !piece.is_full() && !rejects.is_heavy() {
            let (from, start) = match arriving.current.take() {
                Some(current) => current,
                None => match arriving.batches.next().await {
                    Some(batch) => {
                        let batch = batch?;
                        let first_row = arriving.rows_read;
                        arriving.rows_read += batch.num_rows() as u64;
                        (Numbered { first_row, batch }, 0)
                    }
                    None => {
                        arriving.has_ended = true;
                        break;
                    }
                },
            };
            let next = piece.fill(&from, start, self.row_source(), rejects);
            let next = next.map_err(|error| error.with("table", self.transfer.table))?;
            if next < from.batch.num_rows() {
                arriving.current = Some((from, next));
            }
        }
        Ok(first_new)
    }

    /// Writes a piece that was refused as a whole without its bad rows; returns how many rows are in.
    async fn look_closer(
        &self,
        connection: &mut PgConnection,
        piece: &Piece,
        (mut error, mut suspect): (Error, Option<u64>),
        rejects: &mut Rejects<'_>,
        late: &mut Late<'_>,
    ) -> Result<u64> {
        let mut rows = 0..piece.len();
        let mut bisection = Bisection::of(0..0);
        let mut stored = 0;
        loop {
            if let Some(bad) = bisection.split(&rows, suspect.map(|row| rows.start + row)) {
                let row = self.rejected(piece, bad, &error)?;
                if !late.takes(connection, &row, (piece, bad)).await? {
                    rejects.add(row)?;
                }
                if rejects.is_heavy() && rejects.write(connection).await? {
                    settle(connection).await.map_err(|cause| self.transfer.failed(cause))?;
                }
            }
            let refused = loop {
                let Some(next) = bisection.next() else { return Ok(stored) };
                rows = next;
                let copy = self.start(connection).await?;
                let sent = send(copy, piece.messages(&rows)).await;
                let count = rows.end - rows.start;
                match self.judge(connection, sent, count).await? {
                    Sent::Stored => stored += count,
                    Sent::Refused(error, suspect) => break (error, suspect),
                }
            };
            (error, suspect) = refused;
        }
    }

    /// Rows that lacked a row of their own table: it may have come later in the chunk.
    async fn try_again(
        &self,
        connection: &mut PgConnection,
        mut late: Late<'_>,
        rejects: &mut Rejects<'_>,
    ) -> Result<u64> {
        let mut stored = 0;
        loop {
            let waiting = late.take();
            let before = waiting.len();
            // The other way round each time: what was missing came later, or before.
            for (row, bytes) in waiting.into_iter().rev() {
                let copy = self.start(connection).await?;
                let sent = send(copy, bytes.chunks(MESSAGE_BYTES)).await;
                match self.judge(connection, sent, 1).await? {
                    Sent::Stored => stored += 1,
                    Sent::Refused(..) => late.put_back(row, bytes),
                }
            }
            if late.len() == before {
                break;
            }
        }
        for (row, _) in late.take() {
            rejects.add(row)?;
        }
        Ok(stored)
    }

    fn rejected(&self, piece: &Piece, row: u64, error: &Error) -> Result<RejectedRow> {
        let (from, at) = piece.origin(row).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "A refused row is in no batch")
                .with_hint("report this with the log of the run; nothing was written")
        })?;
        self.row_source().rejected(from, at, error)
    }

    async fn start<'c>(
        &self,
        connection: &'c mut PgConnection,
    ) -> Result<PgCopyIn<&'c mut PgConnection>> {
        let copy = start_copy(connection, &self.transfer.copy_statement).await;
        copy.map_err(|cause| self.transfer.failed(cause))
    }

    /// Settles what was sent, or takes it back.
    async fn judge(
        &self,
        connection: &mut PgConnection,
        sent: Result<u64, sqlx::Error>,
        rows: u64,
    ) -> Result<Sent> {
        let failed = |cause| self.transfer.failed(cause);
        match sent {
            Ok(stored) if stored == rows => {
                settle(connection).await.map_err(failed)?;
                Ok(Sent::Stored)
            }
            Ok(stored) => {
                revert(connection).await.map_err(failed)?;
                let message = format!("PostgreSQL stored {stored} of {rows} rows");
                let error = Error::new(code::VALUE_REFUSED, message)
                    .with_source("a trigger or rule of the table drops the row");
                Ok(Sent::Refused(error, None))
            }
            Err(cause) if sqlstate(&cause).is_some_and(|state| is_about_row(&state)) => {
                revert(connection).await.map_err(failed)?;
                let place = copied_row(&cause, &self.transfer.into.name);
                let suspect = place.as_ref().and_then(|place| place.number.checked_sub(1));
                let mut error = classify("PostgreSQL refused the row", cause);
                if let Some(column) = place.and_then(|place| place.column) {
                    error = error.with("column", column);
                }
                Ok(Sent::Refused(error, suspect))
            }
            Err(cause) => Err(self.transfer.failed(cause)),
        }
    }
}

/// Sends rows as one whole COPY; returns how many the server has stored.
async fn send<'r>(
    mut copy: PgCopyIn<&mut PgConnection>,
    messages: impl Iterator<Item = &'r [u8]> + Send,
) -> Result<u64, sqlx::Error> {
    copy.send(HEADER).await?;
    for message in messages {
        copy.send(message).await?;
    }
    copy.send(TRAILER).await?;
    copy.finish().await
}
