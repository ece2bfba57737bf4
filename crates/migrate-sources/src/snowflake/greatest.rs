//! The greatest value of a column, its ties and the rows without one, as one statement.

use migrate_core::arrow::array::RecordBatch;
use migrate_core::{Column, ColumnType, Error, Greatest, Key, Result, SqlBuilder, code};

use super::double;
use super::statement::counts;

/// Appends the statement. `rows` appends what comes after `SELECT`'s list: the table and its filter.
/// Both parts read one version of the table, so the ties are those of the value.
///
/// # Errors
///
/// Those of `rows`.
pub(super) fn render(
    sql: &mut SqlBuilder,
    column: &Column,
    rows: impl Fn(&mut SqlBuilder) -> Result<()>,
) -> Result<()> {
    let key = Key::from(&column.name);
    // By its bytes, as bounds are compared.
    let by_bytes = matches!(column.column_type, ColumnType::Text { .. });
    let greatest = |sql: &mut SqlBuilder| {
        sql.text("MAX(\"G\")");
    };
    sql.text("SELECT ");
    if double::is_double(&column.column_type) {
        double::exact(sql, greatest);
    } else {
        greatest(sql);
    }
    sql.text(
        " AS \"GREATEST\", COUNT_IF(\"K\" = \"G\")::NUMBER(38,0) AS \"N\", \
         COUNT_IF(\"K\" IS NULL)::NUMBER(38,0) AS \"NULLS\" FROM (SELECT ",
    );
    key.render(sql, by_bytes);
    sql.text(" AS \"K\" FROM ");
    rows(sql)?;
    sql.text(") CROSS JOIN (SELECT MAX(");
    key.render(sql, by_bytes);
    sql.text(") AS \"G\" FROM ");
    rows(sql)?;
    sql.text(")");
    Ok(())
}

/// Reads the answer to the statement, which has always one row.
///
/// # Errors
///
/// [`code::ROW_COUNT_MISMATCH`] where it does not.
pub(super) fn read(answer: &RecordBatch, column: &Column) -> Result<Greatest> {
    let (rows, nulls) = (counts(answer, 1)?, counts(answer, 2)?);
    let ([rows], [nulls]) = (rows.as_slice(), nulls.as_slice()) else {
        return Err(Error::new(code::ROW_COUNT_MISMATCH, "A greatest value did not arrive")
            .with_hint("run again"));
    };
    let is_double = double::is_double(&column.column_type);
    let values = double::values(answer.column(0), &column.name, is_double)?;
    let value = values.into_iter().flatten().next();
    Ok(Greatest { value, rows: *rows, nulls: *nulls })
}
