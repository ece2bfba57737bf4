//! One chunk, one transaction: COPY, the merge where there is a key, the chunk's completion, COMMIT.

use futures::StreamExt;
use migrate_core::{
    BatchStream, CommitDomain, CommitRecord, Error, ErrorKind, Result, TableRef, WriteSummary, code,
};
use migrate_postgres::{CopiedRow, classify, copied_row, execute, sqlx};
use sqlx::postgres::PgCopyIn;
use sqlx::{Connection, PgConnection};

use super::copy_binary::{HEADER, Refusal, RowEncoder, TRAILER};
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
        let copy = start_copy(connection, &self.copy_statement).await;
        let mut copy = copy.map_err(|cause| self.failed(cause))?;
        let mut buffer = Vec::with_capacity(MESSAGE_BYTES + MESSAGE_BYTES / 4);
        buffer.extend_from_slice(HEADER);
        let mut rows_read = 0_u64;
        let mut bytes = 0_u64;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            self.keys.remember(rows_read, &batch);
            let mut row = 0;
            while row < batch.num_rows() {
                let encoded = self.encoder.encode(&batch, row, MESSAGE_BYTES, &mut buffer);
                row = encoded.map_err(|refusal| self.refused(refusal, rows_read))?;
                if buffer.len() >= MESSAGE_BYTES {
                    copy.send(buffer.as_slice()).await.map_err(|cause| self.failed(cause))?;
                    bytes += buffer.len() as u64;
                    buffer.clear();
                }
            }
            rows_read += batch.num_rows() as u64;
        }
        buffer.extend_from_slice(TRAILER);
        copy.send(buffer.as_slice()).await.map_err(|cause| self.failed(cause))?;
        bytes += buffer.len() as u64;
        let rows_inserted = copy.finish().await.map_err(|cause| self.failed(cause))?;
        if rows_inserted != rows_read {
            return Err(Error::new(
                code::VALUE_REFUSED,
                format!("PostgreSQL stored {rows_inserted} of {rows_read} rows"),
            )
            .with("table", self.table)
            .with_hint("a trigger or rule of the table drops rows; disable it for the load"));
        }
        Ok(WriteSummary { rows_read, rows_inserted, bytes, ..WriteSummary::default() })
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
            Some(row) => self.keys.name_row(error, row),
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
    if record.domain() != domain {
        return Err(Error::new(
            ErrorKind::Internal,
            "The status tables are in another database than the target",
        )
        .with("status", record.domain())
        .with("target", domain)
        .with_hint("report this: the engine must not pair them"));
    }
    let changed = execute(connection, &record.statement(summary))
        .await
        .map_err(|cause| classify("Cannot record the work as done", cause))?;
    if changed == 1 {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::LeaseLost, "Another worker owns this work now")
            .with_hint("nothing to do: its transaction counts, this one is rolled back"))
    }
}
