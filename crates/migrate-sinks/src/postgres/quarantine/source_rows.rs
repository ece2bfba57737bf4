//! The rows of a chunk as the source delivered them, until its merge has taken them all.
//!
//! A merge begins when the whole chunk has arrived, and what it refuses may have come with any batch.
//! Batches are therefore kept in a temporary table of the connection, as Arrow streams: memory stays
//! bounded, no cell gets onto a disk of this machine, and COMMIT empties the table.

use std::collections::BTreeSet;

use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use migrate_core::{Error, ErrorKind, Result, TableRef, arrow};
use migrate_postgres::{classify, sqlx};
use sqlx::{PgConnection, Row};

use super::piece::{Numbered, RowSource};
use super::rejects::Rejects;

/// One for all tables of a connection: a chunk leaves nothing in it.
const EXISTS: &str = "select to_regclass('pg_temp.migrate_source_rows') is not null";

/// Arrow is not compressed again: that would cost more than it saves.
const CREATE: &str = "create temporary table migrate_source_rows \
    (first_row bigint not null, batch bytea not null) on commit delete rows; \
    alter table pg_temp.migrate_source_rows alter batch set storage external";

/// The kept batches of the present chunk.
#[derive(Debug)]
pub(super) struct SourceRows<'a> {
    table: &'a TableRef,
}

impl<'a> SourceRows<'a> {
    /// Makes the table, unless the connection has it.
    pub(super) async fn prepare(
        connection: &mut PgConnection,
        table: &'a TableRef,
    ) -> Result<Self> {
        let rows = Self { table };
        let exists: bool = sqlx::query_scalar(EXISTS)
            .fetch_one(&mut *connection)
            .await
            .map_err(|e| rows.failed(e))?;
        if !exists {
            sqlx::raw_sql(CREATE).execute(connection).await.map_err(|e| rows.failed(e))?;
        }
        Ok(rows)
    }

    /// Keeps batches.
    pub(super) async fn keep(
        &self,
        connection: &mut PgConnection,
        batches: impl Iterator<Item = &Numbered>,
    ) -> Result<()> {
        for Numbered { first_row, batch } in batches {
            let mut stream = Vec::with_capacity(batch.get_array_memory_size());
            let mut writer =
                StreamWriter::try_new(&mut stream, &batch.schema()).map_err(unreadable)?;
            writer.write(batch).map_err(unreadable)?;
            writer.finish().map_err(unreadable)?;
            drop(writer);
            sqlx::query(
                "insert into pg_temp.migrate_source_rows (first_row, batch) values ($1, $2)",
            )
            .bind(i64::try_from(*first_row).unwrap_or(i64::MAX))
            .bind(stream)
            .execute(&mut *connection)
            .await
            .map_err(|cause| self.failed(cause))?;
        }
        Ok(())
    }

    /// Sets the rows of these numbers in the chunk, from 1, aside.
    pub(super) async fn set_aside(
        &self,
        connection: &mut PgConnection,
        numbers: &BTreeSet<i64>,
        error: &Error,
        source: RowSource<'_>,
        rejects: &mut Rejects<'_>,
    ) -> Result<()> {
        let mut at_hand: Option<Numbered> = None;
        for number in numbers {
            let row = u64::try_from(number - 1).unwrap_or_default();
            let position = |from: &Numbered| {
                let at = usize::try_from(row.checked_sub(from.first_row)?).ok()?;
                (at < from.batch.num_rows()).then_some(at)
            };
            let from = match at_hand.take().filter(|from| position(from).is_some()) {
                Some(from) => from,
                None => self.batch_with(connection, number - 1).await?,
            };
            let at = position(&from).ok_or_else(missing)?;
            rejects.add(source.rejected(&from, at, error)?)?;
            if rejects.is_heavy() {
                rejects.write(connection).await?;
            }
            at_hand = Some(from);
        }
        Ok(())
    }

    async fn batch_with(&self, connection: &mut PgConnection, row: i64) -> Result<Numbered> {
        let found = sqlx::query(
            "select first_row, batch from pg_temp.migrate_source_rows \
             where first_row <= $1 order by first_row desc limit 1",
        )
        .bind(row)
        .fetch_optional(connection)
        .await
        .map_err(|cause| self.failed(cause))?
        .ok_or_else(missing)?;
        let first_row: i64 = found.try_get("first_row").map_err(|cause| self.failed(cause))?;
        let stream: &[u8] = found.try_get("batch").map_err(|cause| self.failed(cause))?;
        let mut reader = StreamReader::try_new(stream, None).map_err(unreadable)?;
        let batch = reader.next().ok_or_else(missing)?.map_err(unreadable)?;
        Ok(Numbered { first_row: u64::try_from(first_row).unwrap_or_default(), batch })
    }

    fn failed(&self, cause: sqlx::Error) -> Error {
        classify("Cannot keep the rows of the chunk until they are merged", cause)
            .with("table", self.table)
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::Internal, "A refused row is in no batch of its chunk")
        .with_hint("report this with the log of the run; nothing was written")
}

fn unreadable(cause: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "A batch cannot be kept until it is merged")
        .with_hint("report this with the log of the run; nothing was written")
        .with_source(cause)
}
