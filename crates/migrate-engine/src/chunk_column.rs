//! Chunking columns as users declare them, held against the real columns.
//!
//! Users write `uuid` for texts and `int` for texts that hold numbers, and mean it: a difference is
//! worth a note, only what cannot be meant is an error.

use migrate_core::{Column, ColumnName, ColumnType, Error, ErrorKind, Key, Result, TableSchema};

/// A column to cut by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChunkColumn {
    /// Its name in the source.
    pub name: ColumnName,
    /// The user's word for its type, and what the word means; without one, the column's own type
    /// decides.
    pub declared: Option<(String, DeclaredKind)>,
}

/// What a user says of a chunking column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredKind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Number,
    /// Numbers in a text column.
    NumberInText,
    /// UUIDs.
    Uuid,
    /// Texts.
    Text,
    /// Days.
    Date,
    /// Wall clock times.
    Timestamp,
    /// Instants.
    Instant,
    /// Instants with an offset.
    OffsetTimestamp,
    /// Any of the three.
    AnyTimestamp,
}

impl From<ColumnName> for ChunkColumn {
    fn from(name: ColumnName) -> Self {
        Self { name, declared: None }
    }
}

impl ChunkColumn {
    /// Sets the user's word for its type, and what the word means.
    #[must_use]
    pub fn declared_as(mut self, word: impl Into<String>, kind: DeclaredKind) -> Self {
        self.declared = Some((word.into(), kind));
        self
    }

    /// How the column is read for cutting.
    ///
    /// # Errors
    ///
    /// `NotFound` for a column that is not there; `SchemaMismatch` for one that cannot be read as
    /// declared.
    pub(crate) fn key(&self, schema: &TableSchema, notes: &mut Vec<String>) -> Result<Key> {
        let column = schema.require(&self.name)?;
        let plain = Key::column(self.name.clone());
        let Some((word, kind)) = &self.declared else { return Ok(plain) };
        if kind.is(&column.column_type) {
            return Ok(plain);
        }
        let is_text = matches!(column.column_type, ColumnType::Text { .. });
        let key = if is_text && kind.is_number() {
            Key::number_in(self.name.clone())
        } else if kind.could_be(&column.column_type) {
            plain
        } else {
            return Err(impossible(column, word).with("table", &schema.table));
        };
        if !(is_text && *kind == DeclaredKind::NumberInText) {
            let meant = match key.read_as {
                migrate_core::Reading::Number => "is read as numbers",
                _ => "is cut by what it is",
            };
            notes.push(format!(
                "chunking_column_types says {word} for {}, which is {}: it {meant}",
                self.name, column.native_type
            ));
        }
        Ok(key)
    }
}

fn impossible(column: &Column, word: &str) -> Error {
    Error::new(
        ErrorKind::SchemaMismatch,
        format!("Column {} is {} and cannot be read as {word}", column.name, column.native_type),
    )
    .with_hint("correct `chunking_column_types`, or leave it out: the column's own type decides")
}

impl DeclaredKind {
    fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Number | Self::NumberInText)
    }

    /// Whether a column is just that.
    fn is(self, column_type: &ColumnType) -> bool {
        use ColumnType as T;
        match self {
            Self::Integer => {
                matches!(column_type, T::Int16 | T::Int32 | T::Int64 | T::Number { scale: 0, .. })
            }
            Self::Number => {
                column_type.is_exact_number() || matches!(column_type, T::Float32 | T::Float64)
            }
            Self::NumberInText => false,
            Self::Uuid => matches!(column_type, T::Uuid),
            Self::Text => matches!(column_type, T::Text { .. }),
            Self::Date => matches!(column_type, T::Date),
            Self::Timestamp => matches!(column_type, T::Timestamp { .. }),
            Self::Instant => matches!(column_type, T::Instant { .. }),
            Self::OffsetTimestamp => matches!(column_type, T::OffsetTimestamp { .. }),
            Self::AnyTimestamp => is_time(column_type),
        }
    }

    /// Whether values of a column can be had as that.
    fn could_be(self, column_type: &ColumnType) -> bool {
        use ColumnType as T;
        let is_number = || Self::Number.is(column_type);
        match self {
            Self::Integer | Self::Number | Self::NumberInText => {
                is_number() || matches!(column_type, T::Boolean | T::DecFloat | T::Text { .. })
            }
            Self::Uuid => matches!(column_type, T::Text { .. } | T::Binary),
            Self::Text => true,
            Self::Date
            | Self::Timestamp
            | Self::Instant
            | Self::OffsetTimestamp
            | Self::AnyTimestamp => {
                is_time(column_type) || matches!(column_type, T::Date | T::Text { .. })
            }
        }
    }
}

