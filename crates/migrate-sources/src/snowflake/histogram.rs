//! Histograms of keys as one statement.
//!
//! It says in SQL what [`HistogramRequest::count`] says in Rust, to the row: rows are grouped by key,
//! running sums over the groups give ranks, ranks and units of the calendar give buckets.

use migrate_core::arrow::array::RecordBatch;
use migrate_core::{
    Buckets, CalendarUnit, ColumnType, Dialect, Error, HistogramRequest, Key, KeyBucket,
    KeyHistogram, Reading, Result, SqlBuilder, TableSchema, code,
};

use super::double;
use super::reattach::Reread;
use super::statement::counts;

/// Appends the statement. `rows` appends what comes after `SELECT`'s list: the table and its filter.
///
/// # Errors
///
/// Those of `rows`; `NotFound` for a column that the table does not have.
pub(super) fn render(
    sql: &mut SqlBuilder,
    request: &HistogramRequest<'_>,
    schema: &TableSchema,
    rows: impl Fn(&mut SqlBuilder) -> Result<()>,
) -> Result<()> {
    let groups: Vec<String> = (0..request.within.len()).map(|at| format!("G{at}")).collect();
    let units = request.buckets.units();
    let has_units = request.buckets != Buckets::Even;
    // The last column lets a truncated answer be noticed.
    sql.text("SELECT ");
    for (group, key) in groups.iter().zip(request.within) {
        shown(sql, group, key, schema)?;
    }
    shown(sql, "FIRST", request.key, schema)?;
    sql.text("\"N\", \"P\", \"S\", (COUNT(*) OVER ())::NUMBER(38,0) AS \"BUCKETS\" FROM (SELECT ");
    each(sql, &groups);
    sql.text(
        "MIN(\"F\") AS \"FIRST\", SUM(\"N\")::NUMBER(38,0) AS \"N\", \
         SUM(\"P\")::NUMBER(38,0) AS \"P\", \"S\" FROM (SELECT ",
    );
    each(sql, &groups);
    bucket_columns(sql, request, units);
    sql.text(" FROM (SELECT ");
    each(sql, &groups);
    if request.groups_above.is_some() {
        sql.text("SUM(\"N\") OVER (");
        if !groups.is_empty() {
            sql.text("PARTITION BY ").names(groups.iter().map(String::as_str));
        }
        sql.text(") AS \"ALL\", ");
    }
    window_columns(sql, &groups, units);
    sql.text(" FROM (SELECT ");
    each(sql, &groups);
    sql.text(
        "\"K\", COUNT(*)::NUMBER(38,0) AS \"N\", COUNT(\"C\")::NUMBER(38,0) AS \"P\" FROM (SELECT ",
    );
    for (group, key) in groups.iter().zip(request.within) {
        expression(sql, key, schema)?;
        sql.text(" AS ").name(group).text(", ");
    }
    expression(sql, request.key, schema)?;
    sql.text(" AS \"K\", ").name(request.key.column.as_str()).text(" AS \"C\" FROM ");
    rows(sql)?;
    sql.text(") GROUP BY ");
    each(sql, &groups);
    sql.text("\"K\"))");
    if let Some(rows) = request.groups_above {
        sql.text(&format!(" WHERE \"ALL\" > {rows}"));
    }
    sql.text(") GROUP BY ");
    each(sql, &groups);
    if has_units {
        sql.text("\"T\", ");
    }
    sql.text("\"B\", \"S\")");
    order_by(sql, request);
    Ok(())
}

/// How the answer may be read again from where the server keeps it. A double stands in it as a text,
/// which has another order.
///
/// # Errors
///
/// `NotFound` for a column that the table does not have.
pub(super) fn rereading(request: &HistogramRequest<'_>, schema: &TableSchema) -> Result<Reread> {
    for key in request.within.iter().chain([request.key]) {
        if is_double(key, schema)? {
            return Ok(Reread::No);
        }
    }
    let mut order = SqlBuilder::new(Dialect::Snowflake);
    order_by(&mut order, request);
    Ok(Reread::Ordered(order.finish()))
}

/// The order in which the answer is read, over its own columns.
fn order_by(sql: &mut SqlBuilder, request: &HistogramRequest<'_>) {
    sql.text(" ORDER BY ");
    for group in 0..request.within.len() {
        sql.name(&format!("G{group}")).text(" NULLS LAST, ");
    }
    sql.text("\"FIRST\" NULLS LAST");
}

/// The names, each with a comma after it.
fn each(sql: &mut SqlBuilder, names: &[String]) {
    for name in names {
        sql.name(name).text(", ");
    }
}

/// A key of the answer, with a comma after it: a double with all its digits. The ORDER BY at the end
/// must go on meaning the number, so the text gets another name.
fn shown(sql: &mut SqlBuilder, name: &str, key: &Key, schema: &TableSchema) -> Result<()> {
    if is_double(key, schema)? {
        double::exact(sql, |sql| {
            sql.name(name);
        });
        sql.text(" AS ").name(&format!("{name}_TEXT")).text(", ");
    } else {
        sql.name(name).text(", ");
    }
    Ok(())
}

fn is_double(key: &Key, schema: &TableSchema) -> Result<bool> {
    let column_type = &schema.require(&key.column)?.column_type;
    Ok(key.read_as == Reading::Value && double::is_double(column_type))
}

/// The key as it is ordered: texts by their bytes, times with an offset by their instant.
fn expression(sql: &mut SqlBuilder, key: &Key, schema: &TableSchema) -> Result<()> {
    let column_type = &schema.require(&key.column)?.column_type;
    match (key.read_as, column_type) {
        (Reading::Value, ColumnType::OffsetTimestamp { scale }) => {
            key.render(sql, false);
            sql.text("::TIMESTAMP_LTZ(").text(&scale.to_string()).text(")");
        }
        (Reading::Value, ColumnType::Text { .. }) => key.render(sql, true),
        _ => key.render(sql, false),
    }
    Ok(())
}

