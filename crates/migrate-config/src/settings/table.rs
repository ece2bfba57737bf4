//! What is moved, and how: one table with everything that it inherits.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use migrate_core::{ColumnName, TableRef};
use serde::Serialize;

use crate::defaults;
use crate::options::Options;
use crate::settings::policy::{
    CreateTable, DeclaredType, Fidelity, OnBadRow, OnFraction, OnNonempty, OnNonjson, OnNul,
    Replace, SnapshotPolicy, WatermarkLow, WatermarkNulls,
};
use crate::settings::seconds;
use crate::settings::source::SourceKind;

/// One enabled table of an enabled source.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TableConfig {
    /// Its place in the file, such as `sources[0].tables[3]`.
    pub path: String,
    /// The name of its source.
    pub source_name: String,
    /// What its source is.
    pub source_kind: SourceKind,
    /// The table in the source, with database and schema where the source has them. For files, the
    /// name or pattern as written.
    pub source: TableRef,
    /// The table in the target.
    pub target: TableRef,
    /// Which rows, in the source's own SQL; `None` for all.
    pub source_filter: Option<String>,
    /// The same rows in the target's SQL, for verification; `None` where nobody wrote it.
    pub target_filter: Option<String>,
    /// Columns to cut chunks by; names of the source.
    pub chunking_columns: Vec<ChunkingColumn>,
    /// What makes a row unique; names of the target. Empty for none.
    pub uniqueness_columns: Vec<ColumnName>,
    /// Order within a chunk; names of the source. Empty for no order.
    pub sort_columns: Vec<ColumnName>,
    /// Which rows are new; `None` for a full load, which truncation and replacement always are.
    pub watermark: Option<Watermark>,
    /// Columns whose names differ: source to target.
    pub column_mapping: BTreeMap<ColumnName, ColumnName>,
    /// Columns with policies of their own, by their names in the source.
    pub column_policies: BTreeMap<ColumnName, ColumnPolicy>,
    /// Everything that may also stand at the source or at the top.
    #[serde(flatten)]
    pub settings: TableSettings,
}

/// The policies of one column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ColumnPolicy {
    /// Its own words where it has some, those of the table where it has none.
    #[serde(flatten)]
    pub values: ValueSettings,
    /// The column of the target that keeps the offsets of these times.
    pub offset_column: Option<ColumnName>,
}

/// What happens to values that the target cannot hold as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValueSettings {
    /// Digits of a second that the target does not keep; `None` cuts what PostgreSQL keeps in no
    /// column (beyond microseconds), and refuses what only the column at hand does not keep.
    pub on_fraction: Option<OnFraction>,
    /// U+0000 in texts.
    pub on_nul: OnNul,
    /// What JSON has no word for.
    pub on_nonjson: OnNonjson,
}

impl TableConfig {
    /// How rows reach the target.
    pub fn load_mode(&self) -> LoadMode {
        let settings = &self.settings;
        if settings.replace == Replace::Atomic {
            LoadMode::Replace
        } else if settings.truncate_onstart {
            LoadMode::Truncate
        } else if settings.insert_only_mode {
            LoadMode::InsertOnly
        } else if self.uniqueness_columns.is_empty() {
            LoadMode::Append
        } else {
            LoadMode::Upsert
        }
    }

    /// When rows without a watermark are read: as written, or else always with keys (writing them
    /// again does no harm) and in the first load without.
    pub fn watermark_nulls(&self) -> Option<WatermarkNulls> {
        let by_keys = if self.uniqueness_columns.is_empty() {
            WatermarkNulls::FirstLoad
        } else {
            WatermarkNulls::Always
        };
        self.watermark.as_ref().map(|watermark| watermark.nulls.unwrap_or(by_keys))
    }
}

/// How rows reach the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LoadMode {
    /// Rows are added.
    Append,
    /// Rows are added or, where their key is there, updated.
    Upsert,
    /// Rows are added; those whose key is there are skipped.
    InsertOnly,
    /// The target is emptied first; watermarks and keys play no part.
    Truncate,
    /// A full load is swapped in at the end; watermarks and keys play no part.
    Replace,
}

impl LoadMode {
    /// Whether all rows of the target are renewed, so that watermarks and keys play no part.
    pub const fn is_full_load(self) -> bool {
        matches!(self, Self::Truncate | Self::Replace)
    }
}

/// A column to cut chunks by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChunkingColumn {
    /// Its name in the source.
    pub name: ColumnName,
    /// Its type as the user declares it.
    pub declared: Option<DeclaredType>,
}

/// How new rows are recognised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Watermark {
    /// The column in the source.
    pub source: ColumnName,
    /// The column in the target.
    pub target: ColumnName,
    /// Where the lower bound comes from.
    pub low: WatermarkLow,
    /// When rows without a watermark are read; `None` decides by the keys, see
    /// [`TableConfig::watermark_nulls`].
    pub nulls: Option<WatermarkNulls>,
    /// How far below the lower bound reading starts.
    #[serde(rename = "overlap_seconds", serialize_with = "seconds")]
    pub overlap: Duration,
}

impl Default for ValueSettings {
    fn default() -> Self {
        Self { on_fraction: None, on_nul: defaults::ON_NUL, on_nonjson: defaults::ON_NONJSON }
    }
}

/// What a table inherits: its own value, else that of its source, else the one at the top, else the
/// default.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TableSettings {
    /// Most workers on this table at a time; `None` for as many as the process has.
    pub parallel_threads: Option<NonZeroU16>,
    /// Rows to aim for in a chunk; `None` for automatic.
    pub batch_size: Option<NonZeroU64>,
    /// Rows to aim for in a chunk that is only copied; `None` for `batch_size`.
    pub batch_size_copy_mode: Option<NonZeroU64>,
    /// Rows whose key is in the target are skipped, not updated.
    pub insert_only_mode: bool,
    /// Tries of one chunk, the first one included.
    pub max_retry_attempts: NonZeroU32,
    /// The target is emptied before the load.
    pub truncate_onstart: bool,
    /// Indexes are dropped for the load and built again after it.
    pub disable_index: bool,
    /// Whether all chunks read one frozen state.
    pub snapshot: SnapshotPolicy,
    /// What happens to columns that may not fit exactly.
    pub fidelity: Fidelity,
    /// What happens to values that the target cannot hold as they are.
    #[serde(flatten)]
    pub values: ValueSettings,
    /// What happens to rows that the target refuses.
    pub on_bad_row: OnBadRow,
    /// More rows set aside than this fail the table; without it and `max_bad_fraction`, 1,000.
    pub max_bad_rows: Option<u64>,
    /// A larger part of the planned rows set aside than this (0 to 1) fails the table; the smaller
    /// limit holds.
    pub max_bad_fraction: Option<f64>,
    /// Whether a missing target table is created.
    pub create_table: CreateTable,
    /// Whether the load is swapped in at the end.
    pub replace: Replace,
    /// What happens when rows are to be appended to a target that has some.
    pub on_nonempty: OnNonempty,
    /// How chunks are cut; `None` for automatic.
    pub chunking: Option<Chunking>,
}

/// A chunking strategy by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Chunking {
    /// The registered name of the strategy.
    pub strategy: String,
    /// Its own keys.
    pub options: Options,
}
