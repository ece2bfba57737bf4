//! Which rows an incremental read takes: pinned once per run and table, from the source at its frozen
//! moment and from the last window that was read completely.
//!
//! The target's own greatest watermark is no lower bound: chunks commit out of order, so after a
//! failed run it lies above rows that are missing.

use std::cmp::Ordering;
use std::time::Duration;

use migrate_core::value::{EpochDay, EpochTime};
use migrate_core::{
    ColumnName, ColumnPair, ColumnType, Error, ErrorKind, LastWindow, Result, Scalar, ValuePart,
    WatermarkWindow, WindowRows, WriteMode, code,
};

use crate::job::{NonemptyPolicy, TableJob};
use crate::migration::Parts;
use crate::table_plan::Ends;

/// How new rows are recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The column in the source.
    pub source: ColumnName,
    /// The column in the target.
    pub target: ColumnName,
    /// Where the lower bound comes from.
    pub low: WatermarkLow,
    /// When rows without a watermark are read.
    pub nulls: WatermarkNulls,
    /// How far below the lower bound reading starts.
    pub overlap: Duration,
}

/// Where the lower bound of an incremental read comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WatermarkLow {
    /// The upper bound of the last window that was completed.
    #[default]
    LastWindow,
    /// The greatest watermark in the target, for users who trust their target.
    Target,
}

/// When rows without a watermark are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatermarkNulls {
    /// In each run.
    Always,
    /// In the first run only.
    FirstLoad,
    /// Not at all.
    Never,
}

/// A window and what is to be known about it.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) window: WatermarkWindow,
    /// Whether it goes on from an earlier one, so that rows in the target are no surprise.
    pub(crate) goes_on: bool,
    /// Whether it holds no row, so that there is nothing to cut and nothing to read.
    pub(crate) is_empty: bool,
    pub(crate) notes: Vec<String>,
}

/// Pins the window of a table, if it has a watermark.
///
/// # Errors
///
/// `Config` for a watermark that cannot be one or that would double rows, `Conflict` where rows could
/// be appended twice, and what either end answers.
pub(crate) async fn pin(
    job: &TableJob,
    parts: &Parts,
    ends: &Ends,
    pairs: &[ColumnPair],
) -> Result<Option<Pinned>> {
    let Some(watermark) = &job.watermark else { return Ok(None) };
    let rule = Rule { watermark, has_keys: job.mode != WriteMode::Copy };
    let column_type = &ends.source.schema().require(&watermark.source)?.column_type;
    ends.sink.schema().require(&watermark.target)?;
    rule.check(column_type).map_err(|error| error.with("table", &job.to))?;

    // A window above the target's maximum does not prove that what lies below was loaded.
    let trusting = match watermark.low {
        WatermarkLow::LastWindow => "",
        WatermarkLow::Target => ", trusting the target",
    };
    let scope = format!(
        "{} by {} where {} into {}{trusting}",
        job.from, watermark.source, job.filter, watermark.target
    );
    let mut notes = Vec::new();
    let last = match watermark.low {
        WatermarkLow::LastWindow => parts.status.last_window(&job.to, &scope).await?,
        WatermarkLow::Target => {
            let is_it = |pair: &&ColumnPair| {
                pair.target == watermark.target && pair.part == ValuePart::Whole
            };
            let pair = pairs.iter().find(is_it).cloned().unwrap_or_else(|| {
                let (source, target) = (watermark.source.clone(), watermark.target.clone());
                ColumnPair::new(source, target, column_type.clone())
            });
            let greatest = ends.sink.greatest(&pair).await?;
            if greatest.as_ref().is_some_and(|greatest| !greatest.is_exact) {
                rule.require_keys().map_err(|error| error.with("table", &job.to))?;
            }
            greatest.map(|greatest| LastWindow {
                high: greatest.value,
                rows_at_high: None,
                is_latest: true,
                is_void: false,
            })
        }
    };
    let last = match last {
        Some(_) if ends.sink.is_empty().await? => {
            notes.push("the target is empty, so everything is read again".into());
            None
        }
        Some(last) if last.is_void => {
            notes.push(
                "a full load has emptied the target since the last window, so everything is read \
                 again"
                    .into(),
            );
            None
        }
        last => last,
    };
    if let Some(last) = &last {
        rule.refuse_doubles(job, last)?;
    }
    let greatest = ends.source.greatest(&watermark.source, &job.filter).await?;
    let high = greatest.value.map(|high| (high, greatest.rows));
    let goes_on = last.is_some();
    let window = rule.decide(scope, last, high, &mut notes)?;
    let reads_none = window.reads == WindowRows::Nothing;
    let is_empty = reads_none && (!window.reads_nulls || greatest.nulls == 0);
    Ok(Some(Pinned { window, goes_on, is_empty, notes }))
}

/// The policies of one table.
#[derive(Debug, Clone, Copy)]
struct Rule<'a> {
    watermark: &'a Watermark,
    /// With keys, reading a row again does no harm.
    has_keys: bool,
}

