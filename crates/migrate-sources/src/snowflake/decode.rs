//! A part of a result as record batches: each cell goes from the client's buffer straight into the
//! array of its column.
//!
//! The client hands a row out only inside its `FromRow` trait and gives that trait no context. So
//! the arrays wait in a thread-local while one thread walks over the rows, and nowhere else.

use std::cell::RefCell;
use std::sync::Arc;

use migrate_core::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int32Builder, Int64Builder, NullBufferBuilder, RecordBatch, StringBuilder, StructArray,
    Time64NanosecondBuilder, TimestampMicrosecondBuilder,
};
use migrate_core::arrow::datatypes::{DataType, SchemaRef};
use migrate_core::{ColumnType, Error, ErrorKind, MICRO_SCALE, Result};
use snowflake_connector_rs::decode::{PlanBuildResult, RowDecodeResult};
use snowflake_connector_rs::error::RowConversionError;
use snowflake_connector_rs::{FromRow, ResultTable, RowPlanContext, RowRef};

use super::cell::{self, Malformed};

/// The columns of a result: how each is read, and the schema of the batches.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) schema: SchemaRef,
    pub(super) types: Vec<ColumnType>,
}

/// How large batches may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchLimits {
    pub(super) rows: usize,
    /// About how many bytes of text; a single row may have more.
    pub(super) bytes: usize,
}

/// Bytes that a cell takes in its array beside its text, about.
const CELL_BYTES: usize = 8;

/// Hands the rows of one part to `each`, batch by batch, with the bytes of the part's text so far.
/// Stops early when `each` answers false.
///
/// # Errors
///
/// `DataInvalid` for a cell that is not of its column's form.
pub(super) fn decode(
    part: &ResultTable,
    layout: &Layout,
    limits: BatchLimits,
    mut each: impl FnMut(RecordBatch, usize) -> bool,
) -> Result<()> {
    let mut left = part.row_count();
    let mut rows = part
        .rows::<AppendedRow>()
        .map_err(|cause| super::error::classify("The rows of a result cannot be read", &cause))?;
    let mut part_bytes = 0;
    // Room is made for as many rows as the batch before had.
    let mut usual = limits.bytes / (2 * CELL_BYTES * layout.types.len().max(1));
    while left > 0 {
        let most = left.min(limits.rows.max(1));
        ARRAYS.set(Some(Arrays::new(layout, most.min(usual.max(1)))));
        let (mut count, mut bytes) = (0, 0);
        while count < most && bytes < limits.bytes {
            count += 1;
            let Some(Ok(row)) = rows.next() else { break };
            part_bytes += row.text_bytes;
            bytes += row.text_bytes + CELL_BYTES * layout.types.len();
        }
        let arrays = ARRAYS.take().ok_or_else(lost)?;
        if !each(arrays.finish(layout, count)?, part_bytes) {
            return Ok(());
        }
        left -= count;
        usual = count;
    }
    Ok(())
}

fn lost() -> Error {
    Error::new(ErrorKind::Internal, "The arrays of a result were lost")
        .with_hint("report this with the log of the run")
}

thread_local! {
    static ARRAYS: RefCell<Option<Arrays>> = const { RefCell::new(None) };
}

/// A row whose cells have been appended to the thread's arrays.
struct AppendedRow {
    text_bytes: usize,
}

impl FromRow for AppendedRow {
    type Plan = ();

    fn build_plan(_context: RowPlanContext<'_>) -> PlanBuildResult<()> {
        Ok(())
    }

    fn from_row_with_plan(row: RowRef<'_>, _plan: &()) -> RowDecodeResult<Self> {
        let text_bytes = ARRAYS.with_borrow_mut(|arrays| match arrays {
            Some(arrays) => arrays.append(row),
            None => Err(RowConversionError::new("no arrays are waiting").into()),
        })?;
        Ok(Self { text_bytes })
    }
}

/// The arrays of a batch while it grows.
#[derive(Debug)]
struct Arrays {
    columns: Vec<ArrayBuilder>,
    rows: usize,
    /// Column of the first cell that could not be read.
    malformed: Option<usize>,
}

impl Arrays {
    fn new(layout: &Layout, rows: usize) -> Self {
        let columns = layout.types.iter().map(|kind| ArrayBuilder::new(kind, rows)).collect();
        Self { columns, rows: 0, malformed: None }
    }

