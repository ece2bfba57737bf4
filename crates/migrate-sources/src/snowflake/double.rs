//! Doubles with all their bits.
//!
//! A result in JSON shows a FLOAT with few digits: two doubles that differ arrive as one. The format
//! `TME` writes 17 significant digits, from which the same double is read again. NaN and the
//! infinities have no digits, so they take the way of the cast, which spells them.

use migrate_core::arrow::array::{ArrayRef, AsArray};
use migrate_core::value::for_each_scalar;
use migrate_core::{ColumnName, ColumnType, Error, ErrorKind, Float, Result, Scalar, SqlBuilder};

use super::cell;

/// Appends a FLOAT as a text that holds every bit; `value` appends the FLOAT.
pub(super) fn exact(sql: &mut SqlBuilder, value: impl Fn(&mut SqlBuilder)) {
    sql.text("CASE WHEN ");
    value(sql);
    sql.text(" IN ('NaN'::FLOAT, 'inf'::FLOAT, '-inf'::FLOAT) THEN ");
    value(sql);
    sql.text("::VARCHAR ELSE TO_VARCHAR(");
    value(sql);
    sql.text(", 'TME') END");
}

/// Whether values of this type have to be selected by [`exact`].
pub(super) fn is_double(column_type: &ColumnType) -> bool {
    *column_type == ColumnType::Float64
}

/// How a selected double is called in a result. A name of its own, because conditions and orders of
/// the statement must go on meaning the column.
pub(super) fn alias(position: usize) -> String {
    format!("exact double {position}")
}

/// The values of a column of an answer; `is_double` when it was selected by [`exact`].
///
/// # Errors
///
/// `DataInvalid` for a text that is no double.
pub(super) fn values(
    array: &ArrayRef,
    column: &ColumnName,
    is_double: bool,
) -> Result<Vec<Option<Scalar>>> {
    let mut values = Vec::with_capacity(array.len());
    let Some(texts) = array.as_string_opt::<i32>().filter(|_| is_double) else {
        for_each_scalar(array, column, |value| {
            values.push(value);
            Ok(())
        })?;
        return Ok(values);
    };
    for text in texts {
        let value = text.map(cell::float).transpose().map_err(|_malformed| {
            Error::new(ErrorKind::DataInvalid, "Snowflake sent a cell that is no float64")
                .with("column", column)
                .with_hint("report this: the result is not of the form that its type has")
        })?;
        values.push(value.map(|value| Scalar::Float(Float::new(value))));
    }
    Ok(values)
}
