//! Rows on their way.

use std::cmp::Ordering;
use std::num::NonZeroU64;

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};

use super::{
    SAMPLE_ROWS, SourceFixture, batches, cells, columns, everything, expected_cells, open, read,
    same_rows,
};
use crate::context::RunContext;
use crate::error::ErrorKind;
use crate::name::ColumnName;
use crate::predicate::Predicate;
use crate::source::ScanRequest;
use crate::testkit::{Kept, Unkept, ensure, found, same};
use crate::value::Scalar;

const MUCH: NonZeroU64 = NonZeroU64::new(8 << 20).expect("not zero");

pub(super) async fn rows_arrive_unaltered(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let rows = read(&*table, ScanRequest::new(columns(), everything())).await?;
    same_rows("the table", &rows, &expected_cells(&Predicate::All)?)
}

pub(super) async fn columns_come_in_the_order_and_form_that_were_asked_for(
    fixture: &dyn SourceFixture,
) -> Kept {
    let table = open(fixture).await?;
    for names in [vec!["day", "row"], vec!["name"], vec!["name", "day", "id", "row"]] {
        let names: Vec<ColumnName> = names.into_iter().map(ColumnName::from).collect();
        let wanted = table.schema().arrow(&names)?;
        let batches = batches(&*table, ScanRequest::new(names.clone(), everything())).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        same("rows", &i64::try_from(rows).unwrap_or_default(), &SAMPLE_ROWS)?;
        for batch in &batches {
            let forms = |schema: &arrow::datatypes::Schema| -> Vec<_> {
                let fields = schema.fields().iter();
                fields.map(|field| (field.name().clone(), field.data_type().clone())).collect()
            };
            same("columns", &forms(batch.schema_ref()), &forms(&wanted))?;
        }
    }
    Ok(())
}

pub(super) async fn batches_keep_their_limits(fixture: &dyn SourceFixture) -> Kept {
    const FEW: NonZeroU64 = NonZeroU64::new(7).expect("not zero");
    let table = open(fixture).await?;
    for (rows, bytes) in [(FEW, MUCH), (NonZeroU64::MIN, MUCH), (FEW, NonZeroU64::MIN)] {
        let request = ScanRequest::new(columns(), everything()).with_batch_limits(rows, bytes);
        let batches = batches(&*table, request).await?;
        let largest = batches.iter().map(|batch| batch.num_rows() as u64).max();
        ensure(largest <= Some(rows.get()), format!("a batch has {largest:?} rows"))?;
        let all: usize = batches.iter().map(RecordBatch::num_rows).sum();
        same("rows", &i64::try_from(all).unwrap_or_default(), &SAMPLE_ROWS)?;
    }
    Ok(())
}

pub(super) async fn rows_come_in_the_order_that_was_asked_for(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    if !table.can_sort() {
        return Err(Unkept::Skipped("it does not declare that it can sort"));
    }
    let request = ScanRequest::new(vec!["name".into(), "row".into()], everything())
        .with_order(vec!["name".into(), "row".into()])
        .with_batch_limits(NonZeroU64::new(16).unwrap_or(NonZeroU64::MIN), MUCH);
    let mut before: Option<(Scalar, Scalar)> = None;
    let mut count = 0;
    for batch in batches(&*table, request).await? {
        for row in cells(&batch)? {
            count += 1;
            // Where NULLs stand is the source's own affair.
            let [Some(name), Some(row)] = row.as_slice() else { continue };
            let now = (name.clone(), row.clone());
            if let Some(before) = &before {
                let order = before.0.compare(&now.0).zip(before.1.compare(&now.1));
                let rises = order.is_some_and(|(name, row)| name.then(row) != Ordering::Greater);
                ensure(rises, format!("{now:?} comes after {before:?}"))?;
            }
            before = Some(now);
        }
    }
    same("rows", &count, &SAMPLE_ROWS)
}

pub(super) async fn a_stream_may_be_dropped(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let request =
        || ScanRequest::new(columns(), everything()).with_batch_limits(NonZeroU64::MIN, MUCH);
    for _ in 0..3 {
        let mut stream = table.scan(request(), &RunContext::new()).await?;
        found("first batch", stream.next().await).map(drop)?;
        drop(stream);
        drop(table.scan(request(), &RunContext::new()));
    }
    let rows = read(&*table, request()).await?;
    same_rows("the table", &rows, &expected_cells(&Predicate::All)?)
}

pub(super) async fn a_cancelled_scan_does_not_look_complete(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    for before in [true, false] {
        let cx = RunContext::new();
        if before {
            cx.cancel.cancel();
        }
        let request =
            ScanRequest::new(columns(), everything()).with_batch_limits(NonZeroU64::MIN, MUCH);
        let reading = async {
            let mut stream = table.scan(request, &cx).await?;
            let mut rows = 0;
            while let Some(batch) = stream.try_next().await? {
                rows += batch.num_rows();
                cx.cancel.cancel();
            }
            Ok::<_, crate::Error>(rows)
        };
        match reading.await {
            Err(error) => same("the error", &error.kind(), &ErrorKind::Cancelled)?,
            // What was ready may still arrive, as long as all of it does.
            Ok(rows) => same("rows", &i64::try_from(rows).unwrap_or_default(), &SAMPLE_ROWS)?,
        }
    }
    Ok(())
}
