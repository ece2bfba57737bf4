//! Numbers with their bounds, and everything that a table inherits.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::defaults;
use crate::reader::{Item, Reader};
use crate::settings::{
    Chunking, CreateTable, Fidelity, OnBadRow, OnFraction, OnNonempty, OnNonjson, OnNul, Replace,
    RunSettings, SnapshotPolicy, TableSettings, ValueSettings, WatermarkLow, WatermarkNulls,
};
use crate::validate::names;
use crate::validate::unknown::{self, Place};

const THREADS: RangeInclusive<u64> = 1..=256;

/// More workers than this rarely help and use up the server's connections.
const MANY_THREADS: u16 = 20;

/// Chunks of fewer rows cost more in book-keeping than in data.
const BATCH_ROWS: RangeInclusive<u64> = 100..=1_000_000_000;

const ATTEMPTS: RangeInclusive<u64> = 0..=100;
const BAD_ROWS: RangeInclusive<u64> = 0..=1_000_000_000_000;
const YEAR: RangeInclusive<u64> = 0..=366 * 24 * 3600;
const LEASE: RangeInclusive<u64> = 1..=3600;

/// A Lambda lives for 15 minutes at most.
const LAMBDA_BUFFER: RangeInclusive<u64> = 0..=14 * 60;

/// Seconds at a key.
pub(super) fn seconds(
    reader: &Reader<'_>,
    key: &'static str,
    range: RangeInclusive<u64>,
) -> Option<Duration> {
    reader.take(key).and_then(|item| item.whole(range)).map(Duration::from_secs)
}

/// The settings of the process.
pub(super) fn run(root: &Reader<'_>, inherited: &Inherited) -> RunSettings {
    let budget = root.take("memory_budget");
    let budget = budget.and_then(|item| item.size(defaults::SMALLEST_MEMORY_BUDGET));
    let buffer = seconds(root, "lambda_timeout_buffer_seconds", LAMBDA_BUFFER);
    RunSettings {
        parallel_threads: inherited.parallel_threads,
        memory_budget: budget.unwrap_or(defaults::MEMORY_BUDGET),
        lease: seconds(root, "lease_seconds", LEASE).unwrap_or(defaults::LEASE),
        lambda_timeout_buffer: buffer.unwrap_or(defaults::LAMBDA_TIMEOUT_BUFFER),
        status_tracking_database: root
            .take("status_tracking_database")
            .and_then(|item| names::database(&item)),
    }
}

/// What one level (top, source or table) says about inherited keys; `None` where it is silent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Inherited {
    pub(super) parallel_threads: Option<NonZeroU16>,
    pub(super) batch_size: Option<NonZeroU64>,
    pub(super) batch_size_copy_mode: Option<NonZeroU64>,
    pub(super) insert_only_mode: Option<bool>,
    pub(super) max_retry_attempts: Option<NonZeroU32>,
    pub(super) truncate_onstart: Option<bool>,
    pub(super) disable_index: Option<bool>,
    pub(super) snapshot: Option<SnapshotPolicy>,
    pub(super) fidelity: Option<Fidelity>,
    pub(super) values: Values,
    pub(super) on_bad_row: Option<OnBadRow>,
    pub(super) max_bad_rows: Option<u64>,
    pub(super) max_bad_fraction: Option<f64>,
    pub(super) watermark_low: Option<WatermarkLow>,
    pub(super) watermark_nulls: Option<WatermarkNulls>,
    pub(super) watermark_overlap: Option<Duration>,
    pub(super) create_table: Option<CreateTable>,
    pub(super) replace: Option<Replace>,
    pub(super) on_nonempty: Option<OnNonempty>,
    pub(super) chunking: Option<Chunking>,
}

