//! One chunk, one transaction: COPY, the merge where there is a key, the chunk's completion, COMMIT.

use futures::StreamExt;
use migrate_core::{
    BatchStream, CommitDomain, CommitRecord, Error, ErrorKind, Result, TableRef, WriteSummary, code,
};
use migrate_postgres::{CopiedRow, classify, copied_row, execute, sqlx};
use sqlx::postgres::PgCopyIn;
use sqlx::{Connection, PgConnection};

use super::copy_binary::{EncodedRows, HEADER, Refusal, RowEncoder, TRAILER};
use super::merge::Merge;
use super::row_keys::RowKeys;

/// How much is sent at once. Larger messages do not speed COPY up; smaller ones cost system calls.
pub(super) const MESSAGE_BYTES: usize = 256 << 10;

/// Everything that one chunk's transaction needs.
pub(super) struct Transfer<'a> {
    pub(super) table: &'a TableRef,
    pub(super) domain: &'a CommitDomain,
    /// The table that COPY fills: this one, or one from which rows get into it.
    pub(super) into: TableRef,
    pub(super) copy_statement: String,
    pub(super) encoder: RowEncoder,
    pub(super) keys: RowKeys,
    /// How the copied rows get into the table, where COPY does not fill it itself.
    pub(super) merge: Option<Merge<'a>>,
    pub(super) record: Option<&'a dyn CommitRecord>,
}

impl Transfer<'_> {
    /// Writes all batches and commits. On an error the transaction is left open; the caller closes
    /// the connection.
    pub(super) async fn run(
        mut self,
        connection: &mut PgConnection,
        batches: BatchStream,
    ) -> Result<WriteSummary> {
        let mut tx = connection.begin().await.map_err(|cause| self.failed(cause))?;
        enter(&mut tx, self.record).await?;
        if let Some(merge) = &self.merge {
            merge.prepare(&mut tx).await?;
        }
        let mut summary = self.copy(&mut tx, batches).await?;
        if let Some(merge) = &self.merge {
            summary = merge.run(&mut tx, summary).await?;
        }
        // Last before COMMIT, so that nobody waits long for the row that it changes.
        apply_record(&mut tx, self.record, self.domain, &summary).await?;
        tx.commit().await.map_err(|cause| self.failed(cause))?;
        Ok(summary)
    }

    async fn copy(
        &mut self,
        connection: &mut PgConnection,
        mut batches: BatchStream,
    ) -> Result<WriteSummary> {
        let mut rows = EncodedRows::with_capacity(MESSAGE_BYTES + MESSAGE_BYTES / 4);
        let mut summary = WriteSummary::default();
        loop {
            let mut copy = start_copy(connection, &self.copy_statement)
                .await
                .map_err(|cause| self.failed(cause))?;
            rows.push(HEADER);
            let has_ended = loop {
                if self.keys.is_full() {
                    break false;
                }
                let Some(batch) = batches.next().await.transpose()? else { break true };
                let rows_before = summary.rows_read;
                self.keys.remember(rows_before, &batch);
                let mut row = 0;
                while row < batch.num_rows() {
                    let encoded = self.encoder.encode(&batch, row, MESSAGE_BYTES, &mut rows);
                    row = encoded.map_err(|refusal| self.refused(refusal, rows_before))?;
                    // What is lent must not keep its batch while the next one is waited for.
                    if rows.len() >= MESSAGE_BYTES || rows.has_lent() {
                        let sent = send(&mut copy, &mut rows).await;
                        summary.bytes += sent.map_err(|cause| self.failed(cause))?;
                    }
                }
                summary.rows_read += batch.num_rows() as u64;
            };
            rows.push(TRAILER);
            summary.bytes +=
                send(&mut copy, &mut rows).await.map_err(|cause| self.failed(cause))?;
            summary.rows_inserted += copy.finish().await.map_err(|cause| self.failed(cause))?;
            if has_ended {
                break;
            }
            // What the server has taken needs no name any more; the rest is a COPY of its own.
            self.keys.forget(summary.rows_read);
        }
        let WriteSummary { rows_read, rows_inserted, .. } = summary;
        if rows_inserted != rows_read {
            return Err(Error::new(
                code::VALUE_REFUSED,
                format!("PostgreSQL stored {rows_inserted} of {rows_read} rows"),
            )
            .with("table", self.table)
            .with_hint("a trigger or rule of the table drops rows; disable it for the load"));
        }
        Ok(summary)
    }

    /// A value that this side refuses; `rows_before` rows of the chunk came in earlier batches.
    fn refused(&self, refusal: Refusal, rows_before: u64) -> Error {
        let error = refusal.error.with("table", self.table);
        match refusal.row {
            Some(row) => self.keys.name_row(error, rows_before + row as u64),
            None => error,
        }
    }

    /// A failure that the server tells of, at a row if it says which.
    pub(super) fn failed(&self, cause: sqlx::Error) -> Error {
        let place = copied_row(&cause, &self.into.name);
        let mut error = classify("PostgreSQL refused the chunk", cause).with("table", self.table);
        let Some(CopiedRow { number, column }) = place else { return error };
        if let Some(column) = column {
            error = error.with("column", column);
        }
        match number.checked_sub(1) {
            Some(row) => self.keys.name_row(error, self.keys.first_row() + row),
            None => error,
        }
    }
}

