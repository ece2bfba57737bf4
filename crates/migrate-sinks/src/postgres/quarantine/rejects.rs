//! Rows of one chunk that are set aside: counted, limited, and handed to the ledger in the chunk's
//! own transaction.

use migrate_core::{CommitRecord, Error, ErrorKind, RejectedRow, Result, TableRef, code};
use migrate_postgres::{classify, execute};
use sqlx::PgConnection;

/// More rows than this are written before others are looked at. Each takes nine parameters of the
/// 65,535 that a statement may have.
const MOST_WAITING: usize = 500;

/// The same in bytes of values.
pub(super) const MOST_WAITING_BYTES: usize = 4 << 20;

/// The rows of a chunk that were refused so far.
#[derive(Debug)]
pub(super) struct Rejects<'a> {
    table: &'a TableRef,
    record: &'a dyn CommitRecord,
    most_rows: u64,
    waiting: Vec<RejectedRow>,
    waiting_bytes: usize,
    count: u64,
    latest_reason: String,
}

impl<'a> Rejects<'a> {
    pub(super) fn new(
        table: &'a TableRef,
        record: Option<&'a dyn CommitRecord>,
        most_rows: u64,
    ) -> Result<Self> {
        let record = record.filter(|record| record.keep(&[]).is_some()).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "There is nowhere to keep rows that are set aside")
                .with("table", table)
                .with_hint(
                    "keep the status tables in the target's database, or set \"on_bad_row\": \"fail\"",
                )
        })?;
        Ok(Self {
            table,
            record,
            most_rows,
            waiting: Vec::new(),
            waiting_bytes: 0,
            count: 0,
            latest_reason: String::new(),
        })
    }

    /// Rows set aside so far.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Whether those that wait should be written now.
    pub(super) fn is_heavy(&self) -> bool {
        self.waiting.len() >= MOST_WAITING || self.waiting_bytes >= MOST_WAITING_BYTES
    }

    /// Sets a row aside.
    ///
    /// # Errors
    ///
    /// [`code::TOO_MANY_BAD_ROWS`] when this chunk alone has more than the table may have.
    pub(super) fn add(&mut self, row: RejectedRow) -> Result<()> {
        self.count += 1;
        self.waiting_bytes += row.values.len();
        row.reason.clone_into(&mut self.latest_reason);
        self.waiting.push(row);
        if self.count > self.most_rows { Err(self.too_many()) } else { Ok(()) }
    }

    /// Whether the chunk may have this many more.
    ///
    /// # Errors
    ///
    /// [`code::TOO_MANY_BAD_ROWS`] when it may not.
    pub(super) fn ensure_room(&self, more: u64) -> Result<()> {
        if self.count.saturating_add(more) > self.most_rows { Err(self.too_many()) } else { Ok(()) }
    }

    /// Writes those that wait; whether there were any.
    pub(super) async fn write(&mut self, connection: &mut PgConnection) -> Result<bool> {
        let has_some = !self.waiting.is_empty();
        for rows in self.waiting.chunks(MOST_WAITING) {
            let Some(statement) = self.record.keep(rows) else { continue };
            let kept = execute(connection, &statement).await.map_err(|cause| {
                classify("Cannot keep the rows that are set aside", cause).with("table", self.table)
            })?;
            if kept != rows.len() as u64 {
                return Err(Error::new(
                    ErrorKind::LeaseLost,
                    "Rows that were set aside belong to another worker now",
                )
                .with_hint("nothing to do: its transaction counts, this one is rolled back"));
            }
        }
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(has_some)
    }

    /// Holds the table, with what all its other chunks have set aside, to its limit. The chunk's
    /// completion has run: whoever comes second waits for the table's row, and counts us.
    pub(super) async fn hold_to_limit(&self, connection: &mut PgConnection) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let Some(statement) = self.record.within(self.most_rows) else { return Ok(()) };
        let found = execute(connection, &statement).await.map_err(|cause| {
            classify("Cannot count the rows that are set aside", cause).with("table", self.table)
        })?;
        if found == 1 { Ok(()) } else { Err(self.too_many()) }
    }

    fn too_many(&self) -> Error {
        Error::new(
            code::TOO_MANY_BAD_ROWS,
            format!("More rows are refused than the {} that may be set aside", self.most_rows),
        )
        .with("table", self.table)
        .with_source(format!("the last of them: {}", self.latest_reason))
        .with_hint(
            "look at select * from migration_status.v_rejected_rows, mend the rows or the target, or \
             raise \"max_bad_rows\" and \"max_bad_fraction\"; then run the same command again",
        )
    }
}