impl Inherited {
    /// Takes every inherited key of one level.
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        let flag = |key| reader.take(key).and_then(|item| item.flag());
        Self {
            parallel_threads: threads(reader),
            batch_size: rows(reader, "batch_size"),
            batch_size_copy_mode: rows(reader, "batch_size_copy_mode"),
            insert_only_mode: flag("insert_only_mode"),
            max_retry_attempts: attempts(reader),
            truncate_onstart: flag("truncate_onstart"),
            disable_index: flag("disable_index"),
            snapshot: reader.take("snapshot").and_then(|item| item.word()),
            fidelity: reader.take("fidelity").and_then(|item| item.word()),
            values: Values::read(reader),
            on_bad_row: reader.take("on_bad_row").and_then(|item| item.word()),
            max_bad_rows: reader.take("max_bad_rows").and_then(|item| item.whole(BAD_ROWS)),
            max_bad_fraction: reader.take("max_bad_fraction").and_then(|item| item.fraction()),
            watermark_low: reader.take("watermark_low").and_then(|item| item.word()),
            watermark_nulls: reader.take("watermark_nulls").and_then(|item| item.word()),
            watermark_overlap: seconds(reader, "watermark_overlap_seconds", YEAR),
            create_table: reader.take("create_table").and_then(|item| item.word()),
            replace: reader.take("replace").and_then(|item| item.word()),
            on_nonempty: reader.take("on_nonempty").and_then(|item| item.word()),
            chunking: chunking(reader),
        }
    }

    /// This level where it speaks, the outer one where it is silent.
    pub(super) fn over(self, outer: &Self) -> Self {
        Self {
            parallel_threads: self.parallel_threads.or(outer.parallel_threads),
            batch_size: self.batch_size.or(outer.batch_size),
            batch_size_copy_mode: self.batch_size_copy_mode.or(outer.batch_size_copy_mode),
            insert_only_mode: self.insert_only_mode.or(outer.insert_only_mode),
            max_retry_attempts: self.max_retry_attempts.or(outer.max_retry_attempts),
            truncate_onstart: self.truncate_onstart.or(outer.truncate_onstart),
            disable_index: self.disable_index.or(outer.disable_index),
            snapshot: self.snapshot.or(outer.snapshot),
            fidelity: self.fidelity.or(outer.fidelity),
            values: self.values.over(outer.values),
            on_bad_row: self.on_bad_row.or(outer.on_bad_row),
            max_bad_rows: self.max_bad_rows.or(outer.max_bad_rows),
            max_bad_fraction: self.max_bad_fraction.or(outer.max_bad_fraction),
            watermark_low: self.watermark_low.or(outer.watermark_low),
            watermark_nulls: self.watermark_nulls.or(outer.watermark_nulls),
            watermark_overlap: self.watermark_overlap.or(outer.watermark_overlap),
            create_table: self.create_table.or(outer.create_table),
            replace: self.replace.or(outer.replace),
            on_nonempty: self.on_nonempty.or(outer.on_nonempty),
            chunking: self.chunking.or_else(|| outer.chunking.clone()),
        }
    }

    /// The values in force, with defaults where no level speaks.
    pub(super) fn settings(&self) -> TableSettings {
        TableSettings {
            parallel_threads: self.parallel_threads,
            batch_size: self.batch_size,
            batch_size_copy_mode: self.batch_size_copy_mode,
            insert_only_mode: self.insert_only_mode.unwrap_or(false),
            max_retry_attempts: self.max_retry_attempts.unwrap_or(defaults::MAX_RETRY_ATTEMPTS),
            truncate_onstart: self.truncate_onstart.unwrap_or(false),
            disable_index: self.disable_index.unwrap_or(false),
            snapshot: self.snapshot.unwrap_or(defaults::SNAPSHOT),
            fidelity: self.fidelity.unwrap_or(defaults::FIDELITY),
            values: self.values.settings(),
            on_bad_row: self.on_bad_row.unwrap_or(defaults::ON_BAD_ROW),
            max_bad_rows: self.max_bad_rows,
            max_bad_fraction: self.max_bad_fraction,
            create_table: self.create_table.unwrap_or(defaults::CREATE_TABLE),
            replace: self.replace.unwrap_or(defaults::REPLACE),
            on_nonempty: self.on_nonempty.unwrap_or(defaults::ON_NONEMPTY),
            chunking: self.chunking.clone(),
        }
    }
}

/// What one level says about values that the target cannot hold as they are. A column is a level
/// too.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Values {
    fraction: Option<OnFraction>,
    nul: Option<OnNul>,
    nonjson: Option<OnNonjson>,
}

impl Values {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            fraction: reader.take("on_fraction").and_then(|item| item.word()),
            nul: reader.take("on_nul").and_then(|item| item.word()),
            nonjson: reader.take("on_nonjson").and_then(|item| item.word()),
        }
    }

    pub(super) fn over(self, outer: Self) -> Self {
        Self {
            fraction: self.fraction.or(outer.fraction),
            nul: self.nul.or(outer.nul),
            nonjson: self.nonjson.or(outer.nonjson),
        }
    }

    pub(super) fn settings(self) -> ValueSettings {
        ValueSettings {
            on_fraction: self.fraction,
            on_nul: self.nul.unwrap_or(defaults::ON_NUL),
            on_nonjson: self.nonjson.unwrap_or(defaults::ON_NONJSON),
        }
    }
}

fn threads(reader: &Reader<'_>) -> Option<NonZeroU16> {
    let item = reader.take("parallel_threads")?;
    let threads = number::<u16>(&item, THREADS)?;
    if threads > MANY_THREADS {
        item.spot().warning(
            format!("{threads} threads are a lot"),
            format!("stay at {MANY_THREADS} or below unless the server has connections to spare"),
        );
    }
    NonZeroU16::new(threads)
}

fn rows(reader: &Reader<'_>, key: &'static str) -> Option<NonZeroU64> {
    reader.take(key).and_then(|item| item.whole(BATCH_ROWS)).and_then(NonZeroU64::new)
}

/// 0 and 1 both mean that nothing is tried twice.
fn attempts(reader: &Reader<'_>) -> Option<NonZeroU32> {
    let item = reader.take("max_retry_attempts")?;
    number::<u32>(&item, ATTEMPTS).map(|tries| NonZeroU32::new(tries).unwrap_or(NonZeroU32::MIN))
}

fn chunking(reader: &Reader<'_>) -> Option<Chunking> {
    let chunking = reader.take_object("chunking")?;
    let strategy = chunking.require("strategy", "\"auto\"").and_then(|item| item.text());
    let options = chunking.take("options").and_then(|item| item.options());
    chunking.finish(unknown::hint(Place::Chunking));
    Some(Chunking { strategy: strategy?, options: options.unwrap_or_default() })
}

/// A number of a smaller type; `range` must fit that type.
pub(super) fn number<T: TryFrom<u64>>(item: &Item<'_>, range: RangeInclusive<u64>) -> Option<T> {
    // The range has been checked, so nothing is lost here.
    item.whole(range).and_then(|number| T::try_from(number).ok())
}
