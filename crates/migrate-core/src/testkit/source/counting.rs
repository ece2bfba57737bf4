//! Counts, histograms and the greatest value.

use std::num::NonZeroU64;

use super::{SourceFixture, columns, everything, expected, open, read};
use crate::error::ErrorKind;
use crate::greatest::Greatest;
use crate::histogram::{Buckets, HistogramRequest, KeyHistogram};
use crate::key::{Canonical, Key};
use crate::predicate::Predicate;
use crate::source::ScanRequest;
use crate::testkit::{Kept, ensure, same};
use crate::value::CalendarUnit;

pub(super) async fn a_count_is_the_number_of_rows_streamed(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let some = Predicate::range("id", Some(0.into()), Some(100.into()));
    for filter in [Predicate::All, some, Predicate::is_null("day")] {
        let count = table.count(&filter).await?;
        let request = ScanRequest::new(columns(), everything())
            .with_filter(filter.clone())
            .with_expected_rows(Some(count));
        let rows = read(&*table, request).await?;
        same(&format!("rows where {filter}"), &(rows.len() as u64), &count)?;
    }
    Ok(())
}

pub(super) async fn a_histogram_is_exact(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let depth = |rows| NonZeroU64::new(rows).unwrap_or(NonZeroU64::MIN);
    let (id, name, day) = (Key::column("id"), Key::column("name"), Key::column("day"));
    let (number, hash) = (Key::number_in("name"), Key::hash_of("id", Canonical::Integer));
    let within = [name.clone()];
    let filter = Predicate::range("id", Some(0.into()), Some(300.into()));
    let nothing = Predicate::In { column: "id".into(), values: Vec::new() };
    let requests = [
        HistogramRequest::new(&id, depth(10)),
        HistogramRequest::new(&id, depth(1)),
        HistogramRequest::new(&id, depth(1_000)).with_filter(&filter),
        HistogramRequest::new(&id, depth(10)).with_filter(&nothing),
        HistogramRequest::new(&name, depth(20)),
        HistogramRequest::new(&number, depth(5)),
        HistogramRequest::new(&hash, depth(20)),
        HistogramRequest::new(&day, depth(20)).with_buckets(Buckets::Days),
        HistogramRequest::new(&day, depth(20)).with_buckets(Buckets::Each(CalendarUnit::Month)),
        HistogramRequest::new(&id, depth(10)).within(&within),
        HistogramRequest::new(&id, depth(10)).within(&within).with_groups_above(Some(depth(20))),
    ];
    for request in requests {
        let mut found = match table.histograms(&request).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => continue,
            answer => answer?,
        };
        let mut wanted = request.count(&[expected(request.filter)?])?;
        let by_group = |histogram: &KeyHistogram| format!("{:?}", histogram.within);
        found.sort_by_key(by_group);
        wanted.sort_by_key(by_group);
        // A database answers with no group where there is no row.
        let rows = |histogram: &KeyHistogram| {
            histogram.nulls + histogram.buckets.iter().map(|bucket| bucket.rows).sum::<u64>()
        };
        found.retain(|histogram| rows(histogram) > 0);
        wanted.retain(|histogram| rows(histogram) > 0);
        let what = format!("by {} at {} rows", request.key, request.depth_rows);
        same(&what, &found, &wanted)?;
    }
    Ok(())
}

pub(super) async fn the_greatest_value_is_found_or_refused(fixture: &dyn SourceFixture) -> Kept {
    let table = open(fixture).await?;
    let some = Predicate::range("id", None, Some(100.into()));
    let nothing = Predicate::In { column: "id".into(), values: Vec::new() };
    for filter in [Predicate::All, some, nothing] {
        for column in ["id", "day", "row"] {
            let found = match table.greatest(&column.into(), &filter).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    ensure(error.hint().is_some(), "the error has no hint")?;
                    continue;
                }
                answer => answer?,
            };
            let mut wanted = Greatest::default();
            let rows = expected(&filter)?;
            if let Some(array) = rows.column_by_name(column) {
                wanted.add(array, &column.into())?;
            }
            same(&format!("the greatest {column} where {filter}"), &found, &wanted)?;
        }
    }
    Ok(())
}
