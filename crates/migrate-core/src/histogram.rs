//! How the rows of a table are spread over a key.
//!
//! The definition is here, in terms that a database can compute in one statement and that this
//! module computes itself for sources without a query language; both must agree to the row, because
//! the counts become the expected rows of chunks.

use std::cmp::Ordering;
use std::num::NonZeroU64;

use arrow::array::RecordBatch;

use crate::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::predicate::Predicate;
use crate::value::{CalendarUnit, Scalar, for_each_scalar};

/// Where buckets may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Buckets {
    /// At any key: the bucket of a key is the number of rows before it, divided by the depth and
    /// rounded down.
    #[default]
    Even,
    /// At days, for dates: each key is in the longest of its year, month and day that has at most
    /// `depth` rows.
    Days,
    /// The same for times down to the hour; the rows of an hour with more are in even buckets
    /// within it.
    Hours,
    /// At each start of a unit in which there are rows, however many they are: for strategies that
    /// follow the calendar and not the rows.
    Each(CalendarUnit),
}

impl Buckets {
    /// The units of the calendar from which the rows choose, the longest first.
    pub const fn units(self) -> &'static [CalendarUnit] {
        use CalendarUnit::{Day, Hour, Month, Year};
        match self {
            Self::Even | Self::Each(_) => &[],
            Self::Days => &[Year, Month, Day],
            Self::Hours => &[Year, Month, Day, Hour],
        }
    }
}

/// Which histograms are wanted.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HistogramRequest<'a> {
    /// Keys whose every combination of values gets a histogram of its own; none for one over all.
    pub within: &'a [Key],
    /// The key.
    pub key: &'a Key,
    /// Where buckets may begin.
    pub buckets: Buckets,
    /// Most rows of a bucket, unless there are ties: all rows of one key are in one bucket.
    pub depth_rows: NonZeroU64,
    /// Which rows.
    pub filter: &'a Predicate,
}

impl<'a> HistogramRequest<'a> {
    /// One histogram of all rows, in even buckets.
    pub fn new(key: &'a Key, depth_rows: NonZeroU64) -> Self {
        Self { within: &[], key, buckets: Buckets::Even, depth_rows, filter: &Predicate::All }
    }

    /// Asks for a histogram for each combination of values of these keys.
    #[must_use]
    pub fn within(mut self, keys: &'a [Key]) -> Self {
        self.within = keys;
        self
    }

    /// Sets where buckets may begin.
    #[must_use]
    pub fn with_buckets(mut self, buckets: Buckets) -> Self {
        self.buckets = buckets;
        self
    }

    /// Sets which rows are counted.
    #[must_use]
    pub fn with_filter(mut self, filter: &'a Predicate) -> Self {
        self.filter = filter;
        self
    }

    /// Counts rows that are at hand, already filtered: for sources without a query language.
    ///
    /// # Errors
    ///
    /// `SchemaMismatch` for a batch without the columns of the keys, `Unsupported` for columns that
    /// have no order.
    pub fn count(&self, rows: &[RecordBatch]) -> Result<Vec<KeyHistogram>> {
        let mut sorted = Vec::new();
        for batch in rows {
            let mut groups = vec![Vec::new(); batch.num_rows()];
            for key in self.within {
                let values = scalars(batch, key)?;
                groups
                    .iter_mut()
                    .zip(values)
                    .for_each(|(group, value)| group.push(key.read(value)));
            }
            for (group, value) in groups.into_iter().zip(scalars(batch, self.key)?) {
                let is_null = value.is_none();
                sorted.push(Row { group, key: self.key.read(value), is_null });
            }
        }
        sorted.sort_by(|left, right| {
            let groups = left.group.iter().zip(&right.group);
            groups
                .map(|(left, right)| nulls_last(left.as_ref(), right.as_ref()))
                .find(|order| order.is_ne())
                .unwrap_or_else(|| nulls_last(left.key.as_ref(), right.key.as_ref()))
        });
        Ok(sorted
            .chunk_by(|left, right| left.group == right.group)
            .map(|rows| self.histogram(rows))
            .collect())
    }

    /// Of the rows of one group, in order.
    fn histogram(&self, rows: &[Row]) -> KeyHistogram {
        let present = rows.partition_point(|row| row.key.is_some());
        let (keyed, keyless) = rows.split_at(present);
        let mut histogram = KeyHistogram {
            within: rows.first().map(|row| row.group.clone()).unwrap_or_default(),
            nulls: keyless.len() as u64,
            unreadable: keyless.iter().filter(|row| !row.is_null).count() as u64,
            buckets: Vec::new(),
        };
        let runs: Vec<Run<'_>> = keyed
            .chunk_by(|left, right| left.key == right.key)
            .filter_map(|ties| Some((ties.first()?.key.as_ref()?, ties.len() as u64)))
            .map(|(key, rows)| Run { key, rows })
            .collect();
        match self.buckets {
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
                Some(first) if rows <= self.depth_rows.get() => {
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
            let is_single = run.rows > self.depth_rows.get();
            let number = Some((rank / self.depth_rows, is_single));
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

/// One row, as far as it is counted.
struct Row {
    group: Vec<Option<Scalar>>,
    key: Option<Scalar>,
    /// Whether the column itself is NULL.
    is_null: bool,
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

/// Keys of one column are of one kind, so they have an order.
fn nulls_last(left: Option<&Scalar>, right: Option<&Scalar>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => left.compare(right).unwrap_or(Ordering::Equal),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

/// Rows per range of a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeyHistogram {
    /// The values of the keys that it is taken within, in their order.
    pub within: Vec<Option<Scalar>>,
    /// Rows without a key.
    pub nulls: u64,
    /// Those of them whose column is not NULL: texts that hold no number.
    pub unreadable: u64,
    /// Ascending; each reaches from its first key up to the next bucket's.
    pub buckets: Vec<KeyBucket>,
}

impl KeyHistogram {
    /// All rows.
    pub fn row_count(&self) -> u64 {
        self.nulls + self.buckets.iter().map(|bucket| bucket.rows).sum::<u64>()
    }
}

/// One bucket of a [`KeyHistogram`].
#[derive(Debug, Clone, PartialEq)]
pub struct KeyBucket {
    /// Where it begins: at its smallest key, or, if it has several keys, at the unit of the calendar
    /// in which they lie.
    pub first: Scalar,
    /// Rows in it.
    pub rows: u64,
    /// Whether all of them have one key, which has more rows than the depth.
    pub is_single: bool,
}

#[cfg(test)]
mod tests {
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
        assert_eq!((found[0].nulls, found[0].unreadable, found[0].row_count()), (1, 0, 9));
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
}
