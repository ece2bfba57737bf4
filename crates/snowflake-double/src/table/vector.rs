//! Typed arrays: the memory that tables live in.
//!
//! Numbers take the narrowest of 32, 64 and 128 bits that holds all values of the array. Nothing is
//! kept as rendered text.

use std::sync::OnceLock;

use super::cell::{Cell, Kind};
use crate::calendar::Stamp;

/// An immutable array of values of one kind.
#[derive(Debug)]
pub(crate) struct Vector {
    data: Data,
    /// One bit per row, set for NULL; absent when there is none.
    nulls: Option<Vec<u64>>,
    rows: usize,
    /// Least and greatest number of each zone, made when they are first asked for.
    zones: OnceLock<Vec<(i64, i64)>>,
}

/// Rows that share a least and a greatest number.
pub(crate) const ZONE_ROWS: usize = 1_024;

#[derive(Debug)]
enum Data {
    Small(Vec<i32>),
    Medium(Vec<i64>),
    Large(Vec<i128>),
    Float(Vec<f64>),
    Boolean(Vec<bool>),
    Text { ends: Vec<u32>, text: String },
    Bytes { ends: Vec<u32>, bytes: Vec<u8> },
    Date(Vec<i32>),
    Time(Vec<i64>),
    Stamp { seconds: Vec<i64>, nanos: Vec<u32> },
    Zoned { seconds: Vec<i64>, nanos: Vec<u32>, offsets: Vec<i16> },
}

impl Vector {
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The value of a row; NULL beyond the end.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Cell<'_> {
        if self.is_null(row) {
            return Cell::Null;
        }
        self.data.get(row).unwrap_or(Cell::Null)
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        self.nulls
            .as_ref()
            .and_then(|words| words.get(row / 64))
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Least and greatest number of each [`ZONE_ROWS`] rows; empty unless all numbers fit 64 bits.
    /// NULLs count as zero, so a zone may seem wider than it is.
    pub(crate) fn zones(&self) -> &[(i64, i64)] {
        self.zones.get_or_init(|| match &self.data {
            Data::Small(values) => zones(values),
            Data::Medium(values) => zones(values),
            _ => Vec::new(),
        })
    }

    /// Bytes held, for figures and for `INFORMATION_SCHEMA.TABLES.BYTES`.
    pub(crate) fn bytes(&self) -> usize {
        let nulls = self.nulls.as_ref().map_or(0, |words| words.len() * 8);
        nulls
            + match &self.data {
                Data::Small(values) | Data::Date(values) => values.len() * 4,
                Data::Medium(values) | Data::Time(values) => values.len() * 8,
                Data::Large(values) => values.len() * 16,
                Data::Float(values) => values.len() * 8,
                Data::Boolean(values) => values.len(),
                Data::Text { ends, text } => ends.len() * 4 + text.len(),
                Data::Bytes { ends, bytes } => ends.len() * 4 + bytes.len(),
                Data::Stamp { seconds, .. } => seconds.len() * 12,
                Data::Zoned { seconds, .. } => seconds.len() * 14,
            }
    }
}

fn zones<N: Copy + Ord + Into<i64>>(values: &[N]) -> Vec<(i64, i64)> {
    let ends = |zone: &[N]| zone.iter().min().copied().zip(zone.iter().max().copied());
    let zones = values.chunks(ZONE_ROWS).filter_map(ends);
    zones.map(|(least, greatest)| (least.into(), greatest.into())).collect()
}

impl Data {
    #[inline]
    fn get(&self, row: usize) -> Option<Cell<'_>> {
        Some(match self {
            Self::Small(values) => Cell::Number(i128::from(*values.get(row)?)),
            Self::Medium(values) => Cell::Number(i128::from(*values.get(row)?)),
            Self::Large(values) => Cell::Number(*values.get(row)?),
            Self::Float(values) => Cell::Float(*values.get(row)?),
            Self::Boolean(values) => Cell::Boolean(*values.get(row)?),
            Self::Text { ends, text } => Cell::Text(text.get(span(ends, row)?)?),
            Self::Bytes { ends, bytes } => Cell::Bytes(bytes.get(span(ends, row)?)?),
            Self::Date(values) => Cell::Date(*values.get(row)?),
            Self::Time(values) => Cell::Time(*values.get(row)?),
            Self::Stamp { seconds, nanos } => {
                Cell::Stamp(Stamp::new(*seconds.get(row)?, *nanos.get(row)?))
            }
            Self::Zoned { seconds, nanos, offsets } => {
                Cell::Zoned(Stamp::new(*seconds.get(row)?, *nanos.get(row)?), *offsets.get(row)?)
            }
        })
    }
}

