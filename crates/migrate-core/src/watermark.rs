//! Incremental reads: which rows are new since the last run that completed.

use serde::{Deserialize, Serialize};

use crate::name::ColumnName;
use crate::predicate::Predicate;
use crate::value::Scalar;

/// The rows of one incremental read, pinned when the table is planned and stored with its plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WatermarkWindow {
    /// The watermark, by its name in the source.
    pub column: ColumnName,
    /// Identity of the series of windows: what is read from where, by which column.
    pub scope: String,
    /// Where reading starts; everything where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<Scalar>,
    /// The greatest watermark at the frozen moment; the next window starts from here. Absent where
    /// no row has a watermark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<Scalar>,
    /// How many rows have exactly that watermark.
    pub rows_at_high: u64,
    /// Which of the rows with a watermark are read.
    pub reads: WindowRows,
    /// Whether rows without a watermark are read too.
    pub reads_nulls: bool,
    /// How far below the last window reading starts.
    #[serde(default)]
    pub overlap_seconds: u64,
}

/// Which rows of a window are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowRows {
    /// `low <= watermark <= high`: rows at the low bound are read again, and none of them is missed.
    Closed,
    /// `low < watermark <= high`: no row is read twice.
    AboveLow,
    /// Nothing has changed since the last window.
    Nothing,
}

impl WatermarkWindow {
    /// A window that reads nothing yet; see the fields for what to set.
    pub fn new(column: ColumnName, scope: impl Into<String>) -> Self {
        Self {
            column,
            scope: scope.into(),
            low: None,
            high: None,
            rows_at_high: 0,
            reads: WindowRows::Nothing,
            reads_nulls: false,
            overlap_seconds: 0,
        }
    }

    /// The rows of the window.
    pub fn predicate(&self) -> Predicate {
        let column = || self.column.clone();
        let values = match (&self.high, self.reads) {
            (None, _) | (_, WindowRows::Nothing) => None,
            (Some(high), reads) => {
                let low = match (&self.low, reads) {
                    (None, _) => Predicate::All,
                    (Some(low), WindowRows::AboveLow) => {
                        Predicate::Above { column: column(), value: low.clone() }
                    }
                    (Some(low), _) => Predicate::range(column(), Some(low.clone()), None),
                };
                Some(low.and(Predicate::AtMost { column: column(), value: high.clone() }))
            }
        };
        let nulls = self.reads_nulls.then(|| Predicate::is_null(column()));
        match (values, nulls) {
            (Some(values), Some(nulls)) => Predicate::Or { terms: vec![values, nulls] },
            (Some(rows), None) | (None, Some(rows)) => rows,
            (None, None) => Predicate::In { column: column(), values: Vec::new() },
        }
    }
}

/// The end of the last window that was read completely.
#[derive(Debug, Clone, PartialEq)]
pub struct LastWindow {
    /// Its greatest watermark.
    pub high: Scalar,
    /// How many rows had it; `None` where nobody counted.
    pub rows_at_high: Option<u64>,
    /// Whether nothing has been written from the same source into the same target since.
    pub is_latest: bool,
    /// Whether a full load has emptied or replaced the target since, so that the rows of the window
    /// may be gone.
    pub is_void: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(low: Option<i64>, high: Option<i64>, reads: WindowRows) -> WatermarkWindow {
        WatermarkWindow {
            low: low.map(Scalar::from),
            high: high.map(Scalar::from),
            rows_at_high: 1,
            reads,
            ..WatermarkWindow::new("w".into(), "")
        }
    }

    #[test]
    fn bounds_are_closed_or_open_as_the_window_says() {
        let said = |window: WatermarkWindow| window.predicate().to_string();
        assert_eq!(said(window(None, Some(9), WindowRows::Closed)), "\"w\" <= 9");
        let closed = window(Some(3), Some(9), WindowRows::Closed);
        assert_eq!(said(closed.clone()), "(\"w\" >= 3 and \"w\" <= 9)");
        let above = window(Some(3), Some(9), WindowRows::AboveLow);
        assert_eq!(said(above), "(\"w\" > 3 and \"w\" <= 9)");
        let with_nulls = WatermarkWindow { reads_nulls: true, ..closed };
        assert_eq!(said(with_nulls), "((\"w\" >= 3 and \"w\" <= 9) or \"w\" is null)");
    }

    #[test]
    fn a_window_without_rows_reads_none() {
        let nothing = window(Some(3), Some(3), WindowRows::Nothing);
        assert_eq!(nothing.predicate(), Predicate::In { column: "w".into(), values: vec![] });
        let empty = window(None, None, WindowRows::Closed);
        assert_eq!(empty.predicate(), Predicate::In { column: "w".into(), values: vec![] });
        let nulls = WatermarkWindow { reads_nulls: true, ..empty };
        assert_eq!(nulls.predicate(), Predicate::is_null("w"));
    }

    #[test]
    fn windows_survive_their_json_form() {
        let window = window(Some(3), Some(9), WindowRows::AboveLow);
        let json = serde_json::to_string(&window).expect("serializes");
        assert_eq!(serde_json::from_str::<WatermarkWindow>(&json).expect("reads"), window);
    }
}
