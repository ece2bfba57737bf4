//! The encoder alone, for programs that send the bytes by themselves.

use migrate_core::arrow::array::RecordBatch;
use migrate_core::{Column, ColumnPair, Error, Result, code};

use super::copy_binary::{
    EncodedColumn, EncodedRows, HEADER, Refusal, RowEncoder, TRAILER, choose,
};
use super::define::best_type;

/// Record batches as the bytes of `COPY … (format binary)`.
///
/// ```
/// use std::sync::Arc;
/// use migrate_core::arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use migrate_core::{Column, ColumnType};
/// use migrate_sinks::CopyEncoder;
///
/// let encoder = CopyEncoder::new(&[Column::new("id", ColumnType::Int64, "NUMBER(18,0)")])?;
/// let ids: ArrayRef = Arc::new(Int64Array::from(vec![7]));
/// let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
/// let mut bytes = CopyEncoder::HEADER.to_vec();
/// encoder.encode(&batch, &mut bytes)?;
/// bytes.extend_from_slice(CopyEncoder::TRAILER);
/// assert_eq!(bytes.len(), 19 + 2 + 4 + 8 + 2);
/// # Ok::<(), migrate_core::Error>(())
/// ```
#[derive(Debug)]
pub struct CopyEncoder {
    rows: RowEncoder,
}

impl CopyEncoder {
    /// What comes before the first row.
    pub const HEADER: &[u8] = HEADER;

    /// What comes after the last row.
    pub const TRAILER: &[u8] = TRAILER;

    /// Encodes batches of these columns, in this order, each in the [Arrow
    /// form](migrate_core::ColumnType::arrow) of its type, for the table that
    /// [`Sink::definition`](migrate_core::Sink::definition) defines for them.
    ///
    /// # Errors
    ///
    /// [`TYPE_MISMATCH`](code::TYPE_MISMATCH) for a column that no table can hold.
    pub fn new(columns: &[Column]) -> Result<Self> {
        let columns = columns.iter().enumerate().map(|(position, column)| {
            let name = &column.name;
            let pair = ColumnPair::new(name.clone(), name.clone(), column.column_type.clone());
            let (codec, _) = choose(&pair, &best_type(&column.column_type)).map_err(|why| {
                Error::new(code::TYPE_MISMATCH, format!("Column cannot be written: {why}"))
                    .with("column", name)
                    .with_hint("leave the column out, or cast it in a view of the source")
            })?;
            Ok(EncodedColumn { name: name.as_str().to_owned(), position, codec })
        });
        Ok(Self { rows: columns.collect::<Result<_>>().map(RowEncoder::new)? })
    }

    /// Appends all rows of a batch.
    ///
    /// # Errors
    ///
    /// [`VALUE_REFUSED`](code::VALUE_REFUSED) for a value that its column cannot hold; `Internal` for
    /// a batch of other columns. What was appended before stays.
    pub fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let mut rows = EncodedRows::from(std::mem::take(out));
        let encoded = self.rows.encode(batch, 0, usize::MAX, &mut rows);
        *out = rows.into_vec();
        encoded.map(drop).map_err(|Refusal { error, .. }| error)
    }
}