#[inline]
fn span(ends: &[u32], row: usize) -> Option<std::ops::Range<usize>> {
    let start = if row == 0 { 0 } else { *ends.get(row - 1)? };
    Some(start as usize..*ends.get(row)? as usize)
}

/// An array could not take a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The value is of another kind.
    Kind,
    /// The texts of one array exceed 4 GiB.
    Size,
}

/// Collects values into a [`Vector`].
#[derive(Debug)]
pub(crate) struct VectorBuilder {
    kind: Kind,
    data: Data,
    nulls: Vec<u64>,
    has_nulls: bool,
    rows: usize,
}

impl VectorBuilder {
    pub(crate) fn new(kind: Kind, capacity: usize) -> Self {
        let data = match kind {
            Kind::Number => Data::Small(Vec::with_capacity(capacity)),
            Kind::Float => Data::Float(Vec::with_capacity(capacity)),
            Kind::Boolean => Data::Boolean(Vec::with_capacity(capacity)),
            Kind::Text => Data::Text { ends: Vec::with_capacity(capacity), text: String::new() },
            Kind::Bytes => Data::Bytes { ends: Vec::with_capacity(capacity), bytes: Vec::new() },
            Kind::Date => Data::Date(Vec::with_capacity(capacity)),
            Kind::Time => Data::Time(Vec::with_capacity(capacity)),
            Kind::Stamp => Data::Stamp {
                seconds: Vec::with_capacity(capacity),
                nanos: Vec::with_capacity(capacity),
            },
            Kind::Zoned => Data::Zoned {
                seconds: Vec::with_capacity(capacity),
                nanos: Vec::with_capacity(capacity),
                offsets: Vec::with_capacity(capacity),
            },
        };
        let nulls = Vec::with_capacity(capacity / 64 + 1);
        Self { kind, data, nulls, has_nulls: false, rows: 0 }
    }

    /// Appends a value.
    pub(crate) fn push(&mut self, cell: Cell<'_>) -> Result<(), Misfit> {
        let filler = self.filler();
        let value = if cell.is_null() { filler } else { cell };
        self.store(value)?;
        self.mark(cell.is_null());
        Ok(())
    }

    /// The finished array, without spare memory.
    pub(crate) fn finish(mut self) -> Vector {
        self.data.shrink();
        let nulls = self.has_nulls.then_some(self.nulls);
        Vector { data: self.data, nulls, rows: self.rows, zones: OnceLock::new() }
    }

    fn filler(&self) -> Cell<'static> {
        match self.kind {
            Kind::Number => Cell::Number(0),
            Kind::Float => Cell::Float(0.0),
            Kind::Boolean => Cell::Boolean(false),
            Kind::Text => Cell::Text(""),
            Kind::Bytes => Cell::Bytes(&[]),
            Kind::Date => Cell::Date(0),
            Kind::Time => Cell::Time(0),
            Kind::Stamp => Cell::Stamp(Stamp::new(0, 0)),
            Kind::Zoned => Cell::Zoned(Stamp::new(0, 0), 0),
        }
    }

    fn mark(&mut self, is_null: bool) {
        if self.rows.is_multiple_of(64) {
            self.nulls.push(0);
        }
        if is_null {
            self.has_nulls = true;
            if let Some(word) = self.nulls.last_mut() {
                *word |= 1 << (self.rows % 64);
            }
        }
        self.rows += 1;
    }

    fn store(&mut self, cell: Cell<'_>) -> Result<(), Misfit> {
        match (&mut self.data, cell) {
            (Data::Small(_) | Data::Medium(_) | Data::Large(_), Cell::Number(value)) => {
                self.data.push_number(value);
            }
            (Data::Float(values), Cell::Float(value)) => values.push(value),
            (Data::Boolean(values), Cell::Boolean(value)) => values.push(value),
            (Data::Text { ends, text }, Cell::Text(value)) => {
                let end = u32::try_from(text.len() + value.len()).map_err(|_| Misfit::Size)?;
                text.push_str(value);
                ends.push(end);
            }
            (Data::Bytes { ends, bytes }, Cell::Bytes(value)) => {
                let end = u32::try_from(bytes.len() + value.len()).map_err(|_| Misfit::Size)?;
                bytes.extend_from_slice(value);
                ends.push(end);
            }
            (Data::Date(values), Cell::Date(value)) => values.push(value),
            (Data::Time(values), Cell::Time(value)) => values.push(value),
            (Data::Stamp { seconds, nanos }, Cell::Stamp(value)) => {
                seconds.push(value.seconds);
                nanos.push(value.nanos);
            }
            (Data::Zoned { seconds, nanos, offsets }, Cell::Zoned(value, offset)) => {
                seconds.push(value.seconds);
                nanos.push(value.nanos);
                offsets.push(offset);
            }
            _ => return Err(Misfit::Kind),
        }
        Ok(())
    }
}

