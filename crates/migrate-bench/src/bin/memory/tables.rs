//! What the tables hold, and how each value is known to be right.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use migrate_bench::data;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

/// Columns of a wide table beside its key and its text.
const NUMBERS: usize = 148;
const TEXTS: usize = 100;

/// Each such row of a wide table has a cell of 16 MB.
const LARGE_EVERY: u64 = 500;
const WIDE_CELL_BYTES: usize = 16_000_000;

/// Rows that are made at once.
const MADE_ROWS: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A key, and a text of so many bytes, a multiple of eight.
    LargeCells { bytes: usize },
    /// 250 columns: numbers, texts, and one text that is large in a few rows.
    Wide,
    /// The twenty columns of the other benchmarks.
    Mixed,
}

impl Content {
    /// Columns of the target.
    pub(crate) fn columns(self) -> String {
        match self {
            Self::LargeCells { .. } => "id bigint primary key, body text".to_owned(),
            Self::Wide => {
                let numbers = (0..NUMBERS).map(|at| format!(", n{at} bigint"));
                let texts = (0..TEXTS).map(|at| format!(", t{at} text"));
                let others: String = numbers.chain(texts).collect();
                format!("id bigint primary key, body text{others}")
            }
            Self::Mixed => data::COLUMNS.to_owned(),
        }
    }

    /// A query of the number of rows that are as they were made.
    pub(crate) fn count_of_right_rows(self) -> String {
        let body = |times: String| format!("body = repeat(lpad(id::text, 8, '0'), {times})");
        match self {
            Self::LargeCells { bytes } => {
                format!("select count(*) from rows where {}", body((bytes / 8).to_string()))
            }
            Self::Wide => {
                let times = format!(
                    "case id % {LARGE_EVERY} when 0 then {} else 1 end",
                    WIDE_CELL_BYTES / 8
                );
                let numbers = (0..NUMBERS).map(|at| format!(" and n{at} = id + {at}"));
                let texts = (0..TEXTS).map(|at| format!(" and t{at} = id || ' of {at}'"));
                let others: String = numbers.chain(texts).collect();
                format!("select count(*) from rows where {}{others}", body(times))
            }
            Self::Mixed => "select count(*) from rows where uuid is not null".to_owned(),
        }
    }

    /// Writes so many rows.
    pub(crate) fn write(self, path: &Path, rows: u64) -> Result<(), Box<dyn Error>> {
        let (group_rows, made_rows) = match self {
            Self::Mixed => return data::write(path, rows, 1),
            Self::LargeCells { .. } => (5, MADE_ROWS),
            Self::Wide => (2_000, LARGE_EVERY),
        };
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(group_rows))
            .build();
        let schema = self.batch(0..1)?.schema();
        let mut writer = ArrowWriter::try_new(File::create(path)?, schema, Some(properties))?;
        for start in (0..rows).step_by(usize::try_from(made_rows)?) {
            writer.write(&self.batch(start..rows.min(start + made_rows))?)?;
        }
        writer.close()?;
        Ok(())
    }

    fn batch(self, rows: std::ops::Range<u64>) -> Result<RecordBatch, Box<dyn Error>> {
        let ids = || rows.clone().map(u64::cast_signed);
        let body = |id: u64| {
            let bytes = match self {
                Self::LargeCells { bytes } => bytes,
                _ if id.is_multiple_of(LARGE_EVERY) => WIDE_CELL_BYTES,
                _ => 8,
            };
            format!("{id:08}").repeat(bytes / 8)
        };
        let mut columns: Vec<(String, ArrayRef)> = vec![
            ("id".into(), Arc::new(Int64Array::from_iter_values(ids()))),
            ("body".into(), Arc::new(StringArray::from_iter_values(rows.clone().map(body)))),
        ];
        if self == Self::Wide {
            for (at, plus) in (0..NUMBERS).zip(0..) {
                let numbers = Int64Array::from_iter_values(ids().map(|id| id + plus));
                columns.push((format!("n{at}"), Arc::new(numbers)));
            }
            for at in 0..TEXTS {
                let texts = StringArray::from_iter_values(ids().map(|id| format!("{id} of {at}")));
                columns.push((format!("t{at}"), Arc::new(texts)));
            }
        }
        Ok(RecordBatch::try_from_iter(columns)?)
    }
}
