//! Which of two rows is newer: in the target the order must be that of the source.
//!
//! Windows compare texts by their bytes, a column compares by its collation; a number that has become
//! a text is ordered by digits. A guard of another order would let an older row replace a newer one.

use migrate_core::{ColumnPair, ColumnType, Error, Result, SqlBuilder, TableRef, code};

use super::copy_binary::{Codec, choose_surplus};
use super::pg_type::PgType;

/// Digits of a second that a text may spell.
const NANO_SCALE: u8 = 9;

/// The column that tells which row is newer, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version<'a> {
    pub(super) pair: &'a ColumnPair,
    is_by_bytes: bool,
    /// How the digits that the target does not keep are staged, where it cuts or rounds them.
    pub(super) surplus: Option<Codec>,
    /// Digits of a second that the target keeps, where the source may have more.
    kept_digits: Option<u8>,
}

impl<'a> Version<'a> {
    /// For a column of the target that is filled by `pair`.
    ///
    /// # Errors
    ///
    /// [`code::TYPE_MISMATCH`] where the target's type has another order than the source's.
    pub(super) fn new(pair: &'a ColumnPair, target: &PgType, table: &TableRef) -> Result<Self> {
        let is_text = matches!(target, PgType::Text | PgType::Varchar { .. });
        let has_its_order = match &pair.column_type {
            ColumnType::Text { .. } => {
                is_text || matches!(target, PgType::Date | PgType::Timestamp { .. })
            }
            _ => !is_text && has_an_order_by_value(target),
        };
        if has_its_order {
            let surplus = choose_surplus(pair, target);
            let kept_digits = kept_digits(&pair.column_type, target);
            return Ok(Self { pair, is_by_bytes: is_text, surplus, kept_digits });
        }
        Err(Error::new(
            code::TYPE_MISMATCH,
            format!(
                "The column {} orders rows otherwise than the source does: {} as {target}",
                pair.target, pair.column_type
            ),
        )
        .with("table", table)
        .with_hint(
            "choose a `target_watermark` whose type orders as the source's does, or change the \
             column's type: texts into text or varchar, numbers into numbers, times into times",
        ))
    }

    /// What the plan says of rows that the target cannot tell apart.
    pub(super) fn note(&self) -> Option<String> {
        let digits = self.surplus.as_ref().and(self.kept_digits)?;
        Some(format!(
            "{} keeps {digits} digits of a second: of rows in one chunk that differ in finer ones \
             only, the newest wins; of rows in different chunks, the one written last",
            self.pair.target
        ))
    }

    /// Appends the value by which rows are compared; `of` is the alias of its table.
    pub(super) fn render(&self, sql: &mut SqlBuilder, of: Option<&str>) {
        if let Some(of) = of {
            sql.text(of).text(".");
        }
        sql.name(self.pair.target.as_str());
        if self.is_by_bytes {
            // The cast takes `citext` by its letters.
            sql.text("::text collate \"C\"");
        }
    }

    /// Appends the order in which the newest row comes first; `surplus` is the column in which the
    /// digits that the target does not keep are staged.
    pub(super) fn newest_first(&self, surplus: Option<&str>, sql: &mut SqlBuilder) {
        self.render(sql, None);
        sql.text(" desc nulls last");
        if let Some(surplus) = surplus {
            sql.text(", ").name(surplus).text(" desc nulls last");
        }
    }
}

/// Digits of a second that a target keeps, where the source's type may have more.
pub(super) fn kept_digits(source: &ColumnType, target: &PgType) -> Option<u8> {
    let scale = match source {
        ColumnType::Time { scale }
        | ColumnType::Timestamp { scale }
        | ColumnType::Instant { scale }
        | ColumnType::OffsetTimestamp { scale } => *scale,
        ColumnType::Text { .. } => NANO_SCALE,
        _ => return None,
    };
    match target {
        PgType::Time { digits }
        | PgType::Timestamp { digits }
        | PgType::Timestamptz { digits }
        | PgType::Interval { digits }
            if *digits < scale =>
        {
            Some(*digits)
        }
        _ => None,
    }
}

fn has_an_order_by_value(target: &PgType) -> bool {
    matches!(
        target,
        PgType::Bool
            | PgType::Int2
            | PgType::Int4
            | PgType::Int8
            | PgType::Float4
            | PgType::Float8
            | PgType::Numeric { .. }
            | PgType::Bytea
            | PgType::Date
            | PgType::Time { .. }
            | PgType::Timestamp { .. }
            | PgType::Timestamptz { .. }
            | PgType::Interval { .. }
            | PgType::Uuid
    )
}
