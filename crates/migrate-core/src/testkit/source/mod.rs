//! The rules of a source.
//!
//! Each rule gets a source with one table that holds the rows of [`sample`]: `row`, a number that
//! counts the rows; `id`, a whole number with gaps and NULLs; `name`, a text with NULLs; `day`, a
//! date with NULLs. A source may give the numbers another exact type.

mod counting;
mod objects;
mod predicates;
mod reading;
mod snapshots;
mod table;

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};

use super::{Answer, Kept, Report, Testkit, rules, same};
use crate::chunk::Extent;
use crate::context::RunContext;
use crate::error::{Error, ErrorKind, Result};
use crate::name::{ColumnName, TableRef};
use crate::predicate::Predicate;
use crate::source::{ScanRequest, Source, SourceTable};
use crate::value::{Scalar, for_each_scalar};

/// A source with one table of the [`sample`].
#[async_trait]
pub trait SourceFixture: fmt::Debug + Send + Sync {
    /// The source.
    fn source(&self) -> Arc<dyn Source>;

    /// Its table.
    fn table(&self) -> TableRef;

    /// Removes the rows above `row` 100 from the table, as somebody else who writes it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where that cannot be shown; rules about frozen moments are skipped then.
    async fn shrink(&self) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "The table of this fixture cannot change"))
    }
}

/// Rows of the sample that [`SourceFixture::shrink`] leaves.
pub const SHRUNK_ROWS: i64 = 101;

const SAMPLE_ROWS: i64 = 240;

/// The rows of the table, without one that is the same as another.
///
/// # Errors
///
/// `Internal` when Arrow refuses them.
pub fn sample() -> Result<RecordBatch> {
    const DAY_BEFORE_A_LEAP_DAY: i32 = 19_781;
    let rows = || 0..SAMPLE_ROWS;
    let row: ArrayRef = Arc::new(Int64Array::from_iter_values(rows()));
    let id: Int64Array = rows().map(|row| (row % 10 != 0).then_some(row * 3 - 120)).collect();
    let name = rows().map(|row| match row % 8 {
        0 => None,
        1 => Some(String::new()),
        2 => Some(format!("{row}")),
        3 => Some(format!("quote' \"{row}\" \\ % _")),
        4 => Some(format!("ä\u{1f600}{row}")),
        // One name that many rows have.
        5 | 6 => Some("crowd".to_owned()),
        _ => Some(format!("n{row}")),
    });
    let name: StringArray = name.collect();
    let day = rows().map(|row| {
        let days = i32::try_from(row / 3).unwrap_or_default();
        (row % 7 != 0).then_some(DAY_BEFORE_A_LEAP_DAY + days)
    });
    let day: Date32Array = day.collect();
    let columns = [
        ("row", row, false),
        ("id", Arc::new(id) as ArrayRef, true),
        ("name", Arc::new(name) as ArrayRef, true),
        ("day", Arc::new(day) as ArrayRef, true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|cause| {
        Error::new(ErrorKind::Internal, "The suite cannot make its sample").with_source(cause)
    })
}

rules! {
    dyn SourceFixture:
    table::it_answers_and_has_a_name,
    table::a_missing_table_is_refused_by_name,
    table::its_schema_describes_the_table,
    table::an_unknown_column_is_refused_by_name,
    reading::rows_arrive_unaltered,
    reading::columns_come_in_the_order_and_form_that_were_asked_for,
    reading::batches_keep_their_limits,
    reading::rows_come_in_the_order_that_was_asked_for,
    reading::a_stream_may_be_dropped,
    reading::a_cancelled_scan_does_not_look_complete,
    predicates::parts_of_a_key_hold_each_row_once,
    predicates::a_filter_and_an_extent_both_apply,
    predicates::a_predicate_is_applied_or_refused,
    predicates::a_predicate_without_columns_is_applied,
    predicates::a_scan_without_rows_is_empty,
    counting::a_count_is_the_number_of_rows_streamed,
    counting::a_histogram_is_exact,
    counting::the_greatest_value_is_found_or_refused,
    snapshots::a_frozen_moment_does_not_move,
    snapshots::the_present_does,
    objects::objects_hold_each_row_once,
    objects::an_object_with_another_content_is_refused,
}

impl Testkit {
    /// Tries every rule of a source, each on a table of its own.
    pub async fn source<Fresh, Made, Fixture>(&self, fresh: Fresh) -> Report
    where
        Fresh: Fn() -> Made + Send + Sync,
        Made: Future<Output = Result<Fixture>> + Send + 'static,
        Fixture: SourceFixture + 'static,
    {
        let fresh = || {
            let made = fresh();
            async { Ok(Box::new(made.await?) as Box<dyn SourceFixture>) }.boxed()
        };
        self.run("source", RULES, fresh).await
    }
}

/// A row: one value or NULL for each column that was asked for.
type Cells = Vec<Option<Scalar>>;

fn columns() -> Vec<ColumnName> {
    ["row", "id", "name", "day"].into_iter().map(ColumnName::from).collect()
}

fn everything() -> Extent {
    Extent::Rows { predicate: Predicate::All }
}

async fn open(fixture: &dyn SourceFixture) -> Result<Arc<dyn SourceTable>> {
    fixture.source().open(&fixture.table(), None).await
}

async fn batches(table: &dyn SourceTable, request: ScanRequest) -> Result<Vec<RecordBatch>> {
    table.scan(request, &RunContext::new()).await?.try_collect().await
}

/// The rows of a scan, in the order of `row` if that is the first column.
async fn read(table: &dyn SourceTable, request: ScanRequest) -> Answer<Vec<Cells>> {
    let mut rows = Vec::new();
    for batch in batches(table, request).await? {
        rows.extend(cells(&batch)?);
    }
    sort(&mut rows);
    Ok(rows)
}

fn sort(rows: &mut [Cells]) {
    let number = |row: &Cells| match row.first() {
        Some(Some(Scalar::Number(number))) => Some(number.to_string().parse::<i64>().ok()),
        _ => None,
    };
    rows.sort_by_key(number);
}

fn cells(batch: &RecordBatch) -> Result<Vec<Cells>> {
    let mut rows = vec![Vec::with_capacity(batch.num_columns()); batch.num_rows()];
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let mut into = rows.iter_mut();
        for_each_scalar(array, &field.name().as_str().into(), |value| {
            if let Some(row) = into.next() {
                row.push(value);
            }
            Ok(())
        })?;
    }
    Ok(rows)
}

/// The rows of the sample that match.
fn expected(predicate: &Predicate) -> Result<RecordBatch> {
    let all = sample()?;
    let mask = predicate.evaluate(&all)?;
    filter_record_batch(&all, &mask).map_err(|cause| {
        Error::new(ErrorKind::Internal, "The suite cannot filter its sample").with_source(cause)
    })
}

fn expected_cells(predicate: &Predicate) -> Result<Vec<Cells>> {
    cells(&expected(predicate)?)
}

/// Breaks the rule unless the rows are these; says how many differ, not which 240 there are.
fn same_rows(what: &str, found: &[Cells], wanted: &[Cells]) -> Kept {
    same(&format!("rows of {what}"), &found.len(), &wanted.len())?;
    match found.iter().zip(wanted).find(|(found, wanted)| found != wanted) {
        Some((found, wanted)) => same(&format!("a row of {what}"), found, wanted),
        None => Ok(()),
    }
}