impl Data {
    fn push_number(&mut self, value: i128) {
        match self {
            Self::Small(values) => {
                if let Ok(value) = i32::try_from(value) {
                    values.push(value);
                } else {
                    let mut wide = Vec::with_capacity(values.capacity());
                    wide.extend(values.iter().map(|value| i64::from(*value)));
                    *self = Self::Medium(wide);
                    self.push_number(value);
                }
            }
            Self::Medium(values) => {
                if let Ok(value) = i64::try_from(value) {
                    values.push(value);
                } else {
                    let mut wide = Vec::with_capacity(values.capacity());
                    wide.extend(values.iter().map(|value| i128::from(*value)));
                    wide.push(value);
                    *self = Self::Large(wide);
                }
            }
            Self::Large(values) => values.push(value),
            _ => {}
        }
    }

    fn shrink(&mut self) {
        match self {
            Self::Small(values) | Self::Date(values) => values.shrink_to_fit(),
            Self::Medium(values) | Self::Time(values) => values.shrink_to_fit(),
            Self::Large(values) => values.shrink_to_fit(),
            Self::Float(values) => values.shrink_to_fit(),
            Self::Boolean(values) => values.shrink_to_fit(),
            Self::Text { ends, text } => {
                ends.shrink_to_fit();
                text.shrink_to_fit();
            }
            Self::Bytes { ends, bytes } => {
                ends.shrink_to_fit();
                bytes.shrink_to_fit();
            }
            Self::Stamp { seconds, nanos } => {
                seconds.shrink_to_fit();
                nanos.shrink_to_fit();
            }
            Self::Zoned { seconds, nanos, offsets } => {
                seconds.shrink_to_fit();
                nanos.shrink_to_fit();
                offsets.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(values: &[Option<i128>]) -> Vector {
        let mut builder = VectorBuilder::new(Kind::Number, 0);
        for value in values {
            builder.push(value.map_or(Cell::Null, Cell::Number)).unwrap();
        }
        builder.finish()
    }

    #[test]
    fn numbers_widen_without_losing_earlier_values() {
        let big = i128::from(i64::MAX) + 1;
        let vector = numbers(&[Some(1), None, Some(1 << 40), Some(big), Some(-7)]);
        let cells: Vec<_> = (0..6).map(|row| vector.get(row)).collect();
        assert_eq!(
            cells,
            [
                Cell::Number(1),
                Cell::Null,
                Cell::Number(1 << 40),
                Cell::Number(big),
                Cell::Number(-7),
                Cell::Null,
            ]
        );
    }

    #[test]
    fn small_numbers_take_four_bytes() {
        let vector = numbers(&vec![Some(5); 1000]);
        assert_eq!(vector.bytes(), 4000);
    }

    #[test]
    fn text_keeps_empty_apart_from_null() {
        let mut builder = VectorBuilder::new(Kind::Text, 3);
        for cell in [Cell::Text("a\u{0}é"), Cell::Text(""), Cell::Null] {
            builder.push(cell).unwrap();
        }
        let vector = builder.finish();
        assert_eq!(vector.get(0), Cell::Text("a\u{0}é"));
        assert_eq!(vector.get(1), Cell::Text(""));
        assert_eq!(vector.get(2), Cell::Null);
        assert_eq!(vector.rows(), 3);
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        let mut builder = VectorBuilder::new(Kind::Date, 0);
        assert_eq!(builder.push(Cell::Number(1)), Err(Misfit::Kind));
    }

    #[test]
    fn nulls_are_kept_over_word_boundaries() {
        let values: Vec<_> = (0..200).map(|row| (row % 3 != 0).then_some(row)).collect();
        let vector = numbers(&values);
        for (row, value) in values.iter().enumerate() {
            assert_eq!(vector.get(row), value.map_or(Cell::Null, Cell::Number));
        }
    }
}
