//! What is to be done with one table.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use migrate_core::{
    BadRows, ChunkingStrategy, ColumnChoices, ColumnName, Predicate, Sink, Source, StatusStore,
    TableRef, TableRequest, WriteMode,
};

use crate::chunk_column::ChunkColumn;
use crate::window::Watermark;

/// One table to copy, with its settings. Start from [`TableJob::copy`] and add with `with_*`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableJob {
    /// Where rows come from.
    pub from: TableRef,
    /// Where they go.
    pub to: TableRef,
    /// The user's name for the source, for status tables.
    pub source_name: String,
    /// The source; the migration's own where absent.
    pub source: Option<Arc<dyn Source>>,
    /// The sink; the migration's own where absent.
    pub sink: Option<Arc<dyn Sink>>,
    /// The ledger of the sink's database; the migration's own where absent.
    pub status: Option<Arc<dyn StatusStore>>,
    /// Which rows.
    pub filter: Predicate,
    /// Which of them are new, where only those are read.
    pub watermark: Option<Watermark>,
    /// Names that differ, and what becomes of values that the target cannot hold as they are.
    pub columns: ColumnChoices,
    /// Whether a missing target is created.
    pub creation: CreationPolicy,
    /// How rows enter the target.
    pub mode: WriteMode,
    /// Whether the target is emptied first.
    pub truncate: bool,
    /// Whether indexes, constraints and triggers are set aside for the load.
    pub sets_aside: bool,
    /// What to do with a target that has rows already, when they are appended to.
    pub on_nonempty: NonemptyPolicy,
    /// Whether all chunks must read one moment of the source.
    pub snapshot: SnapshotPolicy,
    /// What to do when values would change.
    pub fidelity: FidelityPolicy,
    /// What to do with rows that the target refuses.
    pub bad_rows: BadRowPolicy,
    /// How the table is cut; one chunk where absent.
    pub strategy: Option<Arc<dyn ChunkingStrategy>>,
    /// The columns to cut by, the most significant first.
    pub chunk_columns: Vec<ChunkColumn>,
    /// A column that will do for cutting where nothing better is known, such as a watermark.
    pub chunk_fallback: Option<ColumnName>,
    /// Columns by which the rows of a chunk arrive in order; none for any order.
    pub order: Vec<ColumnName>,
    /// Rows to aim at per chunk; where absent, 250,000 or 64 MiB, whichever is less.
    pub chunk_rows: Option<NonZeroU64>,
    /// Most workers at this table at once; all of them where absent.
    pub max_workers: Option<NonZeroU32>,
    /// Tries per chunk in one invocation; 3 unless set.
    pub max_attempts: NonZeroU32,
    /// Identity of everything that decides the data; derived from the settings where absent.
    pub fingerprint: Option<String>,
}

/// What to do with a target that has rows already, when they are appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NonemptyPolicy {
    /// Stop: a second copy of the rows would not be noticed.
    #[default]
    Refuse,
    /// Append.
    Append,
}

/// Whether a missing target is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreationPolicy {
    /// A missing target is an error: more often than a wish it is a mistyped name.
    #[default]
    Never,
    /// It is created by the columns of the source.
    IfMissing,
}

/// Whether all chunks must read one moment of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnapshotPolicy {
    /// Where the source can; the plan says when it cannot.
    #[default]
    Prefer,
    /// Stop where the source cannot.
    Require,
    /// Read the changing present.
    Off,
}

/// What to do when values would change on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FidelityPolicy {
    /// Stop before the first row.
    #[default]
    Strict,
    /// Say so in the plan and go on.
    Warn,
}

/// What to do with rows that the target refuses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum BadRowPolicy {
    /// The chunk fails.
    #[default]
    Fail,
    /// They are set aside, up to a limit; the smaller one where both are given, 1,000 rows of the
    /// table where none is.
    Quarantine {
        /// Rows per table and run.
        most_rows: Option<u64>,
        /// A part of the rows that the plan expects, from 0 to 1, rounded down.
        most_fraction: Option<f64>,
    },
}

/// Rows that are set aside where nobody says how many may be. Whoever wants more has looked at them.
const MOST_BAD_ROWS: u64 = 1000;