/// Starts a COPY; the statement's names are quoted by `SqlBuilder`.
pub(super) async fn start_copy<'c>(
    connection: &'c mut PgConnection,
    statement: &str,
) -> Result<PgCopyIn<&'c mut PgConnection>, sqlx::Error> {
    #[expect(clippy::disallowed_methods, reason = "the one place; names are quoted, see above")]
    connection.copy_in_raw(statement).await
}

/// Sends rows and drops them; returns how many bytes they were.
async fn send(
    copy: &mut PgCopyIn<&mut PgConnection>,
    rows: &mut EncodedRows,
) -> Result<u64, sqlx::Error> {
    for piece in rows.all(MESSAGE_BYTES) {
        copy.send(piece).await?;
    }
    let bytes = rows.len() as u64;
    rows.clear();
    Ok(bytes)
}

/// Begins the work of a lease: nobody else is at it any more.
///
/// # Errors
///
/// `LeaseLost` when the lease is gone.
pub(super) async fn enter(
    connection: &mut PgConnection,
    record: Option<&dyn CommitRecord>,
) -> Result<()> {
    let Some(entering) = record.and_then(CommitRecord::enter) else { return Ok(()) };
    let owned = execute(connection, &entering)
        .await
        .map_err(|cause| classify("Cannot look whether the work is still ours", cause))?;
    if owned == 1 { Ok(()) } else { Err(lease_lost()) }
}

/// Somebody else has the work now.
pub(super) fn lease_lost() -> Error {
    Error::new(ErrorKind::LeaseLost, "Another worker owns this work now")
        .with_hint("nothing to do: what that worker does counts, this was rolled back")
}

/// Whether the ledger and the target are in one database.
///
/// # Errors
///
/// `Internal` when they are not.
pub(super) fn ensure_shared(status: &CommitDomain, target: &CommitDomain) -> Result<()> {
    if status == target {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        "The status tables are in another database than the target",
    )
    .with("status", status)
    .with("target", target)
    .with_hint("report this: the engine must not pair them"))
}

/// Runs a status change in the transaction of the work that it belongs to.
///
/// # Errors
///
/// `LeaseLost` when the lease is gone; `Internal` when the record belongs to another database.
pub(super) async fn apply_record(
    connection: &mut PgConnection,
    record: Option<&dyn CommitRecord>,
    domain: &CommitDomain,
    summary: &WriteSummary,
) -> Result<()> {
    let Some(record) = record else { return Ok(()) };
    ensure_shared(record.domain(), domain)?;
    let changed = execute(connection, &record.statement(summary))
        .await
        .map_err(|cause| classify("Cannot record the work as done", cause))?;
    if changed == 1 { Ok(()) } else { Err(lease_lost()) }
}
