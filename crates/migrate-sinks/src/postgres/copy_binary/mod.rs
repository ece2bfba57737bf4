//! From Arrow arrays to the bytes of `COPY … (format binary)`.
//!
//! A [`Codec`] is chosen once per column by (logical type, target type). Per batch it is bound to
//! its array; then rows are written one after the other into one reused buffer, with a jump per
//! cell and no allocation; large cells are not copied. The format is in the PostgreSQL manual at COPY, "Binary Format".

mod array;
mod cell;
mod codec;
mod convert;
mod decimal_text;
mod fraction;
mod json;
mod json_loss;
#[cfg(test)]
mod matrix_doc;
mod misfit;
mod numeric;
mod read;
mod rows;
mod shape;
mod spell;
mod time;
mod twins;
mod verdict;
mod wire;

use arrow::array::RecordBatch;
use migrate_core::{Error, ErrorKind, Result, arrow, code};

use cell::BoundColumn;
pub(super) use codec::{Codec, choose, choose_surplus};
use misfit::Misfit;
#[cfg(test)]
pub(super) use rows::LARGE_CELL_BYTES;
pub(super) use rows::{EncodedRows, Mark};
pub(super) use twins::Twins;

/// Signature, flags, length of the header extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A field count of -1 ends the data.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// Encodes the rows of one table.
#[derive(Debug)]
pub(super) struct RowEncoder {
    columns: Vec<EncodedColumn>,
}

/// One column of the target.
#[derive(Debug)]
pub(super) struct EncodedColumn {
    /// Its name, for messages.
    pub(super) name: String,
    /// The column of the batch that fills it.
    pub(super) position: usize,
    /// How its values are written.
    pub(super) codec: Codec,
}

/// The rows of one batch, ready to be written.
pub(super) struct BoundRows<'a> {
    encoder: &'a RowEncoder,
    columns: Vec<BoundColumn<'a>>,
}

/// Why a batch is not written, and at which of its rows.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) row: Option<usize>,
    pub(super) error: Error,
}

impl RowEncoder {
    pub(super) fn new(columns: Vec<EncodedColumn>) -> Self {
        Self { columns }
    }

    /// Appends rows of `batch` from `start` on, until `out` has `most_bytes` or the batch ends.
    /// Returns the first row that is not written yet.
    ///
    /// # Errors
    ///
    /// [`code::VALUE_REFUSED`] for a value that the target column cannot hold; `Internal` for a batch
    /// of other types than planned.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        start: usize,
        most_bytes: usize,
        out: &mut EncodedRows,
    ) -> Result<usize, Refusal> {
        let bound = self.columns.iter().map(|column| column.bind(batch));
        let bound = bound
            .collect::<Result<Vec<BoundColumn<'_>>>>()
            .map_err(|error| Refusal { row: None, error })?;
        let field_count = i16::try_from(bound.len()).unwrap_or(i16::MAX).to_be_bytes();
        let mut row = start;
        while row < batch.num_rows() && out.len() < most_bytes {
            out.push(&field_count);
            for (position, column) in bound.iter().enumerate() {
                column.write(row, out).map_err(|misfit| Refusal {
                    row: Some(row),
                    error: self.refused(position, misfit),
                })?;
            }
            row += 1;
        }
        Ok(row)
    }

    /// The rows of a batch, to be written one at a time.
    ///
    /// # Errors
    ///
    /// `Internal` for a batch of other types than planned.
    pub(super) fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundRows<'a>> {
        let columns = self.columns.iter().map(|column| column.bind(batch));
        Ok(BoundRows { encoder: self, columns: columns.collect::<Result<_>>()? })
    }

    fn refused(&self, position: usize, misfit: Misfit) -> Error {
        let name = self.columns.get(position).map_or("?", |column| column.name.as_str());
        Error::new(code::VALUE_REFUSED, format!("A value does not fit its column: {misfit}"))
            .with("column", name)
            .with_hint("correct or filter the row in the source, or widen the target column")
    }
}

impl BoundRows<'_> {
    /// Appends one row, after its number where one is given. A row that is refused leaves nothing.
    ///
    /// # Errors
    ///
    /// [`code::VALUE_REFUSED`] for a value that the target column cannot hold.
    pub(super) fn write(
        &self,
        row: usize,
        number: Option<i64>,
        out: &mut EncodedRows,
    ) -> Result<()> {
        let start = out.mark();
        let field_count = self.columns.len() + usize::from(number.is_some());
        out.push(&i16::try_from(field_count).unwrap_or(i16::MAX).to_be_bytes());
        if let Some(number) = number {
            wire::fixed(&mut out.copied, number.to_be_bytes());
        }
        for (position, column) in self.columns.iter().enumerate() {
            if let Err(misfit) = column.write(row, out) {
                out.truncate(start);
                return Err(self.encoder.refused(position, misfit));
            }
        }
        Ok(())
    }
}

impl EncodedColumn {
    fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundColumn<'a>> {
        let array = batch.columns().get(self.position).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "A batch lacks a planned column")
                .with_hint("report this: the source does not keep to its own schema")
        });
        array
            .and_then(|array| self.codec.bind(array))
            .map_err(|error| error.with("column", &self.name))
    }
}

#[cfg(test)]
mod tests;