impl BadRowPolicy {
    /// The limit in rows, for a table of which so many are expected. A part of an unknown number is no
    /// limit, so the default takes its place.
    pub(crate) fn settled(self, expected_rows: Option<u64>) -> BadRows {
        let Self::Quarantine { most_rows, most_fraction } = self else { return BadRows::Fail };
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of a count of rows, which is rounded down anyway"
        )]
        let part = |(fraction, rows): (f64, u64)| (rows as f64 * fraction).floor() as u64;
        let fraction = most_fraction.zip(expected_rows).map(part);
        let limit = most_rows.into_iter().chain(fraction).min().unwrap_or(MOST_BAD_ROWS);
        BadRows::Quarantine { most_rows: limit }
    }
}

impl TableJob {
    /// Copies all rows of a table, appending them to an empty one.
    pub fn copy(from: TableRef, to: TableRef) -> Self {
        const ATTEMPTS: NonZeroU32 = NonZeroU32::new(3).expect("not zero");
        Self {
            from,
            to,
            source_name: "default".into(),
            source: None,
            sink: None,
            status: None,
            filter: Predicate::All,
            watermark: None,
            columns: ColumnChoices::default(),
            creation: CreationPolicy::default(),
            mode: WriteMode::Copy,
            truncate: false,
            sets_aside: false,
            on_nonempty: NonemptyPolicy::default(),
            snapshot: SnapshotPolicy::default(),
            fidelity: FidelityPolicy::default(),
            bad_rows: BadRowPolicy::default(),
            strategy: None,
            chunk_columns: Vec::new(),
            chunk_fallback: None,
            order: Vec::new(),
            chunk_rows: None,
            max_workers: None,
            max_attempts: ATTEMPTS,
            fingerprint: None,
        }
    }

    /// Sets how the table is cut, and by which columns.
    #[must_use]
    pub fn with_chunking(
        mut self,
        strategy: Arc<dyn ChunkingStrategy>,
        keys: impl IntoIterator<Item = ColumnName>,
    ) -> Self {
        self.strategy = Some(strategy);
        self.chunk_columns = keys.into_iter().map(ChunkColumn::from).collect();
        self
    }

    /// Sets the rows to aim at per chunk.
    #[must_use]
    pub fn with_chunk_rows(mut self, rows: NonZeroU64) -> Self {
        self.chunk_rows = Some(rows);
        self
    }

    /// Empties the target first.
    #[must_use]
    pub fn with_truncate(mut self) -> Self {
        self.truncate = true;
        self
    }

    /// Sets which rows are copied.
    #[must_use]
    pub fn with_filter(mut self, filter: Predicate) -> Self {
        self.filter = filter;
        self
    }

    /// What the ledger is asked for.
    pub(crate) fn request(&self) -> TableRequest {
        TableRequest {
            source_name: self.source_name.clone(),
            source: self.from.clone(),
            target: self.to.clone(),
            fingerprint: self.fingerprint.clone().unwrap_or_else(|| self.own_fingerprint()),
        }
    }

    /// What decides the data, as text. Sizes, limits and cuts do not: a stored plan keeps them.
    fn own_fingerprint(&self) -> String {
        format!(
            "v1 {} {} {} {:?} {:?} {} {:?}",
            self.from, self.to, self.filter, self.columns, self.mode, self.truncate, self.watermark
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_limit_holds_and_without_any_there_is_one() {
        let limit = |most_rows, most_fraction, expected| {
            let policy = BadRowPolicy::Quarantine { most_rows, most_fraction };
            match policy.settled(expected) {
                BadRows::Quarantine { most_rows } => most_rows,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(limit(Some(7), Some(0.5), Some(100)), 7);
        assert_eq!(limit(Some(70), Some(0.5), Some(101)), 50);
        assert_eq!(limit(None, Some(0.001), Some(999)), 0);
        assert_eq!(limit(Some(0), None, None), 0);
        assert_eq!(limit(Some(5_000_000), None, Some(10)), 5_000_000);
        assert_eq!(limit(None, None, Some(1_000_000)), 1000);
        assert_eq!(limit(None, Some(0.5), None), 1000, "a part of nobody knows what");
        assert_eq!(limit(None, Some(1.0), Some(10_u64.pow(9))), 10_u64.pow(9));
        assert_eq!(BadRowPolicy::Fail.settled(Some(1)), BadRows::Fail);
    }
}
