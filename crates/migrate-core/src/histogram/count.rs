//! Histograms of rows that a source has to count by itself.

use std::cmp::Ordering;

use arrow::array::RecordBatch;

use super::{Buckets, HistogramRequest, KeyBucket, KeyHistogram};
use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::value::{CalendarUnit, Scalar, for_each_scalar};

/// Entries that are kept before equal ones are put together.
const LOOSE_ENTRIES: usize = 1 << 16;

/// Counts rows batch by batch. What it holds grows with the distinct keys, not with the rows: about
/// 100 bytes for each.
#[derive(Debug)]
pub struct RowCounter<'a> {
    request: HistogramRequest<'a>,
    entries: Vec<Entry>,
    /// Entries at which equal ones are put together again.
    limit: usize,
}

impl<'a> RowCounter<'a> {
    /// Has counted nothing yet.
    pub fn new(request: HistogramRequest<'a>) -> Self {
        Self { request, entries: Vec::new(), limit: LOOSE_ENTRIES }
    }

    /// Counts the rows of a batch, which the filter of the request has let through.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a batch without the columns of the keys, `Unsupported` for columns that
    /// have no order.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut groups = vec![Vec::new(); batch.num_rows()];
        for key in self.request.within {
            let values = scalars(batch, key)?;
            groups.iter_mut().zip(values).for_each(|(group, value)| group.push(key.read(value)));
        }
        let key = self.request.key;
        for (group, value) in groups.into_iter().zip(scalars(batch, key)?) {
            let is_null = value.is_none();
            self.entries.push(Entry { group, key: key.read(value), is_null, rows: 1 });
        }
        if self.entries.len() >= self.limit {
            self.put_together();
            self.limit = LOOSE_ENTRIES.max(self.entries.len() * 2);
        }
        Ok(())
    }

    /// The histograms, in the order of the values that they are taken within.
    pub fn finish(mut self) -> Vec<KeyHistogram> {
        self.put_together();
        self.entries
            .chunk_by(|left, right| left.order_of_groups(right).is_eq())
            .filter(|entries| {
                let rows: u64 = entries.iter().map(|entry| entry.rows).sum();
                self.request.groups_above.is_none_or(|least| rows > least.get())
            })
            .map(|entries| self.histogram(entries))
            .collect()
    }

    /// Sorts, and makes one entry of equal ones.
    fn put_together(&mut self) {
        self.entries.sort_unstable_by(Entry::order);
        self.entries.dedup_by(|later, kept| {
            let is_equal = kept.order(later).is_eq();
            if is_equal {
                kept.rows += later.rows;
            }
            is_equal
        });
    }

    /// Of the entries of one group, in order.
    fn histogram(&self, entries: &[Entry]) -> KeyHistogram {
        let present = entries.partition_point(|entry| entry.key.is_some());
        let (keyed, keyless) = entries.split_at(present);
        let unreadable = keyless.iter().filter(|entry| !entry.is_null);
        let mut histogram = KeyHistogram {
            within: entries.first().map(|entry| entry.group.clone()).unwrap_or_default(),
            nulls: keyless.iter().map(|entry| entry.rows).sum(),
            unreadable: unreadable.map(|entry| entry.rows).sum(),
            buckets: Vec::new(),
        };
        let runs: Vec<Run<'_>> = keyed
            .chunk_by(|left, right| left.order_of_keys(right).is_eq())
            .filter_map(|ties| {
                let rows = ties.iter().map(|entry| entry.rows).sum();
                Some(Run { key: ties.first()?.key.as_ref()?, rows })
            })
            .collect();
        match self.request.buckets {
            Buckets::Each(unit) => {
                let starts =
                    runs.chunk_by(|left, right| unit.start(left.key) == unit.start(right.key));
                histogram.buckets.extend(starts.filter_map(|together| {
                    let first = unit.start(together.first()?.key)?;
                    let rows = together.iter().map(|run| run.rows).sum();
                    Some(KeyBucket { first, rows, is_single: false })
                }));
            }
            buckets => self.divide(&runs, buckets.units(), None, &mut histogram.buckets),
        }
        histogram
    }

    /// Appends the buckets of neighbouring keys, which may begin at `units`.
    fn divide(
        &self,
        runs: &[Run<'_>],
        units: &[CalendarUnit],
        start: Option<&Scalar>,
        into: &mut Vec<KeyBucket>,
    ) {
        let Some((unit, finer)) = units.split_first() else {
            return self.divide_evenly(runs, start, into);
        };
        for together in runs.chunk_by(|left, right| unit.start(left.key) == unit.start(right.key)) {
            let rows = together.iter().map(|run| run.rows).sum();
            let start = together.first().and_then(|run| unit.start(run.key));
            match start {
                Some(first) if rows <= self.request.depth_rows.get() => {
                    into.push(KeyBucket { first, rows, is_single: false });
                }
                start => self.divide(together, finer, start.as_ref(), into),
            }
        }
    }

    fn divide_evenly(&self, runs: &[Run<'_>], start: Option<&Scalar>, into: &mut Vec<KeyBucket>) {
        let mut last = None;
        let mut rank = 0;
        for run in runs {
            let is_single = run.rows > self.request.depth_rows.get();
            let number = Some((rank / self.request.depth_rows, is_single));
            match into.last_mut() {
                Some(bucket) if number == last => bucket.rows += run.rows,
                _ => {
                    let first = start.filter(|_| rank == 0 && !is_single).unwrap_or(run.key);
                    into.push(KeyBucket { first: first.clone(), rows: run.rows, is_single });
                }
            }
            last = number;
            rank += run.rows;
        }
    }
}

/// Rows that are alike, as far as they are counted.
#[derive(Debug)]
struct Entry {
    group: Vec<Option<Scalar>>,
    key: Option<Scalar>,
    /// Whether the column itself is NULL.
    is_null: bool,
    rows: u64,
}

impl Entry {
    fn order(&self, other: &Self) -> Ordering {
        self.order_of_groups(other)
            .then_with(|| self.order_of_keys(other))
            .then_with(|| self.is_null.cmp(&other.is_null))
    }

    fn order_of_groups(&self, other: &Self) -> Ordering {
        Scalar::compare_lists(&self.group, &other.group)
    }

    fn order_of_keys(&self, other: &Self) -> Ordering {
        Scalar::compare_nulls_last(self.key.as_ref(), other.key.as_ref())
    }
}

/// A key and its rows.
struct Run<'a> {
    key: &'a Scalar,
    rows: u64,
}