fn is_time(column_type: &ColumnType) -> bool {
    matches!(
        column_type,
        ColumnType::Timestamp { .. }
            | ColumnType::Instant { .. }
            | ColumnType::OffsetTimestamp { .. }
    )
}

#[cfg(test)]
mod tests {
    use migrate_core::TableRef;

    use super::*;

    fn schema() -> TableSchema {
        let number = |scale| ColumnType::Number { precision: 38, scale };
        let columns = [
            ("id", number(0)),
            ("price", number(2)),
            ("text", ColumnType::Text { max_chars: None }),
            ("day", ColumnType::Date),
            ("at", ColumnType::Timestamp { scale: 9 }),
            ("zoned", ColumnType::OffsetTimestamp { scale: 9 }),
            ("uuid", ColumnType::Uuid),
            ("json", ColumnType::Json),
        ];
        let columns = columns.map(|(name, column_type)| Column::new(name, column_type, name));
        TableSchema::new(TableRef::bare("t"), columns.to_vec())
    }

    fn key(name: &str, kind: DeclaredKind) -> Result<(Key, usize)> {
        let mut notes = Vec::new();
        let column = ChunkColumn::from(ColumnName::from(name)).declared_as("a word", kind);
        column.key(&schema(), &mut notes).map(|key| (key, notes.len()))
    }

    #[test]
    fn a_word_that_says_what_the_column_is_needs_no_note() {
        use DeclaredKind as D;
        for (name, kind) in [
            ("id", D::Integer),
            ("id", D::Number),
            ("price", D::Number),
            ("text", D::Text),
            ("day", D::Date),
            ("at", D::Timestamp),
            ("at", D::AnyTimestamp),
            ("zoned", D::AnyTimestamp),
            ("zoned", D::OffsetTimestamp),
            ("uuid", D::Uuid),
        ] {
            assert_eq!(key(name, kind).expect(name), (name.into(), 0), "{name} {kind:?}");
        }
        let numbers = key("text", D::NumberInText).expect("that is what the word is for");
        assert_eq!(numbers, (Key::number_in("text"), 0));
    }

    #[test]
    fn a_difference_is_a_note() {
        use DeclaredKind as D;
        for (name, kind) in [
            ("price", D::Integer),
            ("id", D::NumberInText),
            ("id", D::Text),
            ("text", D::Uuid),
            ("text", D::Date),
            ("day", D::AnyTimestamp),
            ("at", D::Date),
            ("at", D::Instant),
        ] {
            assert_eq!(key(name, kind).expect(name), (name.into(), 1), "{name} {kind:?}");
        }
        let numbers = key("text", D::Integer).expect("texts hold numbers");
        assert_eq!(numbers, (Key::number_in("text"), 1));
    }

    #[test]
    fn what_cannot_be_meant_is_an_error() {
        use DeclaredKind as D;
        for (name, kind) in [
            ("day", D::Integer),
            ("at", D::Number),
            ("json", D::NumberInText),
            ("id", D::Date),
            ("id", D::Uuid),
            ("uuid", D::AnyTimestamp),
        ] {
            let error = key(name, kind).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("chunking_column_types")));
        }
        key("Text", D::Text).expect_err("exact case");
    }
}
