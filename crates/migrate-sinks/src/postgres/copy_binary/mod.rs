//! From Arrow arrays to the bytes of `COPY … (format binary)`.
//!
//! A [`Codec`] is chosen once per column by (logical type, target type). Per batch it is bound to
//! its array; then rows are written one after the other into one reused buffer, with a jump per
//! cell and no allocation. The format is in the PostgreSQL manual at COPY, "Binary Format".

mod cell;
mod codec;
mod numeric;

use arrow::array::RecordBatch;
use migrate_core::{Error, Result, arrow, code};

use cell::BoundColumn;
pub(super) use codec::{Codec, choose};

/// Signature, flags, length of the header extension.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A field count of -1 ends the data.
pub(super) const TRAILER: &[u8] = &[0xff, 0xff];

/// Encodes the rows of one table.
#[derive(Debug)]
pub(super) struct RowEncoder {
    columns: Vec<(String, Codec)>,
}

impl RowEncoder {
    /// `columns` are target names and codecs, in the order of the batches' columns.
    pub(super) fn new(columns: Vec<(String, Codec)>) -> Self {
        Self { columns }
    }

    /// Appends rows of `batch` from `start` on, until `out` holds `most_bytes` or the batch ends.
    /// Returns the first row that is not written yet.
    ///
    /// # Errors
    ///
    /// [`code::VALUE_REFUSED`] for a value that the target column cannot hold unchanged; `Internal`
    /// for a batch of other types than planned.
    pub(super) fn encode(
        &self,
        batch: &RecordBatch,
        start: usize,
        most_bytes: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let bound = self
            .columns
            .iter()
            .zip(batch.columns())
            .map(|((name, codec), array)| {
                codec.bind(array).map_err(|error| error.with("column", name))
            })
            .collect::<Result<Vec<BoundColumn<'_>>>>()?;
        let field_count = i16::try_from(bound.len()).unwrap_or(i16::MAX).to_be_bytes();
        let mut row = start;
        while row < batch.num_rows() && out.len() < most_bytes {
            out.extend_from_slice(&field_count);
            for (position, column) in bound.iter().enumerate() {
                column.write(row, out).map_err(|misfit| self.refused(position, row, &misfit))?;
            }
            row += 1;
        }
        Ok(row)
    }

    fn refused(&self, position: usize, row: usize, misfit: &cell::Misfit) -> Error {
        let name = self.columns.get(position).map_or("?", |(name, _)| name.as_str());
        Error::new(code::VALUE_REFUSED, format!("A value does not fit its column: {misfit}"))
            .with("column", name)
            .with("row_in_batch", row)
            .with_hint("correct or filter the row in the source, or widen the target column")
    }
}

#[cfg(test)]
mod tests;
