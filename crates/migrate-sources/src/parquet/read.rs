//! Rows of files, read by a blocking task a little ahead of the consumer.

use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;

use migrate_core::arrow::array::RecordBatch;
use migrate_core::arrow::datatypes::SchemaRef;
use migrate_core::arrow::error::ArrowError;
use migrate_core::{
    BatchStream, ColumnName, Error, ErrorKind, MemoryShare, Predicate, Result, RunContext,
    TableSchema, to_arrow_form,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};
use tokio::runtime::Handle;

use super::batch_size::RowBytes;
use super::file::{ParquetFile, damaged};
use crate::room::Room;
use crate::task_stream::{BatchSender, Counted, TaskStream};

/// Batches that wait for the consumer: one is being encoded, one is ready, one is being read.
const READ_AHEAD: usize = 1;

/// All of them.
const BATCHES: u64 = 3;

/// Row groups of one file.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) file: Arc<ParquetFile>,
    pub(super) row_groups: Range<u32>,
}

impl Part {
    pub(super) fn whole(file: Arc<ParquetFile>) -> Self {
        let groups = file.metadata.metadata().num_row_groups();
        Self { file, row_groups: 0..u32::try_from(groups).unwrap_or(u32::MAX) }
    }

    fn groups(&self) -> impl Iterator<Item = usize> {
        self.row_groups.clone().filter_map(|group| usize::try_from(group).ok())
    }
}

/// Which columns and rows of the parts, and in which form.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) output: SchemaRef,
    pub(super) predicate: Predicate,
    pub(super) schema: Arc<TableSchema>,
    /// Most rows of a batch, and about how many bytes.
    pub(super) batch_rows: NonZeroU64,
    pub(super) batch_bytes: NonZeroU64,
    pub(super) memory: Option<MemoryShare>,
}

impl Selection {
    /// Every column that is decoded, also for the predicate alone.
    fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.output.fields().iter().map(|field| field.name().as_str()).collect();
        for column in self.predicate.columns() {
            if !names.contains(&column.as_str()) {
                names.push(column.as_str());
            }
        }
        names
    }

    /// The least bytes with which a part is read: pages, and the batches that are being made, waiting
    /// and being written.
    pub(super) fn least_bytes(&self, part: &Part) -> u64 {
        let wanted = part.file.positions(self.columns().into_iter());
        let of_group = |group: usize| {
            let columns = part.file.group(group, &wanted);
            let row_bytes = columns.row_bytes();
            let rows = row_bytes.batch_rows(self.batch_rows.get(), self.batch_bytes.get());
            columns.page_bytes().saturating_add(BATCHES * row_bytes.of_rows(rows))
        };
        part.groups().map(of_group).max().unwrap_or_default()
    }
}

/// Reads the parts one after the other.
///
/// # Errors
///
/// `Unsupported` for a raw filter; from the stream, what the files answer.
pub(super) fn read_parts(
    parts: Vec<Part>,
    selection: Selection,
    cx: &RunContext,
) -> Result<BatchStream> {
    if let Some((dialect, filter)) = selection.predicate.raw_part() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("A {} filter cannot run on Parquet files", dialect.name()),
        )
        .with("filter", filter)
        .with_hint("remove `source_filter` from this table"));
    }
    let cx = cx.clone();
    Ok(TaskStream::start(READ_AHEAD, |task, sender| {
        task.spawn_blocking(move || {
            let reader = Reader { selection, cx, sender: sender.clone() };
            let read = parts.iter().try_for_each(|part| reader.read_part(part));
            if let Err(error) = read {
                // A closed channel means that nobody wants to know any more.
                drop(sender.blocking_send(Err(error)));
            }
        });
    }))
}

/// Reads on a thread that may block.
struct Reader {
    selection: Selection,
    cx: RunContext,
    sender: BatchSender,
}

impl Reader {
    fn read_part(&self, part: &Part) -> Result<()> {
        let file = part.file.reader()?;
        part.groups().try_for_each(|group| self.read_group(part, &file, group))
    }

    fn read_group(&self, part: &Part, file: &File, group: usize) -> Result<()> {
        let Selection { batch_bytes, memory, .. } = &self.selection;
        let wanted = part.file.positions(self.selection.columns().into_iter());
        let columns = part.file.group(group, &wanted);
        let stretches = columns.stretches(file, batch_bytes.get());
        let stretches = stretches.map_err(|cause| damaged(&part.file.path, cause))?;
        let _pages = Room::lasting(memory.as_ref(), columns.page_bytes());
        let is_whole = stretches.len() == 1;
        stretches.iter().try_for_each(|stretch| {
            let mut reader = self.builder(part, file, group)?;
            if !is_whole {
                reader = reader.with_row_selection(stretch.selection());
            }
            self.read_stretch(part, reader, stretch.row_bytes)
        })
    }

