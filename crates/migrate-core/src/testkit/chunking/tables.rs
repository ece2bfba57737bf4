//! Tables that strategies have to cope with.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};

use crate::error::{Error, ErrorKind, Result};
use crate::memory::MemorySource;
use crate::name::TableRef;
use crate::source::{Source, SourceTable};

/// The column that counts the rows of a [`table_of`]: unique and never NULL.
pub const ROW: &str = "row";

/// How the keys of a table are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// No row.
    Empty,
    /// One row.
    OneRow,
    /// Keys in a row.
    Dense,
    /// Most keys close together, some far away, a fifth of them NULL.
    Sparse,
    /// Half of the rows have one key.
    Crowded,
    /// No row has a key.
    NoKeys,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::OneRow, Self::Dense, Self::Sparse, Self::Crowded, Self::NoKeys];

    /// The keys of its rows.
    pub fn keys(self) -> Vec<Option<i64>> {
        match self {
            Self::Empty => Vec::new(),
            Self::OneRow => vec![Some(17)],
            Self::Dense => (0..150).map(Some).collect(),
            Self::Sparse => (0..150)
                .map(|row| match row % 5 {
                    0 => None,
                    1 => Some(row * row * 31 - 90_000),
                    _ => Some(row / 2),
                })
                .collect(),
            Self::Crowded => {
                (0..150).map(|row| Some(if row % 2 == 0 { 40 } else { row })).collect()
            }
            Self::NoKeys => vec![None; 60],
        }
    }

    /// Its rows: [`ROW`] and the keys as `number`, `digits`, `text`, `day` and `time`.
    ///
    /// # Errors
    ///
    /// `Internal` when Arrow refuses them.
    pub fn rows(self) -> Result<RecordBatch> {
        const MICROS_PER_HOUR: i64 = 3_600_000_000;
        let keys = self.keys();
        let present = || keys.iter().copied();
        let row: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(keys.len())));
        let number: Int64Array = present().collect();
        let digits: StringArray = present().map(|key| key.map(|key| key.to_string())).collect();
        let text: StringArray =
            present().map(|key| key.map(|key| format!("{} {key}", key % 3))).collect();
        let day: Date32Array = present().map(|key| i32::try_from(key? % 20_000).ok()).collect();
        let time: TimestampMicrosecondArray =
            present().map(|key| Some(key? * MICROS_PER_HOUR)).collect();
        let columns = [
            (ROW, row, false),
            ("number", Arc::new(number) as ArrayRef, true),
            ("digits", Arc::new(digits) as ArrayRef, true),
            ("text", Arc::new(text) as ArrayRef, true),
            ("day", Arc::new(day) as ArrayRef, true),
            ("time", Arc::new(time) as ArrayRef, true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).map_err(|cause| {
            Error::new(ErrorKind::Internal, "The suite cannot make a table").with_source(cause)
        })
    }
}

/// A table of this shape in memory.
///
/// # Errors
///
/// `Internal` when Arrow refuses its rows.
pub async fn table_of(shape: Shape) -> Result<Arc<dyn SourceTable>> {
    let name = TableRef::bare("t");
    MemorySource::new().with_table(name.clone(), shape.rows()?).open(&name, None).await
}