impl Rule<'_> {
    fn check(self, column_type: &ColumnType) -> Result<()> {
        let refuse = |message: String, hint: &'static str| {
            Err(Error::new(ErrorKind::Config, message)
                .with("column", &self.watermark.source)
                .with_hint(hint))
        };
        let has_time = matches!(
            column_type,
            ColumnType::Date
                | ColumnType::Timestamp { .. }
                | ColumnType::Instant { .. }
                | ColumnType::OffsetTimestamp { .. }
        );
        let has_order = has_time
            || column_type.is_exact_number()
            || matches!(column_type, ColumnType::Text { .. });
        if !has_order {
            return refuse(
                format!("A column of type {column_type} cannot be a watermark"),
                "choose a column of dates, times, whole or decimal numbers, or text",
            );
        }
        if !self.watermark.overlap.is_zero() && !has_time {
            return refuse(
                format!("A window over {column_type} cannot overlap by seconds"),
                "remove `watermark_overlap_seconds`, or choose a column of dates or times",
            );
        }
        if self.has_keys {
            return Ok(());
        }
        if !self.watermark.overlap.is_zero() {
            return refuse(
                "Without keys an overlap would append its rows again in every run".into(),
                "set `uniqueness_columns`, or remove `watermark_overlap_seconds`",
            );
        }
        if self.watermark.nulls == WatermarkNulls::Always {
            return refuse(
                "Without keys rows without a watermark would be appended again in every run".into(),
                "set `uniqueness_columns`, or \"watermark_nulls\": \"first_load\"",
            );
        }
        Ok(())
    }

    /// A bound below what is loaded already means reading rows again.
    fn require_keys(self) -> Result<()> {
        if self.has_keys {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Config,
            "The target keeps fewer digits of its watermarks than the source, so rows would be \
             appended again",
        )
        .with("column", &self.watermark.target)
        .with_hint("set \"uniqueness_columns\", or \"watermark_low\": \"last_window\""))
    }

    /// Rows that somebody has appended since the last window would be appended a second time.
    fn refuse_doubles(self, job: &TableJob, last: &LastWindow) -> Result<()> {
        let may_append =
            self.has_keys || last.is_latest || job.on_nonempty == NonemptyPolicy::Append;
        if may_append {
            return Ok(());
        }
        Err(Error::new(
            code::TARGET_NOT_EMPTY,
            format!(
                "Another load has filled {} since its last window, so appending could double rows",
                job.to
            ),
        )
        .with_hint(
            "set \"uniqueness_columns\" to merge by key, \"truncate_onstart\": true for one full load, \
             or \"on_nonempty\": \"append\" to add to them",
        ))
    }

    /// The window itself; pure.
    fn decide(
        self,
        scope: String,
        last: Option<LastWindow>,
        high: Option<(Scalar, u64)>,
        notes: &mut Vec<String>,
    ) -> Result<WatermarkWindow> {
        let mut window = WatermarkWindow::new(self.watermark.source.clone(), scope);
        window.overlap_seconds = self.watermark.overlap.as_secs();
        window.reads_nulls = match self.watermark.nulls {
            WatermarkNulls::Always => true,
            WatermarkNulls::FirstLoad => last.is_none(),
            WatermarkNulls::Never => false,
        };
        let Some(last) = last else {
            notes.push(match &high {
                Some((high, _)) => {
                    format!("no window was completed before: everything up to {high} is read")
                }
                None => "no row has a watermark".into(),
            });
            if let Some((high, rows)) = high {
                window.reads = WindowRows::Closed;
                window.rows_at_high = rows;
                window.high = Some(high);
            }
            return Ok(window);
        };
        let Some((high, rows)) = high else {
            notes.push("no row has a watermark any more".into());
            window.low = Some(last.high);
            return Ok(window);
        };
        let order = high.compare(&last.high).ok_or_else(|| other_kind(self.watermark))?;
        if order == Ordering::Less {
            notes.push(format!("the greatest watermark went back from {} to {high}", last.high));
        }
        if self.has_keys {
            let is_unchanged = order == Ordering::Equal && last.rows_at_high == Some(rows);
            let nothing_new = is_unchanged && self.watermark.overlap.is_zero();
            window.reads = if nothing_new { WindowRows::Nothing } else { WindowRows::Closed };
            let low = if order == Ordering::Less { high.clone() } else { last.high };
            window.low = Some(earlier(low, self.watermark.overlap));
            (window.high, window.rows_at_high) = (Some(high), rows);
        } else {
            notes.push(format!(
                "without `uniqueness_columns` rows that come later with watermark {} are missed",
                last.high
            ));
            window.low = Some(last.high.clone());
            if order == Ordering::Greater {
                window.reads = WindowRows::AboveLow;
                (window.high, window.rows_at_high) = (Some(high), rows);
            } else {
                // Going back would append rows again.
                (window.high, window.rows_at_high) =
                    (Some(last.high), last.rows_at_high.unwrap_or_default());
            }
        }
        Ok(window)
    }
}

/// The bound, that much earlier; unchanged where the calendar ends.
fn earlier(bound: Scalar, overlap: Duration) -> Scalar {
    const DAY: u64 = 86_400;
    let seconds = i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX);
    let time = |time: EpochTime| EpochTime::new(time.seconds().checked_sub(seconds)?, time.nanos());
    let moved = match &bound {
        Scalar::Timestamp(at) => time(*at).map(Scalar::Timestamp),
        Scalar::Instant(at) => time(*at).map(Scalar::Instant),
        Scalar::Date(day) => i32::try_from(overlap.as_secs().div_ceil(DAY))
            .ok()
            .and_then(|days| EpochDay::new(day.days().checked_sub(days)?))
            .map(Scalar::Date),
        _ => None,
    };
    moved.unwrap_or(bound)
}

fn other_kind(watermark: &Watermark) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        "The watermark has changed its type since the last window",
    )
    .with("column", &watermark.source)
    .with_hint(
        "load the table once with \"truncate_onstart\": true, or choose a column of the old type",
    )
}

#[cfg(test)]
mod tests;