    /// Appends a row; returns the bytes of its text.
    fn append(&mut self, row: RowRef<'_>) -> RowDecodeResult<usize> {
        let mut bytes = 0;
        for (position, column) in self.columns.iter_mut().enumerate() {
            let cell = row.cell_at(position)?.raw();
            bytes += cell.map_or(0, str::len);
            if column.append(cell).is_err() {
                self.malformed = Some(position);
                return Err(RowConversionError::new("a cell is malformed").into());
            }
        }
        self.rows += 1;
        Ok(bytes)
    }

    fn finish(self, layout: &Layout, expected: usize) -> Result<RecordBatch> {
        if let Some(position) = self.malformed {
            let name = layout.schema.fields().get(position).map_or("?", |field| field.name());
            return Err(Error::new(
                ErrorKind::DataInvalid,
                format!("Snowflake sent a cell that is no {}", kind_of(layout, position)),
            )
            .with("column", name)
            .with_hint("report this: the result is not of the form that its type has"));
        }
        if self.rows != expected {
            return Err(Error::new(ErrorKind::Connection, "A part of a result broke off")
                .with_hint("run again"));
        }
        let fields = layout.schema.fields();
        let columns = self
            .columns
            .into_iter()
            .zip(fields)
            .map(|(column, field)| column.finish(field.data_type()))
            .collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(Arc::clone(&layout.schema), columns).map_err(|cause| {
            // The server said NOT NULL and sent NULL, or the schema is not the one planned.
            Error::new(ErrorKind::SchemaMismatch, "A result does not fit its own columns")
                .with_source(cause)
                .with_hint("the table may have changed; run again with --no-resume")
        })
    }
}

fn kind_of(layout: &Layout, position: usize) -> String {
    layout.types.get(position).map_or_else(String::new, ToString::to_string)
}

/// One growing array and how its cells are read.
#[derive(Debug)]
enum ArrayBuilder {
    Number { values: Decimal128Builder, scale: u8 },
    Float(Float64Builder),
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Date(Date32Builder),
    Time(Time64NanosecondBuilder),
    Micros(TimestampMicrosecondBuilder),
    Parts(Parts),
    OffsetParts { parts: Parts, offset: Int32Builder, scale: u8 },
    Binary { values: BinaryBuilder, buffer: Vec<u8> },
}

/// A timestamp that one 64-bit integer cannot hold.
#[derive(Debug)]
struct Parts {
    epoch: Int64Builder,
    fraction: Int32Builder,
    nulls: NullBufferBuilder,
}

impl Parts {
    fn new(rows: usize) -> Self {
        Self {
            epoch: Int64Builder::with_capacity(rows),
            fraction: Int32Builder::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    fn append(&mut self, value: Option<(i64, i32)>) {
        let (epoch, fraction) = value.unwrap_or_default();
        self.epoch.append_value(epoch);
        self.fraction.append_value(fraction);
        self.nulls.append(value.is_some());
    }

    fn finish(mut self, data_type: &DataType, offset: Option<Int32Builder>) -> Result<ArrayRef> {
        let DataType::Struct(fields) = data_type else {
            return Err(Error::new(ErrorKind::Internal, "A timestamp has an unplanned form"));
        };
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(self.epoch.finish()), Arc::new(self.fraction.finish())];
        arrays.extend(offset.map(|mut offset| Arc::new(offset.finish()) as ArrayRef));
        StructArray::try_new(fields.clone(), arrays, self.nulls.finish())
            .map(|array| Arc::new(array) as ArrayRef)
            .map_err(|cause| {
                Error::new(ErrorKind::Internal, "A timestamp has an unplanned form")
                    .with_source(cause)
            })
    }
}

impl ArrayBuilder {
    fn new(column_type: &ColumnType, rows: usize) -> Self {
        match column_type {
            ColumnType::Number { scale, .. } => {
                Self::Number { values: Decimal128Builder::with_capacity(rows), scale: *scale }
            }
            ColumnType::Float64 => Self::Float(Float64Builder::with_capacity(rows)),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            ColumnType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            ColumnType::Time { .. } => Self::Time(Time64NanosecondBuilder::with_capacity(rows)),
            ColumnType::Timestamp { scale } | ColumnType::Instant { scale } => {
                if *scale <= MICRO_SCALE {
                    Self::Micros(TimestampMicrosecondBuilder::with_capacity(rows))
                } else {
                    Self::Parts(Parts::new(rows))
                }
            }
            ColumnType::OffsetTimestamp { scale } => Self::OffsetParts {
                parts: Parts::new(rows),
                offset: Int32Builder::with_capacity(rows),
                scale: *scale,
            },
            ColumnType::Binary => Self::Binary { values: BinaryBuilder::new(), buffer: Vec::new() },
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
        }
    }