/// Keys with the rows of their units, and the rows before them in the smallest unit.
fn window_columns(sql: &mut SqlBuilder, groups: &[String], units: &[CalendarUnit]) {
    let over = |sql: &mut SqlBuilder, unit: Option<CalendarUnit>, is_running: bool| {
        sql.text("SUM(\"N\") OVER (");
        if !groups.is_empty() || unit.is_some() {
            sql.text("PARTITION BY ");
            sql.names(groups.iter().map(String::as_str));
            if let Some(unit) = unit {
                sql.text(if groups.is_empty() { "" } else { ", " });
                start(sql, unit);
            }
        }
        if is_running {
            sql.text(
                " ORDER BY \"K\" ASC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
            );
        }
        sql.text(")");
    };
    sql.text("\"K\", \"N\", \"P\", ");
    for (at, unit) in units.iter().enumerate() {
        over(sql, Some(*unit), false);
        sql.text(" AS ").name(&format!("U{at}")).text(", ");
    }
    over(sql, units.last().copied(), true);
    sql.text(" - \"N\" AS \"R\"");
}

/// To which bucket a key belongs, and where that begins.
fn bucket_columns(sql: &mut SqlBuilder, request: &HistogramRequest<'_>, units: &[CalendarUnit]) {
    let depth = request.depth_rows.to_string();
    sql.text("\"N\", \"P\", ");
    if let Buckets::Each(unit) = request.buckets {
        start(sql, unit);
        sql.text(" AS \"T\", CASE WHEN \"K\" IS NULL THEN -1 ELSE 0 END AS \"B\", ");
        start(sql, unit);
        sql.text(" AS \"F\", 0 AS \"S\"");
        return;
    }
    if let Some((last, longer)) = units.split_last() {
        let fits = format!("\"U{}\" <= {depth}", longer.len());
        let unit = |sql: &mut SqlBuilder| {
            sql.text("CASE");
            for (at, unit) in longer.iter().enumerate() {
                sql.text(&format!(" WHEN \"U{at}\" <= {depth} THEN "));
                start(sql, *unit);
            }
            sql.text(" ELSE ");
            start(sql, *last);
            sql.text(" END");
        };
        unit(sql);
        sql.text(" AS \"T\", CASE WHEN \"K\" IS NULL THEN -1 WHEN ").text(&fits);
        sql.text(" THEN 0 ELSE \"R\" - MOD(\"R\", ")
            .text(&depth)
            .text(") END AS \"B\", CASE WHEN ");
        sql.text(&fits).text(" OR (\"R\" = 0 AND \"N\" <= ").text(&depth).text(") THEN ");
        unit(sql);
        sql.text(" ELSE \"K\" END AS \"F\", ");
    } else {
        sql.text("CASE WHEN \"K\" IS NULL THEN -1 ELSE \"R\" - MOD(\"R\", ").text(&depth);
        sql.text(") END AS \"B\", \"K\" AS \"F\", ");
    }
    sql.text("CASE WHEN \"N\" > ").text(&depth).text(" THEN 1 ELSE 0 END AS \"S\"");
}

fn start(sql: &mut SqlBuilder, unit: CalendarUnit) {
    sql.text(match unit {
        CalendarUnit::Year => "DATE_TRUNC('YEAR', \"K\")",
        CalendarUnit::Month => "DATE_TRUNC('MONTH', \"K\")",
        CalendarUnit::Day => "DATE_TRUNC('DAY', \"K\")",
        CalendarUnit::Hour => "DATE_TRUNC('HOUR', \"K\")",
    });
}

/// Reads the answer to the statement.
///
/// # Errors
///
/// [`code::ROW_COUNT_MISMATCH`] for a truncated answer.
pub(super) fn read(
    answer: &RecordBatch,
    request: &HistogramRequest<'_>,
    schema: &TableSchema,
) -> Result<Vec<KeyHistogram>> {
    let outer = request.within.len();
    let rows = counts(answer, outer + 1)?;
    let present = counts(answer, outer + 2)?;
    let singles = counts(answer, outer + 3)?;
    let announced = counts(answer, outer + 4)?.first().copied().unwrap_or(0);
    if announced != rows.len() as u64 {
        return Err(incomplete());
    }
    let mut groups = vec![Vec::new(); rows.len()];
    for (at, key) in request.within.iter().enumerate() {
        let values = double::values(answer.column(at), &key.column, is_double(key, schema)?)?;
        groups.iter_mut().zip(values).for_each(|(group, value)| group.push(value));
    }
    let firsts =
        double::values(answer.column(outer), &request.key.column, is_double(request.key, schema)?)?;
    let mut histograms: Vec<KeyHistogram> = Vec::new();
    let counted = rows.into_iter().zip(present).zip(singles);
    for ((within, first), ((rows, present), single)) in groups.into_iter().zip(firsts).zip(counted)
    {
        if histograms.last().is_none_or(|histogram| histogram.within != within) {
            histograms.push(KeyHistogram { within, ..KeyHistogram::default() });
        }
        let Some(histogram) = histograms.last_mut() else { continue };
        match first {
            Some(first) => {
                histogram.buckets.push(KeyBucket { first, rows, is_single: single > 0 });
            }
            None => {
                histogram.nulls += rows;
                histogram.unreadable += present;
            }
        }
    }
    Ok(histograms)
}

/// What is said of an answer that lacks rows.
pub(super) fn incomplete() -> Error {
    Error::new(code::ROW_COUNT_MISMATCH, "A histogram arrived incomplete").with_hint("run again")
}