fn scalars(batch: &RecordBatch, key: &Key) -> Result<Vec<Option<Scalar>>> {
    let array = batch.column_by_name(key.column.as_str()).ok_or_else(|| {
        Error::new(ErrorKind::SchemaMismatch, format!("The batch has no column {}", key.column))
            .with_hint("read the columns of the keys")
    })?;
    let mut values = Vec::with_capacity(batch.num_rows());
    for_each_scalar(array, &key.column, |value| {
        values.push(value);
        Ok(())
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, TimestampMicrosecondArray};

    use super::*;

    fn depth(rows: u64) -> NonZeroU64 {
        NonZeroU64::new(rows).expect("not zero")
    }

    fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .expect("columns of one length")
    }

    fn buckets(histogram: &KeyHistogram) -> Vec<(String, u64, bool)> {
        let buckets = histogram.buckets.iter();
        buckets.map(|one| (one.first.to_string(), one.rows, one.is_single)).collect()
    }

    fn bucket(first: &str, rows: u64, is_single: bool) -> (String, u64, bool) {
        (first.to_owned(), rows, is_single)
    }

    #[test]
    fn buckets_are_of_even_depth_and_a_crowded_key_is_alone() {
        let keys = [1, 2, 2, 2, 2, 3, 4, 5].map(Some).into_iter().chain([None]);
        let rows = batch([("k", Arc::new(keys.collect::<Int64Array>()))]);
        let key = "k".into();
        let found = HistogramRequest::new(&key, depth(2)).count(&[rows]).expect("counts");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].nulls, found[0].unreadable), (1, 0));
        let expected = [
            bucket("1", 1, false),
            bucket("2", 4, true),
            bucket("3", 1, false),
            bucket("4", 2, false),
        ];
        assert_eq!(buckets(&found[0]), expected);
    }

    #[test]
    fn days_come_in_the_longest_unit_that_fits() {
        // 1969: 2 days; January 2024: 2 days; 3 February 2024: 5 rows; 4 February: 1 row.
        let days = [-2, -1, 19_723, 19_724, 19_756, 19_756, 19_756, 19_756, 19_756, 19_757];
        let rows = batch([("k", Arc::new(Date32Array::from(days.to_vec())))]);
        let key = "k".into();
        let request = HistogramRequest::new(&key, depth(3)).with_buckets(Buckets::Days);
        let expected = [
            bucket("1969-01-01", 2, false),
            bucket("2024-01-01", 2, false),
            bucket("2024-02-03", 5, true),
            bucket("2024-02-04", 1, false),
        ];
        assert_eq!(buckets(&request.count(&[rows]).expect("counts")[0]), expected);
    }

    #[test]
    fn each_unit_with_rows_can_be_a_bucket() {
        let rows = batch([("k", Arc::new(Date32Array::from(vec![-1, 0, 1, 31, 31, 400])))]);
        let key = "k".into();
        let months = Buckets::Each(CalendarUnit::Month);
        let request = HistogramRequest::new(&key, depth(1)).with_buckets(months);
        let expected = [
            bucket("1969-12-01", 1, false),
            bucket("1970-01-01", 2, false),
            bucket("1970-02-01", 2, false),
            bucket("1971-02-01", 1, false),
        ];
        assert_eq!(buckets(&request.count(&[rows]).expect("counts")[0]), expected);
    }

    #[test]
    fn a_crowded_hour_is_cut_inside() {
        let seconds = [0, 5, 6, 7, 7, 7, 3_600, 7_200];
        let micros = seconds.map(|second: i64| (second - 3_600) * 1_000_000);
        let rows = batch([("k", Arc::new(TimestampMicrosecondArray::from(micros.to_vec())))]);
        let key = "k".into();
        let request = HistogramRequest::new(&key, depth(2)).with_buckets(Buckets::Hours);
        let expected = [
            bucket("1969-12-31 23:00:00", 2, false),
            bucket("1969-12-31 23:00:06", 1, false),
            bucket("1969-12-31 23:00:07", 3, true),
            bucket("1970-01-01 00:00:00", 2, false),
        ];
        assert_eq!(buckets(&request.count(&[rows]).expect("counts")[0]), expected);
    }

    #[test]
    fn each_combination_of_outer_values_has_its_own() {
        let outer = Arc::new(Int64Array::from(vec![Some(7), None, Some(7), None, Some(3)]));
        let inner = Arc::new(Int64Array::from(vec![Some(2), Some(9), Some(1), None, Some(5)]));
        let rows = batch([("o", outer), ("i", inner)]);
        let (within, key) = (["o".into()], "i".into());
        let request = HistogramRequest::new(&key, depth(1)).within(&within);
        let found = request.count(&[rows]).expect("counts");
        let groups: Vec<_> = found.iter().map(|one| (one.within.clone(), one.nulls)).collect();
        assert_eq!(groups, [(vec![Some(3.into())], 0), (vec![Some(7.into())], 0), (vec![None], 1)]);
        assert_eq!(buckets(&found[1]), [bucket("1", 1, false), bucket("2", 1, false)]);
    }

    #[test]
    fn only_groups_above_the_wanted_rows_are_told_of() {
        let outer = Arc::new(Int64Array::from(vec![Some(7), None, Some(7), None, Some(3), None]));
        let inner =
            Arc::new(Int64Array::from(vec![Some(2), Some(9), Some(1), None, Some(5), None]));
        let rows = batch([("o", outer), ("i", inner)]);
        let (within, key) = (["o".into()], "i".into());
        let request = HistogramRequest::new(&key, depth(1)).within(&within);
        for (above, expected) in [(1, vec![Some(7.into()), None]), (2, vec![None]), (3, vec![])] {
            let request = request.with_groups_above(Some(depth(above)));
            let found = request.count(std::slice::from_ref(&rows)).expect("counts");
            let groups: Vec<_> = found.into_iter().flat_map(|one| one.within).collect();
            assert_eq!(groups, expected, "more than {above}");
        }
    }

    #[test]
    fn what_is_held_grows_with_the_keys_and_not_with_the_rows() {
        let keys = (0..10_000).map(|row| (row % 8 > 0).then_some(row % 8));
        let rows = batch([("k", Arc::new(keys.collect::<Int64Array>()))]);
        let key = "k".into();
        let mut counter = RowCounter::new(HistogramRequest::new(&key, depth(1)));
        for _ in 0..40 {
            counter.add(&rows).expect("counts");
            assert!(counter.entries.len() <= LOOSE_ENTRIES + 10_000);
        }
        let found = counter.finish();
        assert_eq!((found[0].nulls, found[0].buckets.len()), (50_000, 7));
        assert!(found[0].buckets.iter().all(|bucket| bucket.rows == 50_000 && bucket.is_single));
    }
}