    #[inline]
    fn append(&mut self, cell: Option<&str>) -> Result<(), Malformed> {
        match self {
            Self::Number { values, scale } => {
                values.append_option(cell.map(|text| cell::number(text, *scale)).transpose()?);
            }
            Self::Float(values) => values.append_option(cell.map(cell::float).transpose()?),
            Self::Text(values) => values.append_option(cell),
            Self::Boolean(values) => values.append_option(cell.map(cell::boolean).transpose()?),
            Self::Date(values) => values.append_option(cell.map(cell::date).transpose()?),
            Self::Time(values) => values.append_option(cell.map(cell::time).transpose()?),
            Self::Micros(values) => values.append_option(cell.map(micros).transpose()?),
            Self::Parts(parts) => parts.append(cell.map(cell::timestamp).transpose()?),
            Self::OffsetParts { parts, offset, scale } => {
                let value = cell.map(|text| cell::offset_timestamp(text, *scale)).transpose()?;
                parts.append(value.map(|(epoch, fraction, _)| (epoch, fraction)));
                offset.append_value(value.map_or(0, |(_, _, minutes)| minutes));
            }
            Self::Binary { values, buffer } => match cell {
                None => values.append_null(),
                Some(text) => {
                    buffer.clear();
                    cell::binary(text, buffer)?;
                    values.append_value(&buffer);
                }
            },
        }
        Ok(())
    }

    fn finish(self, data_type: &DataType) -> Result<ArrayRef> {
        Ok(match self {
            Self::Number { mut values, .. } => {
                let array = values.finish().with_data_type(data_type.clone());
                Arc::new(array)
            }
            Self::Float(mut values) => Arc::new(values.finish()),
            Self::Text(mut values) => Arc::new(values.finish()),
            Self::Boolean(mut values) => Arc::new(values.finish()),
            Self::Date(mut values) => Arc::new(values.finish()),
            Self::Time(mut values) => Arc::new(values.finish()),
            Self::Micros(mut values) => Arc::new(values.finish().with_data_type(data_type.clone())),
            Self::Parts(parts) => parts.finish(data_type, None)?,
            Self::OffsetParts { parts, offset, .. } => parts.finish(data_type, Some(offset))?,
            Self::Binary { mut values, .. } => Arc::new(values.finish()),
        })
    }
}

/// Cells of one column, on the way that [`decode`] goes.
#[cfg(feature = "internals")]
pub(crate) fn decode_cells(kind: &ColumnType, cells: &[Option<&str>]) -> Result<ArrayRef> {
    let mut column = ArrayBuilder::new(kind, cells.len());
    for cell in cells {
        column.append(*cell).map_err(|Malformed| {
            Error::new(ErrorKind::DataInvalid, format!("This is no cell of a {kind}"))
        })?;
    }
    column.finish(&kind.arrow())
}

/// All rows of a part, in batches of the usual size.
#[cfg(feature = "internals")]
pub(crate) fn decode_part(part: &ResultTable, columns: &[migrate_core::Column]) -> Result<usize> {
    let limits = BatchLimits { rows: 16_384, bytes: 1 << 20 };
    let mut rows = 0;
    decode(part, &super::statement::layout_of(columns), limits, |batch, _| {
        rows += batch.num_rows();
        true
    })?;
    Ok(rows)
}

/// Microseconds since 1970; the column's scale says that there is nothing finer.
fn micros(text: &str) -> Result<i64, Malformed> {
    let (seconds, nanos) = cell::timestamp(text)?;
    if nanos % 1_000 != 0 {
        return Err(Malformed);
    }
    seconds
        .checked_mul(1_000_000)
        .and_then(|micros| micros.checked_add(i64::from(nanos / 1_000)))
        .ok_or(Malformed)
}
