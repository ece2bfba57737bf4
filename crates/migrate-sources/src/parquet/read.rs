//! Rows of files, read by a blocking task a little ahead of the consumer.

use std::ops::Range;
use std::sync::Arc;

use migrate_core::arrow::array::RecordBatch;
use migrate_core::arrow::datatypes::SchemaRef;
use migrate_core::arrow::error::ArrowError;
use migrate_core::{
    BatchStream, ColumnName, Error, ErrorKind, Predicate, Result, RunContext, TableSchema,
    to_arrow_form,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowPredicateFn, ParquetRecordBatchReaderBuilder, RowFilter};

use super::file::{ParquetFile, damaged};
use crate::task_stream::{BatchSender, TaskStream};

/// Batches that wait for the consumer: one is being encoded, one is ready, one is being read.
const READ_AHEAD: usize = 1;

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
}

/// Which columns and rows of the parts, and in which form.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    pub(super) output: SchemaRef,
    pub(super) predicate: Predicate,
    pub(super) schema: Arc<TableSchema>,
    pub(super) batch_rows: usize,
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
            let read = parts.iter().try_for_each(|part| read_part(part, &selection, &cx, &sender));
            if let Err(error) = read {
                // A closed channel means that nobody wants to know any more.
                drop(sender.blocking_send(Err(error)));
            }
        });
    }))
}

fn read_part(
    part: &Part,
    selection: &Selection,
    cx: &RunContext,
    sender: &BatchSender,
) -> Result<()> {
    let path = &part.file.path;
    let names = selection.output.fields().iter().map(|field| field.name().as_str());
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
        part.file.reader()?,
        part.file.metadata.clone(),
    )
    .with_batch_size(selection.batch_rows)
    .with_row_groups(
        part.row_groups.clone().filter_map(|group| usize::try_from(group).ok()).collect(),
    )
    .with_projection(mask(&part.file, names));
    if selection.predicate != Predicate::All {
        builder = builder.with_row_filter(row_filter(&part.file, selection)?);
    }
    let reader = builder.build().map_err(|cause| damaged(path, cause))?;
    for batch in reader {
        cx.ensure_active()?;
        let batch = batch.map_err(|cause| from_reader(cause, part))?;
        let batch = in_order(&batch, &selection.output, part)?;
        if sender.blocking_send(to_arrow_form(&batch, &selection.output)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn mask<'a>(file: &ParquetFile, names: impl Iterator<Item = &'a str>) -> ProjectionMask {
    let roots = names.filter_map(|name| file.arrow_schema().index_of(name).ok());
    ProjectionMask::roots(file.metadata.parquet_schema(), roots)
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