    /// A reader of the wanted rows and columns of a row group.
    fn builder(
        &self,
        part: &Part,
        file: &File,
        group: usize,
    ) -> Result<ParquetRecordBatchReaderBuilder<File>> {
        let Selection { output, predicate, .. } = &self.selection;
        let file = file.try_clone().map_err(|cause| damaged(&part.file.path, cause.into()))?;
        let names = output.fields().iter().map(|field| field.name().as_str());
        let metadata = part.file.metadata.clone();
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_row_groups(vec![group])
            .with_projection(mask(&part.file, names));
        if *predicate == Predicate::All {
            return Ok(builder);
        }
        Ok(builder.with_row_filter(row_filter(&part.file, &self.selection)?))
    }

    fn read_stretch(
        &self,
        part: &Part,
        reader: ParquetRecordBatchReaderBuilder<File>,
        row_bytes: RowBytes,
    ) -> Result<()> {
        let Selection { output, batch_rows, batch_bytes, .. } = &self.selection;
        let rows = row_bytes.batch_rows(batch_rows.get(), batch_bytes.get());
        let reader = reader.with_batch_size(usize::try_from(rows).unwrap_or(usize::MAX)).build();
        let mut batches = reader.map_err(|cause| damaged(&part.file.path, cause))?;
        loop {
            self.cx.ensure_active()?;
            let Some(room) = self.room(row_bytes.of_rows(rows))? else { return Ok(()) };
            let Some(batch) = batches.next() else { return Ok(()) };
            let batch = batch.map_err(|cause| from_reader(cause, part))?;
            let batch = to_arrow_form(&in_order(&batch, output, part)?, output)?;
            room.correct(batch.get_array_memory_size() as u64);
            let counted = Counted { batch, memory: Arc::new(room) };
            if self.sender.blocking_send(Ok(counted)).is_err() {
                return Ok(());
            }
        }
    }

    fn room(&self, bytes: u64) -> Result<Option<Room>> {
        let room = Room::passing(self.selection.memory.as_ref(), bytes, &self.sender);
        Handle::current().block_on(room)
    }
}

fn mask<'a>(file: &ParquetFile, names: impl Iterator<Item = &'a str>) -> ProjectionMask {
    ProjectionMask::roots(file.metadata.parquet_schema(), file.positions(names))
}

/// A reader yields columns in file order; rows without a column still count.
fn in_order(batch: &RecordBatch, output: &SchemaRef, part: &Part) -> Result<RecordBatch> {
    let indices = output
        .fields()
        .iter()
        .map(|field| batch.schema_ref().index_of(field.name()))
        .collect::<Result<Vec<_>, ArrowError>>()
        .map_err(|cause| from_reader(cause, part))?;
    batch.project(&indices).map_err(|cause| from_reader(cause, part))
}

fn row_filter(file: &ParquetFile, selection: &Selection) -> Result<RowFilter> {
    let columns: Vec<ColumnName> = selection.predicate.columns().into_iter().cloned().collect();
    let wanted = selection.schema.arrow(&columns)?;
    let projection = mask(file, columns.iter().map(ColumnName::as_str));
    let predicate = selection.predicate.clone();
    let filter = ArrowPredicateFn::new(projection, move |batch: RecordBatch| {
        let external = |error: Error| ArrowError::ExternalError(Box::new(error));
        let indices = wanted
            .fields()
            .iter()
            .map(|field| batch.schema_ref().index_of(field.name()))
            .collect::<Result<Vec<_>, ArrowError>>()?;
        let batch = to_arrow_form(&batch.project(&indices)?, &wanted).map_err(external)?;
        predicate.evaluate(&batch).map_err(external)
    });
    Ok(RowFilter::new(vec![Box::new(filter)]))
}

/// Our own errors come back out of the reader as they were.
fn from_reader(cause: ArrowError, part: &Part) -> Error {
    let broken = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::DataInvalid, "Cannot read rows of a Parquet file")
            .with("file", part.file.path.display())
            .with_hint("check that the file is complete Parquet; fetch or write it again")
            .with_source(cause)
    };
    match cause {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => broken(other),
        },
        other => broken(Box::new(other)),
    }
}
