//! How the rows of a table are spread over a key.
//!
//! The definition is here, in terms that a database can compute in one statement and that this
//! module computes itself for sources without a query language; both must agree to the row, because
//! the counts become the expected rows of chunks.

mod count;

use std::num::NonZeroU64;

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::key::Key;
use crate::predicate::Predicate;
use crate::value::{CalendarUnit, Scalar};

pub use count::RowCounter;

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
    /// Only combinations of values with more rows than this get a histogram; all where absent.
    pub groups_above: Option<NonZeroU64>,
}

impl<'a> HistogramRequest<'a> {
    /// One histogram of all rows, in even buckets.
    pub fn new(key: &'a Key, depth_rows: NonZeroU64) -> Self {
        Self {
            within: &[],
            key,
            buckets: Buckets::Even,
            depth_rows,
            filter: &Predicate::All,
            groups_above: None,
        }
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

    /// Sets that only combinations of values with more rows than this get a histogram.
    #[must_use]
    pub fn with_groups_above(mut self, rows: Option<NonZeroU64>) -> Self {
        self.groups_above = rows;
        self
    }

    /// Counts rows that are at hand, already filtered: for sources without a query language.
    ///
    /// # Errors
    ///
    /// As [`RowCounter::add`].
    pub fn count(&self, rows: &[RecordBatch]) -> Result<Vec<KeyHistogram>> {
        let mut counter = RowCounter::new(*self);
        for batch in rows {
            counter.add(batch)?;
        }
        Ok(counter.finish())
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
