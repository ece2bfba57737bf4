//! For the fuzzer and the benches: what is private otherwise.

use migrate_core::arrow::array::ArrayRef;
use migrate_core::{Column, ColumnType, Result};
use snowflake_connector_rs::ResultTable;

/// Reads cells of one column of a Snowflake result, as a scan does.
///
/// # Errors
///
/// `DataInvalid` for a cell that is not of the form that its type has.
pub fn decode_cells(kind: &ColumnType, cells: &[Option<&str>]) -> Result<ArrayRef> {
    crate::snowflake::decode_cells(kind, cells)
}

/// Reads a part of a Snowflake result into batches, as a scan does; returns the number of its rows.
///
/// # Errors
///
/// `DataInvalid` for a cell that is not of the form that its column's type has.
pub fn decode_part(part: &ResultTable, columns: &[Column]) -> Result<usize> {
    crate::snowflake::decode_part(part, columns)
}
